"""Columns as small whole numbers that a network can predict, and back again.

A number is coded by where it stands among those that were learnt from: a value that many records
share has a code of its own, the rest lie in intervals with as many records each, and within an
interval values are drawn along its quantiles. So what is drawn is spread as what was learnt, has as
many decimals or is a multiple of as much, and lies between its ends. What only a few records have
is never drawn: no name that fewer than `FEWEST` have, and the ends are those of the bulk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.quantiles import QUANTILES, curves_of, grid, within
from rag_pipeline.synthetic.tables.table import Column, Names, Numbers, Values

Codes = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

FEWEST = 5
"""Records that a value of its own stands for, at least."""
INTERVALS = 100
"""Codes of a column of numbers, about, at most."""
CATEGORIES = 1_000
"""Codes of a column of names, at most: the most frequent. The others share one."""
_CODES, _OTHERS = 4_000, 20_000
"""Codes of all columns together, and names that have none of their own: what bounds a model."""
_FEWEST_CODES = 16
"""Of a column, however many there are."""
_SLACK = 1e-6
"""Of a step: what the end of a range may miss a value by and still have it in."""
TAIL = 0.001
"""Of the records at either end, whose values are drawn in to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for a range with nothing in it."""
        if not self.low <= self.high:
            raise SyntheticError(f"nothing lies between {self.low} and {self.high}")


Wanted = Range | frozenset[str | None]
"""What a column is asked to be: in a range, or one of these names (None: missing)."""


class Codec(Protocol):
    """How the values of one column are coded, 0 to `size` - 1."""

    @property
    def size(self) -> int:
        """How many codes there are."""

    @property
    def positions(self) -> Numbers:
        """(size,): where each code stands in the column's order, as a normal deviate; NaN where
        there is no order."""

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """(size,): which codes may be drawn."""

    def encode(self, values: Values) -> Codes:
        """The code of each value; what was never seen gets that of what is rare."""

    def decode(self, codes: Codes, chance: np.random.Generator, wanted: Wanted | None) -> Values:
        """A value for each code, within what is wanted."""

    def shares(self, wanted: Wanted) -> Shares:
        """(size,): which part of each code's values is wanted."""

    def arrays(self) -> Arrays:
        """All that it was learnt, without pickles."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberCodec:
    """Numbers as intervals; the last code is what is missing."""

    curves: Numbers
    """(codes - 1, QUANTILES + 1): the quantiles of each interval, all the same for one value."""
    ranks: Numbers
    """(codes - 1,): the share of records below its middle."""
    decimals: int | None
    base: float = 0.0
    unit: float = 1.0
    """Where there are no decimals: each value is `base` and a multiple of `unit`."""
    has_missing: bool = True

    @classmethod
    def learnt(cls, values: Numbers, *, decimals: int | None, codes: int = INTERVALS) -> Self:
        """From a column, NaN where a value is missing; of about so many codes."""
        present = np.sort(values[~np.isnan(values)])
        if present.size:
            present = present.clip(*np.quantile(present, [TAIL, 1 - TAIL], method="nearest"))
        curves = curves_of(present, codes, fewest=FEWEST)
        base, unit = grid(present) if decimals == 0 else (0.0, 1.0)
        codec = cls(
            curves=curves,
            ranks=np.zeros(len(curves)),
            decimals=decimals,
            base=base,
            unit=unit,
            has_missing=bool(np.isnan(values).any()),
        )
        counts = np.bincount(codec.encode(present), minlength=codec.size)[:-1]
        ranks = (np.cumsum(counts) - counts / 2) / max(present.size, 1)
        return replace(codec, ranks=ranks)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        decimals = int(arrays["decimals"][0])
        base, unit = arrays["grid"].tolist()
        return cls(
            curves=arrays["curves"],
            ranks=arrays["ranks"],
            decimals=None if decimals < 0 else decimals,
            base=base,
            unit=unit,
            has_missing=bool(arrays["has_missing"][0]),
        )

    @property
    def size(self) -> int:
        return len(self.curves) + 1

    @property
    def positions(self) -> Numbers:
        inner = 0.25 / max(len(self.ranks), 1)
        ranks = self.ranks.clip(inner, 1 - inner).tolist()
        return np.array([*map(NormalDist().inv_cdf, ranks), np.nan])

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        return np.array([*(True for _ in self.curves), self.has_missing or not len(self.curves)])

    def encode(self, values: Values) -> Codes:
        numbers = np.asarray(values, np.float64)
        codes = np.full(numbers.shape, self.size - 1)
        is_present = ~np.isnan(numbers)
        if len(self.curves):
            codes[is_present] = self._encoded(numbers[is_present])
        return codes

    def _encoded(self, numbers: Numbers) -> Codes:
        lows, is_one = self.curves[:, 0], self.curves[:, 0] == self.curves[:, -1]
        codes = np.zeros(numbers.shape, np.int64)
        for group in (~is_one, is_one):
            at = np.flatnonzero(group)
            if not at.size:
                continue
            found = at[(np.searchsorted(lows[at], numbers, side="right") - 1).clip(0)]
            takes = group is not is_one or not (~is_one).any()
            codes = found if takes else np.where(lows[found] == numbers, found, codes)
        return codes

    def decode(self, codes: Codes, chance: np.random.Generator, wanted: Wanted | None) -> Numbers:
        low, high = (wanted.low, wanted.high) if isinstance(wanted, Range) else (-np.inf, np.inf)
        draws = np.zeros(codes.shape)
        at = np.flatnonzero(codes < self.size - 1)
        draws[at] = chance.random(at.size)
        return self.placed(codes, draws, low, high)

    def placed(
        self, codes: Codes, places: Numbers, low: float = -np.inf, high: float = np.inf
    ) -> Numbers:
        """The value of each code that stands at a place from 0 to 1 among those of its values that
        are from `low` to `high`."""
        found = np.full(codes.shape, np.nan)
        steps = np.arange(QUANTILES + 1)
        ends = self._ends(low, high)
        for code in np.unique(codes[codes < self.size - 1]).tolist():
            of_code = codes == code
            curve = self.curves[code]
            first, last = within(curve, ends.low, ends.high)
            found[of_code] = np.interp(first + places[of_code] * (last - first), steps, curve)
        if self._step is None:
            return found
        # The ends are half a step wide of the outermost values that are wanted.
        lowest, highest = ends.low + self._step / 2, ends.high - self._step / 2
        return self._rounded(self._rounded(found).clip(lowest, highest))

    @property
    def _step(self) -> float | None:
        """Between neighbouring values; None where any number may be one."""
        if self.decimals is None:
            return None
        return self.unit if self.decimals == 0 else 10.0**-self.decimals

    def _rounded(self, values: Numbers) -> Numbers:
        if self.decimals:
            return np.round(values, self.decimals)
        return self.base + np.round((values - self.base) / self.unit) * self.unit

    def _ends(self, low: float, high: float) -> Range:
        """Between which numbers those lie that are from `low` to `high` once they are rounded.

        Raises `SyntheticError` where no value lies there.
        """
        if self._step is None:
            return Range(low=low, high=high)
        up, down = (
            self.base + rounded((end - self.base) / self._step + slack) * self._step
            if np.isfinite(end)
            else end
            for end, rounded, slack in ((low, np.ceil, -_SLACK), (high, np.floor, _SLACK))
        )
        return Range(low=up - self._step / 2, high=down + self._step / 2)

    def shares(self, wanted: Wanted) -> Shares:
        if not isinstance(wanted, Range):
            shares = np.zeros(self.size)
            shares[-1] = None in wanted
            return shares
        try:
            ends = self._ends(wanted.low, wanted.high)
        except SyntheticError:  # it lies between two neighbouring values
            return np.zeros(self.size)
        inside = [_share(curve, wanted, ends) for curve in self.curves]
        return np.array([*inside, 0.0])

    def arrays(self) -> Arrays:
        decimals = -1 if self.decimals is None else self.decimals
        return {
            "curves": self.curves,
            "ranks": self.ranks,
            "decimals": np.array([decimals], np.int64),
            "grid": np.array([self.base, self.unit]),
            "has_missing": np.array([self.has_missing], np.int64),
        }


def _share(curve: Numbers, wanted: Range, ends: Range) -> float:
    if curve[0] == curve[-1]:
        return float(wanted.low <= curve[0] <= wanted.high)
    first, last = within(curve, ends.low, ends.high)
    return (last - first) / (curve.size - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NameCodec:
    """Names, most frequent first; then all others, then what is missing."""

    names: tuple[str, ...]
    others: tuple[str, ...]
    """Names that share a code, as they are too many."""
    other_counts: Codes
    """(others,): records that had each."""
    has_missing: bool

    @classmethod
    def learnt(cls, values: Names, *, codes: int = CATEGORIES, others: int = _OTHERS) -> Self:
        """From a column, None where a value is missing; of so many codes at most, and as many
        names without one."""
        is_missing = np.array([value is None for value in values.tolist()], np.bool_)
        names, counts = np.unique(values[~is_missing].astype(str), return_counts=True)
        order = np.lexsort((names, -counts))
        kept = order[counts[order] >= FEWEST]
        return cls(
            names=tuple(names[kept[:codes]].tolist()),
            others=tuple(names[kept[codes : codes + others]].tolist()),
            other_counts=counts[kept[codes : codes + others]].astype(np.int64),
            has_missing=bool(is_missing.any()),
        )

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        counts = arrays["other_counts"]
        ends, text = arrays["ends"].tolist(), arrays["text"].tobytes()
        starts = [0, *ends][:-1]
        names = [text[a:b].decode() for a, b in zip(starts, ends, strict=True)]
        own = len(names) - len(counts)
        return cls(
            names=tuple(names[:own]),
            others=tuple(names[own:]),
            other_counts=counts,
            has_missing=bool(arrays["has_missing"][0]),
        )

    @property
    def size(self) -> int:
        return len(self.names) + 2

    @property
    def positions(self) -> Numbers:
        return np.full(self.size, np.nan)

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """What only a few records had is drawn as missing where nothing else can be."""
        has_names = bool(self.names or self.others)
        own = [True] * len(self.names)
        return np.array([*own, bool(self.others), self.has_missing or not has_names])

    def encode(self, values: Values) -> Codes:
        code_of: dict[str | None, int] = {name: code for code, name in enumerate(self.names)}
        code_of[None] = self.size - 1
        rare = self.size - 2
        return np.array([code_of.get(value, rare) for value in values.tolist()], np.int64)

    def decode(self, codes: Codes, chance: np.random.Generator, wanted: Wanted | None) -> Names:
        shown = np.array([*self.names, None, None], np.object_)
        found = np.asarray(shown[codes], np.object_)
        at = np.flatnonzero(codes == self.size - 2)
        counts = self._wanted_counts(wanted)
        if at.size and counts.any():
            among = chance.choice(len(self.others), at.size, p=counts / counts.sum())
            found[at] = np.array(self.others, np.object_)[among]
        return found

    def _wanted_counts(self, wanted: Wanted | None) -> Codes:
        if not isinstance(wanted, frozenset):
            return self.other_counts
        return self.other_counts * np.array([name in wanted for name in self.others], np.int64)

    def shares(self, wanted: Wanted) -> Shares:
        if isinstance(wanted, Range):
            raise SyntheticError("names lie in no range; say which of them are wanted")
        others = self._wanted_counts(wanted).sum() / max(self.other_counts.sum(), 1)
        return np.array([*(name in wanted for name in self.names), others, None in wanted], float)

    def arrays(self) -> Arrays:
        encoded = [name.encode() for name in (*self.names, *self.others)]
        return {
            "text": np.frombuffer(b"".join(encoded), np.uint8),
            "ends": np.cumsum([len(name) for name in encoded], dtype=np.int64),
            "other_counts": self.other_counts,
            "has_missing": np.array([self.has_missing], np.int64),
        }


def learnt(column: Column, values: Values, *, columns: int = 1) -> Codec:
    """The codec of one of so many columns, from the values that are learnt from.

    Raises `SyntheticError` for infinite numbers.
    """
    room = max(_FEWEST_CODES, _CODES // columns)
    if not column.is_numeric:
        names = np.asarray(values, np.object_)
        return NameCodec.learnt(
            names, codes=min(CATEGORIES, room), others=max(room, _OTHERS // columns)
        )
    numbers = np.asarray(values, np.float64)
    if np.isinf(numbers).any():
        raise SyntheticError(
            f"{column.name!r} has infinite numbers, which nothing can be learnt from: leave them"
            " out, or mark them as missing"
        )
    decimals = column.decimals if column.kind == "number" else 0
    return NumberCodec.learnt(numbers, decimals=decimals, codes=min(INTERVALS, room))


_KINDS: Mapping[str, type[NumberCodec] | type[NameCodec]] = {
    "number": NumberCodec,
    "name": NameCodec,
}


def kinds_of(codecs: Mapping[str, Codec]) -> list[list[str]]:
    """By column, in order, which codec it has: JSON."""
    return [
        [name, next(kind for kind, of_kind in _KINDS.items() if isinstance(codec, of_kind))]
        for name, codec in codecs.items()
    ]


def arrays_of(codecs: Mapping[str, Codec]) -> Arrays:
    """All that the codecs learnt, under the number of their column."""
    return {
        f"codec.{number}.{name}": np.ascontiguousarray(array)
        for number, codec in enumerate(codecs.values())
        for name, array in codec.arrays().items()
    }


def restored(kinds: Sequence[Sequence[str]], arrays: Arrays) -> dict[str, Codec]:
    """What `kinds_of` and `arrays_of` gave. Raises `KeyError` for what is not there."""
    return {
        name: _KINDS[kind].from_arrays(under(f"codec.{number}.", arrays))
        for number, (name, kind) in enumerate(kinds)
    }


def under(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Those whose name begins so, by the rest of it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def encoded(codecs: Sequence[Codec], columns: Sequence[Values]) -> Codes:
    """(records, columns)"""
    pairs = zip(codecs, columns, strict=True)
    return np.stack([codec.encode(values) for codec, values in pairs], axis=1)
