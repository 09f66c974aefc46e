"""Where an answer that grows piece by piece must end, and how much of it may be shown."""

from collections.abc import Sequence


def before_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first of the stop strings, and whether there was one."""
    found = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def settled(text: str, stop: Sequence[str]) -> str:
    """The part of a growing `text` that stays, whatever follows.

    Held back is an end that may become a stop string, or that is a character still lacking some
    of its bytes, which decodes to U+FFFD.
    """
    shown = text.rstrip("\ufffd")
    held = max((_overlap(shown, mark) for mark in stop), default=0)
    return shown[: len(shown) - held]


def _overlap(text: str, mark: str) -> int:
    """The length of the longest end of `text` that is a beginning of `mark`, short of all of it."""
    longest = min(len(text), len(mark) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(mark[:size])), 0)
