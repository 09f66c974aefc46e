"""Which kind of column some values are, found out piece by piece: the narrowest with room for all
of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipeline.synthetic.tables.values import Kind, image_of, is_no_finite_number, number_of

_NARROWEST_FIRST: tuple[Kind, ...] = ("boolean", "integer", "number", "datetime", "image")
_MOST_DECIMALS = 9
_TEXT_WORDS = 8
"""So many words on average make a text of what could be categories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a column so far."""

    records: int
    present: int
    kinds: frozenset[Kind]
    """Those with room for all of it."""
    words: int
    decimals: int | None
    """How many digits behind the point the numbers have; None: more than can be told."""
    names: frozenset[int] | None
    """Hashes of what is there; None: something is there twice."""

    @classmethod
    def of(cls, values: Sequence[object]) -> "Seen":
        """Of values where None is missing."""
        present = [value for value in values if value is not None]
        distinct = _distinct(present)
        kinds = frozenset(
            kind for kind in _NARROWEST_FIRST if all(_has_room(kind, one) for one in distinct)
        )
        said = [] if "image" in kinds else [*map(str, present)]
        names = frozenset(map(hash, said))
        return cls(
            records=len(values),
            present=len(present),
            kinds=kinds,
            words=sum(len(one.split()) * count for one, count in Counter(said).items()),
            decimals=_decimals(distinct) if "number" in kinds else 0,
            names=names if len(names) == len(present) else None,
        )

    def followed_by(self, other: "Seen") -> "Seen":
        """What was seen of both."""
        is_endless = self.decimals is None or other.decimals is None
        return Seen(
            records=self.records + other.records,
            present=self.present + other.present,
            kinds=self.kinds & other.kinds,
            words=self.words + other.words,
            decimals=None if is_endless else max(self.decimals or 0, other.decimals or 0),
            names=_both(self.names, other.names),
        )

    @property
    def kind(self) -> Kind:
        """The narrowest that has room for all of it; category where nothing is there."""
        for kind in _NARROWEST_FIRST if self.present else ():
            if kind in self.kinds:
                return kind
        is_text = self.present and self.words >= _TEXT_WORDS * self.present
        return "text" if is_text else "category"

    @property
    def is_key(self) -> bool:
        """Whether each record has a name of its own."""
        is_named = self.kind == "category" and self.names is not None
        return is_named and self.present == self.records > 1


def _distinct(present: Sequence[object]) -> Sequence[object]:
    """Each value once, 1 and True being two; all of them where they can't be told apart."""
    try:
        return [value for _, value in {(type(value), value) for value in present}]
    except TypeError:
        return present


def _has_room(kind: Kind, value: object) -> bool:
    if kind == "image":
        return image_of(value) is not None
    if isinstance(value, bytes):
        return False
    if kind == "boolean" and str(value) in ("0", "1"):
        return False  # A number, unless somebody declares it otherwise.
    # It makes no names of all the numbers around it: it is refused as the number that it isn't.
    is_odd = kind == "number" and is_no_finite_number(value)
    return is_odd or number_of(value, kind) is not None


def _decimals(present: Sequence[object]) -> int | None:
    values = np.array([number_of(value, "number") for value in present], np.float64)
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(values, decimals), values, equal_nan=True):
            return decimals
    return None


def _both(one: frozenset[int] | None, other: frozenset[int] | None) -> frozenset[int] | None:
    if one is None or other is None or not one.isdisjoint(other):
        return None
    return one | other
