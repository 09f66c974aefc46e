"""How far records of mixed columns are apart.

Gower's distance (Biometrics 1971), summed over columns: numbers by the difference of their ranks
among real records, from 0 to 1, names and truth values by whether they differ, and what is missing
differs from what is not. Ranks are told by a few quantiles with straight lines between them: were
they told by each record, those records would lie more evenly than any others, and what is drawn
would seem closer to them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

_QUANTILES = 64
_FEWEST_BETWEEN = 20
"""Records between two quantiles."""
_BLOCK = 256
"""Records whose distances to all others are in memory at a time."""
_PAIRS = 1_000_000_000
"""Of values, that a comparison of two tables looks at, at most: some seconds of one core."""


class Space:
    """Where the columns of one table put the records of any table that has them."""

    def __init__(self, table: Table, columns: list[str]) -> None:
        self._curves = {
            name: _curve(present(table.values[name])) for name in columns if is_ordered(table, name)
        }
        self._codes: dict[str, dict[object, int]] = {
            name: {} for name in columns if name not in self._curves
        }

    def place(self, table: Table) -> "Placed":
        """The records as ranks and codes."""
        ranks = [_ranks(table.values[name], *curve) for name, curve in self._curves.items()]
        missing = [np.isnan(table.values[name]) for name in self._curves]
        codes = [codes_of(table.values[name], known) for name, known in self._codes.items()]
        return Placed(
            ranks=_side_by_side(ranks, len(table)),
            codes=_side_by_side([*missing, *codes], len(table)),
        )


def _curve(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Quantiles and their ranks, ascending; the mean rank of those that are one value."""
    if not numbers.size:
        return np.zeros(1), np.full(1, 0.5)
    ranks = np.linspace(0, 1, min(_QUANTILES, max(2, numbers.size // _FEWEST_BETWEEN)))
    values, place, counts = np.unique(
        np.quantile(numbers, ranks), return_inverse=True, return_counts=True
    )
    return values, np.bincount(place, weights=ranks) / counts


def _ranks(values: Values, quantiles: Numbers, ranks: Numbers) -> Numbers:
    """(records,): from 0 to 1; the middle for what is missing."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.isnan(numbers), 0.5, np.interp(numbers, quantiles, ranks))


class Placed:
    """Records as points."""

    def __init__(self, *, ranks: Numbers, codes: Numbers) -> None:
        self.ranks, self.codes = ranks, codes
        """float64 (records, columns with an order), (records, columns without one)."""

    def __len__(self) -> int:
        return len(self.ranks)

    def some(self, at: npt.NDArray[np.int64]) -> "Placed":
        """Those at these places."""
        return Placed(ranks=self.ranks[at], codes=self.codes[at])


def present(values: Values) -> Numbers:
    """The numbers that are not missing; what is infinite is no number either."""
    numbers = np.asarray(values, np.float64)
    return numbers[np.isfinite(numbers)]


def finite(values: Values) -> Numbers:
    """The numbers, NaN for those that are infinite."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def is_ordered(table: Table, name: str) -> bool:
    """Whether the column's values lie on a line: numbers and times, not truth values."""
    return table.schema.column(name).kind in ("number", "integer", "datetime")


def codes_of(values: Values, known: dict[object, int]) -> npt.NDArray[np.int64]:
    """(records,): a number for each value, as `known` has it or will have it from now on."""
    if values.dtype != np.object_:
        values = np.where(np.isnan(np.asarray(values, np.float64)), -1.0, values)
    listed = values.tolist()
    for value in dict.fromkeys(listed):
        known.setdefault(value, len(known))
    return np.fromiter(map(known.__getitem__, listed), np.int64, len(listed))


def _side_by_side(columns: Sequence[npt.NDArray[Any]], records: int) -> Numbers:
    if not columns:
        return np.empty((records, 0))
    return np.stack(columns, axis=1).astype(np.float64)


def distances(ones: Placed, others: Placed) -> Iterator[Numbers]:
    """(some of ones, others), block by block in the order of `ones`."""
    from scipy.spatial.distance import cdist

    names = others.codes.shape[1]
    for start in range(0, len(ones), _BLOCK):
        end = start + _BLOCK
        found = np.zeros((len(ones.ranks[start:end]), len(others)))
        if others.ranks.shape[1]:
            found += cdist(ones.ranks[start:end], others.ranks, "cityblock")
        if names:
            found += names * cdist(ones.codes[start:end], others.codes, "hamming")
        yield found


def nearest(ones: Placed, others: Placed) -> Numbers:
    """(ones,): how far the closest of the others is."""
    return np.concatenate([block.min(axis=1) for block in distances(ones, others)])


def affordable(records: int, columns: int, *, most: int) -> int:
    """How many records so many others of so many columns can be compared with."""
    return max(1, min(most, _PAIRS // max(1, records * columns)))
