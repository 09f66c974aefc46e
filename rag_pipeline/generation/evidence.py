"""How much of what is asked a text has, in words."""

from collections.abc import Callable, Sequence, Set

from storage.records import Vectors

Embed = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, float32 (texts, dimension), in the same order."""

_LONGEST_WEIGHT = 8
"""Letters beyond this many make a word no more telling."""


def coverage(wanted: Set[str], found: Set[str]) -> float:
    """The part of the `wanted` stems that is `found`; long words, being rarer, weigh more."""
    total = sum(map(_weight, wanted))
    return sum(map(_weight, wanted & found)) / total if total else 0.0


def _weight(stem: str) -> int:
    return min(len(stem), _LONGEST_WEIGHT)
