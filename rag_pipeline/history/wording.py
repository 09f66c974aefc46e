"""What changed between two texts, word by word."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["same", "gone", "new"]

_WORD = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
"""A word or sign with the space before it: spaces alone are no words that two texts share."""
_MOST_PAIRS = 25_000_000
"""Of words that are compared with each other: texts that differ more are shown one after the
other."""


@dataclass(frozen=True, slots=True)
class Part:
    """A run of words. All but what is `new` make up the text before, all but what is `gone` the
    text after."""

    kind: Kind
    text: str


def word_diff(before: str, after: str) -> tuple[Part, ...]:
    """The parts that lead from one text to the other, in reading order."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    middle = _middle(old[start : len(old) - end], new[start : len(new) - end])
    parts = [
        Part("same", "".join(old[:start])),
        *middle,
        Part("same", "".join(old[len(old) - end :])),
    ]
    return tuple(part for part in parts if part.text)


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))


def _middle(old: Sequence[str], new: Sequence[str]) -> Iterator[Part]:
    if len(old) * len(new) > _MOST_PAIRS:
        yield from (Part("gone", "".join(old)), Part("new", "".join(new)))
        return
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield Part("same", "".join(old[a:b]))
        else:
            yield from (Part("gone", "".join(old[a:b])), Part("new", "".join(new[c:d])))
