"""How columns go together, for all pairs at once.

Two columns of numbers: Pearson's correlation of records that have both, from sums over all pairs in
a few products of matrices. All other pairs: how often two values meet, numbers in ten bins.

Most pairs of most tables have nothing to do with each other, and records whose columns were
shuffled apart would be like the real ones in all of them. So those that belong together count by
themselves: of a correlation above one half, or of Cramér's V above .3 (Mathematical Methods of
Statistics, 1946, §21.9), as in the quality report of SDMetrics from 0.32 on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.distances import codes_of, finite, is_ordered, present
from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

Codes = npt.NDArray[np.int64]

Pair = tuple[str, str]

_BINS = 10
_LEAST_CORRELATION = 0.5
_LEAST_ASSOCIATION = 0.3
_TRACE = 1e-12
_MOST_CELLS = 8
"""For each record: above it, values that meet are sorted instead of counted in a grid."""


def trends(real: Table, synthetic: Table, columns: list[str]) -> dict[Pair, float]:
    """For each pair, in the order of the columns, from 0 to 1."""
    ordered = [name for name in columns if is_ordered(real, name)]
    places = {name: place for place, name in enumerate(ordered)}
    distances = np.abs(correlations(real, ordered) - correlations(synthetic, ordered)) / 2
    coded = {name: _coded(real, synthetic, name) for name in columns}
    found: dict[Pair, float] = {}
    for number, first in enumerate(columns):
        for second in columns[number + 1 :]:
            if first in places and second in places:
                distance = float(distances[places[first], places[second]])
            else:
                distance = _meeting_apart(coded[first], coded[second])
            found[first, second] = 1 - distance
    return found


def related(real: Table, columns: list[str]) -> frozenset[Pair]:
    """The pairs that belong together."""
    ordered = [name for name in columns if is_ordered(real, name)]
    places = {name: place for place, name in enumerate(ordered)}
    together = np.abs(correlations(real, ordered)) > _LEAST_CORRELATION
    coded = {name: _coded(real, real, name) for name in columns}
    return frozenset(
        (first, second)
        for number, first in enumerate(columns)
        for second in columns[number + 1 :]
        if (
            together[places[first], places[second]]
            if first in places and second in places
            else association(coded[first].real, coded[second].real) > _LEAST_ASSOCIATION
        )
    )


def association(one: Codes, other: Codes) -> float:
    """Cramér's V, from 0 to 1; 0 where either never changes."""
    of_one, of_other = np.bincount(one), np.bincount(other)
    kinds = min(np.count_nonzero(of_one), np.count_nonzero(of_other))
    if kinds < 2:
        return 0.0
    met = one * of_other.size + other
    if of_one.size * of_other.size > _MOST_CELLS * met.size:
        cells, counts = np.unique(met, return_counts=True)
    else:
        all_counts = np.bincount(met)
        cells = np.flatnonzero(all_counts)
        counts = all_counts[cells]
    expected = of_one[cells // of_other.size] * of_other[cells % of_other.size]
    # χ² / n, over the pairs of values that meet.
    squares = (counts.astype(np.float64) ** 2 / expected).sum() - 1
    return float(np.sqrt(max(squares, 0.0) / (kinds - 1)))


def correlations(table: Table, columns: list[str]) -> Numbers:
    """(columns, columns): of records that have both; 0 where either never changes."""
    from threadpoolctl import threadpool_limits

    if not columns:
        return np.empty((0, 0))
    values = np.stack([_standard(table.values[name]) for name in columns], axis=1)
    there = (~np.isnan(values)).astype(np.float64)  # (records, columns)
    values = np.nan_to_num(values)
    # By how many threads a sum is made decides how it is rounded.
    with threadpool_limits(1):
        sums, squared = values.T @ there, (values**2).T @ there  # of one, where other is there
        products, count = values.T @ values, (there.T @ there).clip(1)
    means = sums / count
    spread = _spread(squared / count - means**2)
    found = (products / count - means * means.T) / np.where(spread, spread, np.inf)
    return np.asarray(found.clip(-1, 1))


def _spread(variances: Numbers) -> Numbers:
    """(one, other): the product of both deviations; 0 where either is but a trace of rounding."""
    spread = np.sqrt((variances * variances.T).clip(0))
    return np.where(spread > _TRACE, spread, 0.0)


def _standard(values: Values) -> Numbers:
    """About 0, so that no digits are lost in the sums."""
    numbers = finite(values)
    there = present(numbers)
    spread = float(there.std()) if there.size else 0.0
    centred: Numbers = numbers - (float(there.mean()) if there.size else 0.0)
    # What is added to a large constant by rounding is no change.
    is_constant = not there.size or spread <= _TRACE * float(np.abs(there).max())
    return np.where(np.isnan(centred), np.nan, 0.0) if is_constant else centred / spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Coded:
    """A column of both tables as whole numbers below `kinds`."""

    real: Codes
    synthetic: Codes
    kinds: int


def _coded(real: Table, synthetic: Table, name: str) -> _Coded:
    one, other = real.values[name], synthetic.values[name]
    if is_ordered(real, name):
        there = present(one)
        edges = np.histogram_bin_edges(there, _BINS) if there.size else np.zeros(1)
        return _Coded(real=_binned(one, edges), synthetic=_binned(other, edges), kinds=_BINS + 3)
    known: dict[object, int] = {}
    first, second = codes_of(one, known), codes_of(other, known)
    return _Coded(real=first, synthetic=second, kinds=len(known))


def _binned(values: Values, edges: Numbers) -> Codes:
    """What lies outside of all bins has one of its own, and so has what is missing."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.isnan(numbers), _BINS + 2, np.digitize(numbers, edges)).astype(np.int64)


def _meeting_apart(one: _Coded, other: _Coded) -> float:
    """The total variation of how often their values meet."""
    real = one.real * other.kinds + other.real
    synthetic = one.synthetic * other.kinds + other.synthetic
    return apart(real, synthetic, one.kinds * other.kinds)


def apart(one: Codes, other: Codes, kinds: int) -> float:
    """Half the sum of the differences of frequencies of numbers below `kinds`."""
    if kinds > _MOST_CELLS * (one.size + other.size):
        _, together = np.unique(np.concatenate([one, other]), return_inverse=True)
        one, other = together[: one.size], together[one.size :]
        kinds = int(together.max(initial=-1)) + 1
    shares = (np.bincount(side, minlength=kinds) / max(side.size, 1) for side in (one, other))
    first, second = shares
    return float(np.abs(first - second).sum() / 2)


def by_column(found: Mapping[Pair, float]) -> dict[str, float]:
    """The mean trend of each column with all others."""
    sums: dict[str, list[float]] = {}
    for pair, value in found.items():
        for name in pair:
            sums.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in sums.items()}
