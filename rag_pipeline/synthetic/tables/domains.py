"""What the columns of records may still be, narrowed from both ends until nothing more follows.

Bounds propagation over whole units (Marriott and Stuckey, Programming with Constraints, MIT Press
1998, ch. 3; Schulte and Stuckey, ACM TOPLAS 31(1), 2008): numbers are intervals of units of their
last decimal, names are sets. What is narrowed away can in no case be; what is left may still turn
out impossible, as each claim is looked at by itself.

Shapes: B records, K names of a column.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.tables.constraints import Condition, places
from rag_pipeline.synthetic.tables.table import Column, Names, Numbers, Values

Mask = npt.NDArray[np.bool_]


class Domain(Protocol):
    """What one column of B records may still be."""

    may_lack: Mask
    """(B,): whether it may be missing."""

    @property
    def may_have(self) -> Mask:
        """(B,): whether it may be present."""

    @property
    def is_empty(self) -> Mask:
        """(B,): whether nothing is left."""

    @property
    def is_known(self) -> Mask:
        """(B,): whether one value is left, and it is not missing."""

    def can_be(self, condition: Condition) -> Mask:
        """(B,): whether it may be true of a value that is left."""

    def keep(self, condition: Condition, rows: Mask) -> bool:
        """Keep in `rows` what the condition is not false of; whether that narrowed anything."""

    def nearest(self, values: Values, chance: np.random.Generator) -> Values:
        """(B,): what is left that is nearest to `values`."""

    def fix(self, values: Values) -> None:
        """Keep these values alone, if they are left."""


@dataclass(slots=True, kw_only=True, eq=False)
class NumberDomain:
    """Numbers from `low` to `high`, in units of the last decimal."""

    low: Numbers
    """(B,)"""
    high: Numbers
    may_lack: Mask
    decimals: int | None
    """None: any number; a unit is then 1, and `low` and `high` no whole numbers."""

    @classmethod
    def free(cls, column: Column, count: int, *, may_lack: bool) -> "NumberDomain":
        low, high = (0.0, 1.0) if column.kind == "boolean" else (-np.inf, np.inf)
        return cls(
            low=np.full(count, low),
            high=np.full(count, high),
            may_lack=np.full(count, may_lack),
            decimals=places(column),
        )

    @property
    def may_have(self) -> Mask:
        return np.asarray(self.low <= self.high)

    @property
    def is_empty(self) -> Mask:
        return ~self.may_have & ~self.may_lack

    @property
    def is_known(self) -> Mask:
        return np.asarray(self.low == self.high) & ~self.may_lack

    def units(self, values: Values) -> Numbers:
        """Values in units, whole ones where there are decimals."""
        numbers = np.asarray(values, np.float64)
        return numbers if self.decimals is None else np.rint(numbers * 10.0**self.decimals)

    def values(self, units: Numbers) -> Numbers:
        """The numbers nearest to those decimals."""
        return units if self.decimals is None else units / 10.0**self.decimals + 0.0  # no -0

    def can_be(self, condition: Condition) -> Mask:
        if condition.operator in ("is missing", "is present"):
            return self.may_lack if condition.operator == "is missing" else self.may_have
        low, high = self._within(condition)
        return np.asarray(low <= high)

    def keep(self, condition: Condition, rows: Mask) -> bool:
        if condition.operator == "is present":
            return self._lacks(rows)
        if condition.operator == "is missing":
            return self.narrow(np.full(rows.shape, np.inf), np.full(rows.shape, -np.inf), rows)
        return self.narrow(*self._within(condition), rows)

    def _lacks(self, rows: Mask) -> bool:
        changed = bool((self.may_lack & rows).any())
        self.may_lack = self.may_lack & ~rows
        return changed

    def narrow(self, low: Numbers, high: Numbers, rows: Mask) -> bool:
        """Keep in `rows` what lies from `low` to `high`; whether that narrowed anything."""
        lower = np.where(rows & self.may_have, np.maximum(self.low, low), self.low)
        upper = np.where(rows & self.may_have, np.minimum(self.high, high), self.high)
        changed = bool((lower > self.low).any() or (upper < self.high).any())
        self.low, self.high = lower, upper
        return changed

    def _within(self, condition: Condition) -> tuple[Numbers, Numbers]:
        """The ends of what is left of it where the condition is true."""
        exact = [Fraction(value) for value in condition.values]
        if condition.operator in ("<", "<="):
            limit = self._floor(exact[0], is_open=condition.operator == "<")
            return self.low, np.minimum(self.high, limit)
        if condition.operator in (">", ">="):
            limit = -self._floor(-exact[0], is_open=condition.operator == ">")
            return np.maximum(self.low, limit), self.high
        points = sorted(
            point for value in exact if (point := self._floor(value)) == -self._floor(-value)
        )
        if condition.operator in ("=", "in"):
            return _hull(points, self.low, self.high)
        return _trimmed(points, self.low, self.high, 0.0 if self.decimals is None else 1.0)

    def _floor(self, value: Fraction, *, is_open: bool = False) -> float:
        """The last unit up to `value`, or before it."""
        if self.decimals is None:
            return math.nextafter(float(value), -math.inf) if is_open else float(value)
        # The decimal that is meant, not the float's: .3 is less than 3/10.
        scaled = Fraction(repr(float(value))) * 10**self.decimals
        return float(math.ceil(scaled) - 1 if is_open else math.floor(scaled))

    def nearest(self, values: Values, chance: np.random.Generator) -> Numbers:
        given = np.asarray(values, np.float64)
        lent = np.isnan(given) & self.may_have & ~self.may_lack
        there = given[~np.isnan(given)]
        if lent.any():
            given = given.copy()
            given[lent] = chance.choice(there, lent.sum()) if there.size else 0.0
        inside = self.values(np.clip(self.units(given), self.low, self.high))
        return np.where(self.may_have & ~np.isnan(given), inside, np.nan)

    def fix(self, values: Values) -> None:
        units = self.units(values)
        lacks = np.isnan(units)
        self.may_lack = self.may_lack & lacks
        everywhere = np.ones(units.shape, np.bool_)
        self.narrow(np.where(lacks, np.inf, units), np.where(lacks, -np.inf, units), everywhere)


def _hull(points: Sequence[float], low: Numbers, high: Numbers) -> tuple[Numbers, Numbers]:
    """The first and the last of sorted `points` between `low` and `high`."""
    padded = np.array([-np.inf, *points, np.inf])
    first = padded[np.searchsorted(padded[1:], low, side="left") + 1]
    last = padded[np.searchsorted(padded[:-1], high, side="right") - 1]
    return np.maximum(first, low), np.minimum(last, high)


def _trimmed(
    points: Sequence[float], low: Numbers, high: Numbers, step: float
) -> tuple[Numbers, Numbers]:
    """`low` and `high` without `points` at the ends; where it is one point alone, nothing."""
    if not step:
        gone = (low == high) & np.isin(low, points)
        return np.where(gone, np.inf, low), high
    for point in points:
        low = np.where(low == point, low + step, low)
    for point in reversed(points):
        high = np.where(high == point, high - step, high)
    return low, high


@dataclass(slots=True, kw_only=True, eq=False)
class NameDomain:
    """Some of K names."""

    names: tuple[str, ...]
    weights: Numbers
    """(K,): how frequent each is."""
    allowed: Mask
    """(B, K)"""
    may_lack: Mask

    @classmethod
    def free(cls, names: Mapping[str, float], count: int, *, may_lack: bool) -> "NameDomain":
        return cls(
            names=tuple(names),
            weights=np.array([*names.values()], np.float64),
            allowed=np.ones((count, len(names)), np.bool_),
            may_lack=np.full(count, may_lack),
        )

    @property
    def may_have(self) -> Mask:
        return np.asarray(self.allowed.any(axis=1))

    @property
    def is_empty(self) -> Mask:
        return ~self.may_have & ~self.may_lack

    @property
    def is_known(self) -> Mask:
        return np.asarray(self.allowed.sum(axis=1) == 1) & ~self.may_lack

    def can_be(self, condition: Condition) -> Mask:
        if condition.operator in ("is missing", "is present"):
            return self.may_lack if condition.operator == "is missing" else self.may_have
        return np.asarray(self.allowed[:, self._members(condition)].any(axis=1))

    def _members(self, condition: Condition) -> Mask:
        inside = np.array([name in condition.values for name in self.names], np.bool_)
        return inside if condition.operator == "in" else ~inside

    def keep(self, condition: Condition, rows: Mask) -> bool:
        if condition.operator == "is present":
            changed = bool((self.may_lack & rows).any())
            self.may_lack = self.may_lack & ~rows
            return changed
        members = (
            np.zeros(len(self.names), np.bool_)
            if condition.operator == "is missing"
            else self._members(condition)
        )
        return self.narrow(members[None, :], rows)

    def narrow(self, allowed: Mask, rows: Mask) -> bool:
        """Keep in `rows` what is `allowed`, (B or 1, K); whether that narrowed anything."""
        left = self.allowed & (allowed | ~rows[:, None])
        changed = bool((left != self.allowed).any())
        self.allowed = left
        return changed

    def nearest(self, values: Values, chance: np.random.Generator) -> Names:
        """The same where it is left; else one of what is left, by how frequent they are."""
        if not self.names:
            return np.full(len(values), None, np.object_)
        at = places_of(self.names, values)
        stays = (at >= 0) & self.allowed[np.arange(at.size), np.maximum(at, 0)]
        shares = self.allowed * (self.weights + 1e-9)
        sums = shares.cumsum(axis=1)
        drawn = chance.random(at.size)[:, None] * sums[:, -1:]
        other = (sums <= drawn).sum(axis=1)
        at = np.where(stays, at, np.minimum(other, len(self.names) - 1))
        lacks = ~self.may_have | (self.may_lack & (places_of(self.names, values) == -1))
        shown = np.array([*self.names, None], np.object_)
        return np.asarray(shown[np.where(lacks, -1, at)], np.object_)

    def fix(self, values: Values) -> None:
        at = places_of(self.names, values)
        self.may_lack = self.may_lack & (at == -1)
        self.allowed = self.allowed & (np.arange(len(self.names))[None, :] == at[:, None])


def places_of(names: Iterable[str], values: Values) -> npt.NDArray[np.int64]:
    """(B,): where each value stands among the names; -1 for what is missing, -2 for another."""
    place: dict[str | None, int] = {name: at for at, name in enumerate(names)}
    place[None] = -1
    return np.array([place.get(value, -2) for value in values.tolist()], np.int64)


Domains = Mapping[str, NumberDomain | NameDomain]
"""By column."""
