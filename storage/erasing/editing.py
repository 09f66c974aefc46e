"""Texts with something taken out, and where what is left of them stands now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from storage.erasing.needles import Mask, Needles

_MOST_COMPARED = 20_000
"""Characters of two texts that are compared one by one."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A text that was changed. Character i of the old one stands at `places[i]`; (old length + 1,)
    of them, ascending."""

    text: str
    places: npt.NDArray[np.int64]

    def place(self, offset: int) -> int:
        """Where what stood at `offset` stands now."""
        return int(self.places[min(max(offset, 0), self.places.size - 1)])


Edit: TypeAlias = Callable[[str], Edited | None]
"""None: the text stays as it is."""


def whole(text: str, mark: str) -> Edited | None:
    """Nothing is left but the mark."""
    if text in ("", mark):
        return None
    places = np.zeros(len(text) + 1, np.int64)
    places[-1] = len(mark)
    return Edited(mark, places)


def without(text: str, taken: Mask, mark: str) -> Edited | None:
    """The text with each run of characters that are `taken`, (len(text),), replaced by the mark."""
    if not taken.any():
        return None
    begins = taken & ~np.concatenate([[False], taken[:-1]])
    widths = np.where(taken, 0, 1) + begins * len(mark)
    places = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    pieces = [
        mark if begins[at] else "" if taken[at] else character for at, character in enumerate(text)
    ]
    return Edited("".join(pieces), places)


def rewritten(text: str, now: str) -> Edited | None:
    """A text of which somebody else has made another."""
    if text == now:
        return None
    places = np.zeros(len(text) + 1, np.int64)
    for start, end, new_start, new_end in _changes(text, now):
        span = np.arange(end - start)
        places[start:end] = new_start + np.minimum(span, new_end - new_start)
    places[-1] = len(now)
    return Edited(now, np.maximum.accumulate(places))


def _changes(text: str, now: str) -> list[tuple[int, int, int, int]]:
    if max(len(text), len(now)) > _MOST_COMPARED:
        return [(0, len(text), 0, len(now))]
    matcher = SequenceMatcher(None, text, now, autojunk=False)
    return [(start, end, first, last) for _, start, end, first, last in matcher.get_opcodes()]


def covered(text: str, needles: Needles) -> Mask:
    """Which characters are part of something that is looked for, (len(text),)."""
    said = text.encode("utf-8", "surrogatepass")
    bytes_covered = needles.covered(said)
    if not bytes_covered.any():
        return np.zeros(len(text), np.bool_)
    begins = np.flatnonzero((np.frombuffer(said, np.uint8) & 0xC0) != 0x80)
    taken: Mask = np.logical_or.reduceat(bytes_covered, begins)
    return taken


def spans(length: int, some: Sequence[tuple[int, int]]) -> Mask:
    """Which of `length` characters lie in one of the spans."""
    mask = np.zeros(length, np.bool_)
    for start, end in some:
        mask[start:end] = True
    return mask


def edited_json(value: Any, edit: Edit) -> Any:
    """A JSON value with `edit` applied to every text in it."""
    match value:
        case str():
            edited = edit(value)
            return value if edited is None else edited.text
        case list():
            return [edited_json(one, edit) for one in value]
        case dict():
            return {key: edited_json(one, edit) for key, one in value.items()}
        case _:
            return value
