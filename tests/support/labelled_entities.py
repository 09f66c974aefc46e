"""Passages of our own in which every entity is marked: `[Ada Lovelace|person]`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_suffix(".txt")
_MARK = re.compile(r"\[([^|\]]+)\|(\w+)\]")
KINDS = ("person", "organisation", "place", "term")

Found = tuple[int, int, str]
"""Start, end, and kind."""


@dataclass(frozen=True)
class Passage:
    text: str
    marked: frozenset[Found]


@dataclass(frozen=True)
class Agreement:
    """How what was found agrees with what is marked, span by span."""

    right: int
    found: int
    marked: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.marked if self.marked else 1.0


def passages() -> list[Passage]:
    return [_passage(marked.strip()) for marked in _FILE.read_text("utf-8").split("\n---\n")]


def agreement(pairs: Iterable[tuple[frozenset[Found], frozenset[Found]]], kind: str) -> Agreement:
    """Of (found, marked) for each passage, those of one kind."""
    right = found = marked = 0
    for each, gold in pairs:
        of_kind = {f for f in each if f[2] == kind}, {f for f in gold if f[2] == kind}
        right += len(of_kind[0] & of_kind[1])
        found += len(of_kind[0])
        marked += len(of_kind[1])
    return Agreement(right, found, marked)


def _passage(source: str) -> Passage:
    text, marked, at = "", set(), 0
    for match in _MARK.finditer(source):
        text += source[at : match.start()]
        marked.add((len(text), len(text) + len(match[1]), match[2]))
        text += match[1]
        at = match.end()
    return Passage(text + source[at:], frozenset(marked))
