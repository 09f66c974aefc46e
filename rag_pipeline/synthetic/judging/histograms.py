"""How often the values of a column are there, in real and in synthetic records: what plots show."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.distances import codes_of, is_ordered, present
from rag_pipeline.synthetic.tables.table import Column, Numbers, Table

_BINS = 20
_MOST_NAMES = 12
"""Names with a bar of their own: the most frequent."""
_TAIL = 0.005
"""Of the real numbers at either end, for which no bins are made: all that lies beyond joins the
first or the last one."""
_DIGITS = 5
REST, MISSING = "all others", "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Shares of all records, in the order of the bins."""

    edges: tuple[str, ...] | None
    """Of the bins, one more than there are; None for names."""
    names: tuple[str, ...]
    """What the shares are of: bins, names, all other names, and what is missing."""
    real: tuple[float, ...]
    synthetic: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def histogram(real: Table, synthetic: Table, name: str) -> Histogram:
    """Of one column; parts that neither side has are left out."""
    column = real.schema.column(name)
    if not is_ordered(real, name):
        return _of_names(real, synthetic, column)
    ours, theirs = real.values[name], synthetic.values[name]
    edges = _edges(present(ours), is_whole=column.kind == "integer")
    if edges.size < 2:
        # One value alone, or none.
        edges = np.array([edges[0], edges[0]]) if edges.size else np.zeros(2)
    labels = [_label(edge, column) for edge in edges.tolist()]
    between = "to below" if column.kind == "integer" else "to"
    bins = [f"{low} {between} {high}" for low, high in pairwise(labels)]
    shares = [_binned(np.asarray(one, np.float64), edges) for one in (ours, theirs)]
    if not any(side[-1] for side in shares):
        shares, names = [side[:-1] for side in shares], bins
    else:
        names = [*bins, MISSING]
    return Histogram(
        edges=tuple(labels), names=tuple(names), real=_rounded(shares[0]),
        synthetic=_rounded(shares[1]),
    )  # fmt: skip


def _edges(numbers: Numbers, *, is_whole: bool) -> Numbers:
    """(bins + 1,): of equal width; around whole numbers where all are whole."""
    if not numbers.size:
        return numbers
    low, high = np.quantile(numbers, [_TAIL, 1 - _TAIL], method="nearest")
    if low == high:
        low, high = numbers.min(), numbers.max()
    if not is_whole:
        return np.unique(np.linspace(low, high, _BINS + 1))
    width = max(1, int(-(-(high - low + 1) // _BINS)))
    return np.arange(low, high + width + 1, width, dtype=np.float64)


def _binned(numbers: Numbers, edges: Numbers) -> Numbers:
    """(bins + 1,): shares; the last one is of what is missing."""
    there = present(numbers)
    bins = np.searchsorted(edges[1:-1], there, side="right")
    counts = np.bincount(bins, minlength=max(edges.size - 1, 1))
    return np.append(counts, numbers.size - there.size) / max(numbers.size, 1)


def _label(edge: float, column: Column) -> str:
    if column.kind == "datetime":
        return datetime.fromtimestamp(edge, UTC).date().isoformat()
    return f"{edge:,.0f}" if 1_000 <= abs(edge) < 1e15 else f"{edge:.4g}"


def _of_names(real: Table, synthetic: Table, column: Column) -> Histogram:
    known: dict[object, int] = {}
    codes = [codes_of(table.values[column.name], known) for table in (real, synthetic)]
    ours, theirs = (np.bincount(one, minlength=len(known)) / max(one.size, 1) for one in codes)
    labels = [_name(value, column) for value in known]
    order = sorted(range(len(labels)), key=lambda at: (-float(ours[at]), labels[at]))
    shown, rest = order[:_MOST_NAMES], order[_MOST_NAMES:]
    names = [labels[at] for at in shown] + ([REST] if rest else [])
    return Histogram(
        edges=None,
        names=tuple(names),
        real=_with_rest(ours, shown, rest),
        synthetic=_with_rest(theirs, shown, rest),
    )


def _name(value: object, column: Column) -> str:
    if column.kind == "boolean":
        return {1.0: "true", 0.0: "false"}.get(float(str(value)), MISSING)
    return MISSING if value is None else str(value)


def _with_rest(
    shares: npt.NDArray[np.float64], shown: list[int], rest: list[int]
) -> tuple[float, ...]:
    others = [float(shares[rest].sum())] if rest else []
    return _rounded(np.array([*shares[shown].tolist(), *others]))


def _rounded(shares: Numbers) -> tuple[float, ...]:
    return tuple(round(share, _DIGITS) for share in shares.tolist())
