"""What tells that a name is a place's."""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files

from rag_pipeline.entities.lexicon import lexicon

_FILE = "places.txt"
_MORE = lexicon("more_places")
"""Where people say they are beyond today's countries and large cities."""
HEADS_LAST = lexicon("place_heads_last")
_HEADS_FIRST = lexicon("place_heads_first")
_HEADS_BEFORE_OF = HEADS_LAST | {"isle", "bay", "cape", "province", "pharos"}
_PLACED = re.compile(r"(?:^|[\s(])(?:in|near|outside|visited)\s$")
_LOOK_BACK = 9
_LIGHTEST = 2


@cache
def known_places() -> frozenset[str]:
    """Folded names without accents: GeoNames, and some that it has not."""
    lines = files(__package__).joinpath(_FILE).read_text("utf-8").splitlines()
    more = (name.replace("~", " ") for name in _MORE)
    return frozenset(_plain(name) for name in (*lines, *more) if not name.startswith("#"))


@lru_cache(maxsize=16_384)
def is_known_place(name: str) -> bool:
    """Whether a place of that name is in the list. Its first letters have to be capital."""
    return _plain(name) in known_places()


def looks_like_a_place(words: Sequence[str]) -> bool:
    """Whether several words have the form of the name of a place."""
    plain = [word.rstrip(".").casefold() for word in words]
    if len(plain) < _LIGHTEST:
        return False
    if plain[-1] in HEADS_LAST or (plain[0] in _HEADS_FIRST):
        return True
    return any(
        word in _HEADS_BEFORE_OF and following == "of"
        for word, following in itertools.pairwise(plain)
    )


def stands_where_places_do(text: str, start: int) -> bool:
    """Whether what begins at `start` is said to be where something is."""
    return _PLACED.search(text[max(0, start - _LOOK_BACK) : start]) is not None


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", " ".join(name.split()))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
