"""How good synthetic records are for parts of the records: where they do a group injustice."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.copies import compared
from rag_pipeline.synthetic.judging.distances import is_ordered, present
from rag_pipeline.synthetic.judging.efficacy import Telling
from rag_pipeline.synthetic.judging.measure import shown
from rag_pipeline.synthetic.judging.tables import shapes
from rag_pipeline.synthetic.judging.trends import trends
from rag_pipeline.synthetic.tables.table import Table, Values

_PARTS = 4
"""Of a column of numbers."""
_MOST_NAMES = 12
"""Of a column of names: the most frequent."""
_FEWEST = 50
"""Records of each side that a part needs to be judged."""
_MOST_COLUMNS = 40
"""Columns whose trends are looked at in a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One part of the records."""

    column: str
    value: str
    real: int
    synthetic: int
    real_share: float
    synthetic_share: float
    shape: float | None
    """None, as the rest, where too few records are there."""
    trend: float | None
    learnt_from_synthetic: float | None
    """How well the target is told of held-out records in this part."""
    learnt_from_real: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            name: shown(one) if isinstance(one, float) else one
            for name, one in asdict(self).items()
        }


def sliced(
    real: Table,
    holdout: Table,
    synthetic: Table,
    columns: tuple[str, ...],
    telling: Telling | None,
) -> list[Slice]:
    """By each of the columns: the parts of a number, the most frequent names of others."""
    return [
        _slice(real, holdout, synthetic, name, part, telling)
        for name in columns
        for part in _parts(real, name)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A name, or numbers from `low` to below `high`."""

    name: object = None
    low: float | None = None
    high: float = np.inf

    def __str__(self) -> str:
        if self.low is not None:
            below = "" if self.high == np.inf else f", below {self.high:g}"
            return f"from {self.low:g}{below}" if self.low > -np.inf else f"below {self.high:g}"
        return "missing" if self.name is None else str(self.name)

    def has(self, values: Values) -> npt.NDArray[np.int64]:
        if self.low is not None:
            numbers = np.asarray(values, np.float64)
            return np.flatnonzero((numbers >= self.low) & (numbers < self.high))
        return np.flatnonzero([one == self.name for one in _named(values)])


def _named(values: Values) -> list[object]:
    """Names as they are; truth values as such."""
    if values.dtype == np.object_:
        return list(values.tolist())
    return [None if np.isnan(one) else bool(one) for one in values.tolist()]


def _parts(real: Table, name: str) -> list[_Part]:
    values = real.values[name]
    if is_ordered(real, name):
        there = present(values)
        if not there.size:
            return []
        inner = np.unique(np.quantile(there, np.linspace(0, 1, _PARTS + 1)[1:-1]))
        edges = [-np.inf, *inner[inner > there.min()].tolist(), np.inf]
        return [_Part(low=low, high=high) for low, high in pairwise(edges)]
    counts: dict[object, int] = {}
    for one in _named(values):
        counts[one] = counts.get(one, 0) + 1
    frequent = sorted(counts, key=lambda one: (-counts[one], str(one)))
    return [_Part(name=one) for one in frequent[:_MOST_NAMES]]


def _slice(
    real: Table,
    holdout: Table,
    synthetic: Table,
    name: str,
    part: _Part,
    telling: Telling | None,
) -> Slice:
    ours, theirs = part.has(real.values[name]), part.has(synthetic.values[name])
    columns = [one for one in compared(real) if one != name][:_MOST_COLUMNS]
    shape = trend = None
    if columns and min(ours.size, theirs.size) >= _FEWEST:
        of_real, of_synthetic = real.rows(ours), synthetic.rows(theirs)
        shape = _mean(shapes(of_real, of_synthetic, columns).values())
        trend = _mean(trends(of_real, of_synthetic, columns).values())
    by_synthetic, by_real = _told(holdout, part.has(holdout.values[name]), telling)
    return Slice(
        column=name,
        value=str(part),
        real=ours.size,
        synthetic=theirs.size,
        real_share=ours.size / len(real),
        synthetic_share=theirs.size / len(synthetic),
        shape=shape,
        trend=trend,
        learnt_from_synthetic=by_synthetic,
        learnt_from_real=by_real,
    )


def _mean(values: Any) -> float | None:
    found = [*values]
    return float(np.mean(found)) if found else None


def _told(
    holdout: Table, at: npt.NDArray[np.int64], telling: Telling | None
) -> tuple[float | None, float | None]:
    if telling is None or at.size < _FEWEST:
        return None, None
    by_synthetic, by_real = telling.at(holdout, at)
    return (
        None if np.isnan(by_synthetic) else by_synthetic,
        None if np.isnan(by_real) else by_real,
    )
