"""How near synthetic series come to real ones: what one record says of the next, and lengths.

lengths: one minus the Kolmogorov–Smirnov distance of how many records series have. steps: the same
of the times between records. transitions: of each column of names, one minus the total variation of
the table of (name, next name). autocorrelations: of each column of numbers, one minus half the
difference of Pearson's correlation of a value with the next in its series. changes: of each column
of numbers, one minus the Kolmogorov–Smirnov distance of the differences to the next. Shuffling the
records of real series leaves all columns as they are, and breaks the last three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.distances import codes_of, is_ordered, present
from rag_pipeline.synthetic.judging.tables import kolmogorov_smirnov
from rag_pipeline.synthetic.judging.trends import apart
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

Places = npt.NDArray[np.int64]
Pairs = tuple[Places, Places]
"""Where records stand that have a next one, and where that stands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ordered:
    """A table with its records in the order of their series."""

    table: Table
    order: Places
    """(records,): where they stand in the table, series by series."""
    of: Places
    """(records,): the number of the series of each, in that order."""
    lengths: Places
    """(series,)"""

    @classmethod
    def by(cls, table: Table, layout: Layout) -> Self:
        """Raises `SyntheticError` for records without a key or a time."""
        groups = layout.groups(table)
        lengths = np.array([len(group) for group in groups], np.int64)
        order = np.concatenate([*groups, np.zeros(0, np.int64)])
        of = np.repeat(np.arange(len(groups)), lengths)
        return cls(table=table, order=order, of=of, lengths=lengths)

    @property
    def firsts(self) -> Places:
        """(series,): where each begins in the order."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths, np.int64)

    def up_to(self, series: Places, most: int) -> Places:
        """The first of these series that have so many records together; one at least."""
        ends = np.cumsum(self.lengths[series])
        return series[: max(1, int(np.searchsorted(ends, most, side="right")))]

    def of_series(self, series: Places) -> Table:
        """The records of these series, one after the other."""
        firsts, lengths = self.firsts[series], self.lengths[series]
        starts = np.repeat(firsts - (np.cumsum(lengths) - lengths), lengths)
        return self.table.rows(self.order[starts + np.arange(int(lengths.sum()))])

    def values(self, name: str) -> Values:
        """Of a column, in the order."""
        return self.table.values[name][self.order]

    def pairs(self, lag: int = 1) -> Pairs:
        """Of records in the table that are so many apart in one series."""
        is_one = np.flatnonzero(self.of[lag:] == self.of[:-lag])
        return self.order[is_one], self.order[is_one + lag]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuality:
    """From 0 to 1, higher being better."""

    lengths: float
    steps: float | None
    """None without times, or where no series has a second record."""
    transitions: Mapping[str, float]
    """By column of names that changes within series."""
    autocorrelations: Mapping[str, float]
    """By column of numbers that changes within series."""
    changes: Mapping[str, float]
    """By column of numbers that changes within series."""

    @property
    def dynamics(self) -> float:
        """The mean over all of transitions, autocorrelations and changes; that of lengths where
        nothing changes."""
        of_names, of_numbers = self.transitions, (self.autocorrelations, self.changes)
        found = [*of_names.values(), *(one for part in of_numbers for one in part.values())]
        return float(np.mean(found)) if found else self.lengths

    @property
    def score(self) -> float:
        """The mean of lengths and dynamics."""
        return (self.lengths + self.dynamics) / 2


def series_quality(real: Table, synthetic: Table, layout: Layout) -> SeriesQuality:
    """Of all columns but keys and texts. Raises `SyntheticError` for tables that differ in them."""
    if real.schema != synthetic.schema:
        raise SyntheticError("the two tables have other columns: compare what has the same")
    return ordered_quality(Ordered.by(real, layout), Ordered.by(synthetic, layout), layout)


def ordered_quality(ours: Ordered, theirs: Ordered, layout: Layout) -> SeriesQuality:
    """The same of records in their order."""
    moving = moving_columns([ours, theirs], layout)
    numbers = [name for name in moving if is_ordered(ours.table, name)]
    both = ours, theirs
    return SeriesQuality(
        lengths=1 - kolmogorov_smirnov(*(one.lengths.astype(np.float64) for one in both)),
        steps=None if layout.time is None else _changes(ours, theirs, layout.time),
        transitions={n: _transitions(*both, n) for n in moving if n not in numbers},
        autocorrelations={n: _autocorrelations(*both, n) for n in numbers},
        changes={name: found for name in numbers if (found := _changes(*both, name)) is not None},
    )


def moving_columns(sides: Sequence[Ordered], layout: Layout) -> list[str]:
    """Columns of which some value is another than the one before it, in any of the tables."""
    table = sides[0].table
    compared = [
        column.name
        for column in table.schema.columns
        if column.is_learnt and column.name not in (layout.key, layout.time)
    ]
    return [name for name in compared if any(_moves(side, name) for side in sides)]


def _moves(side: Ordered, name: str) -> bool:
    before, after = (side.table.values[name][at] for at in side.pairs())
    if before.dtype != np.object_:
        return not np.array_equal(before, after, equal_nan=True)
    return bool(before.tolist() != after.tolist())


def _transitions(ours: Ordered, theirs: Ordered, name: str) -> float:
    met = _met(ours, theirs, name)
    return 1 - apart(*met, int(max(side.max(initial=-1) for side in met)) + 1)


def _met(ours: Ordered, theirs: Ordered, name: str) -> tuple[Places, Places]:
    """(pairs,) of both: a number for each name and its next."""
    known: dict[object, int] = {}
    codes = [codes_of(side.table.values[name], known) for side in (ours, theirs)]
    one, other = (
        of_side[before] * len(known) + of_side[after]
        for of_side, (before, after) in zip(codes, (ours.pairs(), theirs.pairs()), strict=True)
    )
    return one, other


def _autocorrelations(ours: Ordered, theirs: Ordered, name: str) -> float:
    one, other = (autocorrelation(side.table.values[name], side.pairs()) for side in (ours, theirs))
    return 1 - abs(one - other) / 2


def _changes(ours: Ordered, theirs: Ordered, name: str) -> float | None:
    one, other = (changes(side, name) for side in (ours, theirs))
    return 1 - kolmogorov_smirnov(one, other) if one.size and other.size else None


def changes(side: Ordered, name: str) -> Numbers:
    """The differences of a column of numbers to the next, where both are there."""
    values = np.asarray(side.table.values[name], np.float64)
    before, after = side.pairs()
    return present(values[after] - values[before])


def autocorrelation(values: Values, at: Pairs) -> float:
    """Pearson's, of values and the next ones; 0 where either never changes."""
    numbers = np.asarray(values, np.float64)
    both = np.stack([numbers[at[0]], numbers[at[1]]])
    both = both[:, ~np.isnan(both).any(axis=0)]
    if both.shape[1] < 2 or not both.std(axis=1).all():
        return 0.0
    return float(np.asarray(np.corrcoef(both))[0, 1])
