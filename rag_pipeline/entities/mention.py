"""A name that was found in a text, and what all forms of one name have in common."""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from storage.entities import EntityKind

_PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"))
_NOT_PLURAL = ("ss", "us", "is", "as", "os")
_SHORTEST_PLURAL = 4


class Span(NamedTuple):
    """A name that stands at text[start:end], under its key."""

    start: int
    end: int
    kind: EntityKind
    key: str


@lru_cache(maxsize=65_536)
def folded(name: str) -> str:
    """`name` in folded case, with one space between words and plain quotes and hyphens."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(plain.replace("’", "'").replace("‑", "-").split())


@lru_cache(maxsize=65_536)
def singular(word: str) -> str:
    """`word`, folded, without the ending of a regular English plural."""
    if len(word) < _SHORTEST_PLURAL or not word.endswith("s") or word.endswith(_NOT_PLURAL):
        return word
    for ending, single in _PLURALS:
        if word.endswith(ending):
            return word[: -len(ending)] + single
    return word[:-1]
