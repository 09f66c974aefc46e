"""Columns as small whole numbers that a network can predict, and back again.

A number is coded by where it stands among those that were learnt from: a value that many records
share has a code of its own, the rest lie in intervals with as many records each, and within an
interval values are drawn along its quantiles. So what is drawn is spread as what was learnt, has as
many decimals, and lies between its ends. What only a few records have is never drawn: no code
stands for fewer than `FEWEST` records, and the ends are those of the bulk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.table import Column, Names, Numbers, Values

Codes = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

FEWEST = 5
"""Records that a code stands for, at least."""
INTERVALS = 100
"""Codes of a column of numbers, at most."""
CATEGORIES = 1_000
"""Codes of a column of names, at most: the most frequent."""
_QUANTILES = 16
"""Steps within an interval."""
_SPIKE_SHARE = 0.005
"""Of the records: what has more is a value of its own."""
_TAIL = 0.001
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
    """(codes - 1, _QUANTILES + 1): the quantiles of each interval, all the same for one value."""
    ranks: Numbers
    """(codes - 1,): the share of records below its middle."""
    decimals: int | None

    @classmethod
    def learnt(cls, values: Numbers, *, decimals: int | None) -> Self:
        """From a column, NaN where a value is missing."""
        present = np.sort(values[~np.isnan(values)])
        if present.size:
            present = present.clip(*np.quantile(present, [_TAIL, 1 - _TAIL], method="nearest"))
        curves = _curves(present)
        codec = cls(curves=curves, ranks=np.zeros(len(curves)), decimals=decimals)
        counts = np.bincount(codec.encode(present), minlength=codec.size)[:-1]
        ranks = (np.cumsum(counts) - counts / 2) / max(present.size, 1)
        return cls(curves=curves, ranks=ranks, decimals=decimals)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        decimals = int(arrays["decimals"][0])
        return cls(
            curves=arrays["curves"],
            ranks=arrays["ranks"],
            decimals=None if decimals < 0 else decimals,
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
        return np.ones(self.size, np.bool_)

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
        found = np.full(codes.shape, np.nan)
        at = np.flatnonzero(codes < self.size - 1)
        steps = np.arange(_QUANTILES + 1)
        draws = chance.random(at.size)
        for code in np.unique(codes[at]).tolist():
            of_code = codes[at] == code
            curve = self.curves[code]
            first, last = _within(curve, low, high)
            drawn = np.interp(first + draws[of_code] * (last - first), steps, curve)
            found[at[of_code]] = drawn
        if self.decimals is not None:
            found = _rounded(found, self.decimals, low, high)
        return found

    def shares(self, wanted: Wanted) -> Shares:
        if not isinstance(wanted, Range):
            shares = np.zeros(self.size)
            shares[-1] = None in wanted
            return shares
        inside = [_share(curve, wanted) for curve in self.curves]
        return np.array([*inside, 0.0])

    def arrays(self) -> Arrays:
        decimals = -1 if self.decimals is None else self.decimals
        return {
            "curves": self.curves,
            "ranks": self.ranks,
            "decimals": np.array([decimals], np.int64),
        }


def _curves(present: Numbers) -> Numbers:
    """The quantiles of intervals with as many records each, and values that many share."""
    values, counts = np.unique(present, return_counts=True)
    fewest = FEWEST if values.size <= INTERVALS else max(FEWEST, _SPIKE_SHARE * present.size)
    spikes = values[counts >= fewest]
    rest = present[~np.isin(present, spikes)]
    intervals = min(INTERVALS - min(spikes.size, INTERVALS - 1), rest.size // FEWEST)
    if rest.size and not intervals and not spikes.size:
        intervals = 1
    edges = np.quantile(rest, np.linspace(0, 1, intervals * _QUANTILES + 1)) if intervals else rest
    curves = [
        *(np.full(_QUANTILES + 1, spike) for spike in spikes),
        *(edges[n * _QUANTILES : (n + 1) * _QUANTILES + 1] for n in range(intervals)),
    ]
    if not curves:
        return np.empty((0, _QUANTILES + 1))
    return np.array(sorted(curves, key=lambda curve: (float(curve.mean()), float(curve[0]))))


def _within(curve: Numbers, low: float, high: float) -> tuple[float, float]:
    """Between which steps of `curve` its values lie between `low` and `high`."""
    if curve[0] == curve[-1]:
        return 0.0, 0.0
    ends = np.interp([low, high], curve, np.arange(curve.size))
    return float(ends[0]), float(ends[1])


def _share(curve: Numbers, wanted: Range) -> float:
    if curve[0] == curve[-1]:
        return float(wanted.low <= curve[0] <= wanted.high)
    first, last = _within(curve, wanted.low, wanted.high)
    return (last - first) / (curve.size - 1)


def _rounded(values: Numbers, decimals: int, low: float, high: float) -> Numbers:
    """Rounded, but never out of what is wanted."""
    step = 10.0**-decimals
    rounded = np.round(values, decimals)
    rounded = np.where(rounded < low, np.round(rounded + step, decimals), rounded)
    return np.where(rounded > high, np.round(rounded - step, decimals), rounded)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NameCodec:
    """Names, most frequent first; then what is rare, then what is missing."""

    names: tuple[str, ...]
    has_missing: bool

    @classmethod
    def learnt(cls, values: Names) -> Self:
        """From a column, None where a value is missing."""
        is_missing = np.array([value is None for value in values.tolist()], np.bool_)
        names, counts = np.unique(values[~is_missing].astype(str), return_counts=True)
        order = np.lexsort((names, -counts))[:CATEGORIES]
        kept = order[counts[order] >= min(FEWEST, counts.max(initial=0))]
        return cls(names=tuple(names[kept].tolist()), has_missing=bool(is_missing.any()))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        ends, text = arrays["ends"].tolist(), arrays["text"].tobytes()
        starts = [0, *ends[:-1]]
        return cls(
            names=tuple(text[a:b].decode() for a, b in zip(starts, ends, strict=True)),
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
        return np.array([*(True for _ in self.names), False, self.has_missing or not self.names])

    def encode(self, values: Values) -> Codes:
        code_of: dict[str | None, int] = {name: code for code, name in enumerate(self.names)}
        code_of[None] = self.size - 1
        rare = self.size - 2
        return np.array([code_of.get(value, rare) for value in values.tolist()], np.int64)

    def decode(self, codes: Codes, chance: np.random.Generator, wanted: Wanted | None) -> Names:
        shown = np.array([*self.names, None, None], np.object_)
        return np.asarray(shown[codes], np.object_)

    def shares(self, wanted: Wanted) -> Shares:
        if isinstance(wanted, Range):
            raise SyntheticError("names lie in no range; say which of them are wanted")
        return np.array([*(name in wanted for name in self.names), False, None in wanted], float)

    def arrays(self) -> Arrays:
        encoded = [name.encode() for name in self.names]
        return {
            "text": np.frombuffer(b"".join(encoded), np.uint8),
            "ends": np.cumsum([len(name) for name in encoded], dtype=np.int64),
            "has_missing": np.array([self.has_missing], np.int64),
        }


def learnt(column: Column, values: Values) -> Codec:
    """The codec of a column, from the values that are learnt from."""
    if column.is_numeric:
        decimals = column.decimals if column.kind == "number" else 0
        return NumberCodec.learnt(np.asarray(values, np.float64), decimals=decimals)
    return NameCodec.learnt(np.asarray(values, np.object_))


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
