"""How near synthetic series come to real ones: what one record says of the next, and lengths.

lengths: one minus the Kolmogorov–Smirnov distance of how many records series have. transitions: of
each column of names, one minus the total variation of the table of (name, next name).
autocorrelation: of each column of numbers, one minus half the difference of Pearson's correlation
of a value with the next in its series. Shuffling the records of real series leaves all columns as
they are, and breaks the last two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.tables import kolmogorov_smirnov
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuality:
    """From 0 to 1, higher being better."""

    lengths: float
    transitions: Mapping[str, float]
    """By column of names."""
    autocorrelations: Mapping[str, float]
    """By column of numbers."""

    @property
    def dynamics(self) -> float:
        """The mean over columns; that of lengths where no series has a second record."""
        both = [*self.transitions.values(), *self.autocorrelations.values()]
        return float(np.mean(both)) if both else self.lengths

    @property
    def score(self) -> float:
        """The mean of both."""
        return (self.lengths + self.dynamics) / 2


def series_quality(real: Table, synthetic: Table, layout: Layout) -> SeriesQuality:
    """Of all columns but keys and texts. Raises `SyntheticError` for tables that differ in them."""
    if real.schema != synthetic.schema:
        raise SyntheticError("the two tables have other columns: compare what has the same")
    ours, theirs = layout.groups(real), layout.groups(synthetic)
    pairs = _pairs(ours), _pairs(theirs)
    compared = [
        column
        for column in real.schema.columns
        if not column.is_key and column.kind != "text" and column.name != layout.key
    ]
    numbers = [column.name for column in compared if column.is_numeric]
    names = [column.name for column in compared if not column.is_numeric]
    has_pairs = min(len(pairs[0][0]), len(pairs[1][0])) > 0
    return SeriesQuality(
        lengths=1 - kolmogorov_smirnov(_lengths(ours), _lengths(theirs)),
        transitions={n: _transitions(real, synthetic, n, pairs) for n in names if has_pairs},
        autocorrelations={n: _likeness(real, synthetic, n, pairs) for n in numbers if has_pairs},
    )


def _lengths(groups: Sequence[Places]) -> Numbers:
    return np.array([len(group) for group in groups], np.float64)


def _pairs(groups: Sequence[Places]) -> tuple[Places, Places]:
    """Where each record stands that has a next one, and where that stands."""
    none = np.zeros(0, np.int64)
    return (
        np.concatenate([none, *(group[:-1] for group in groups)]),
        np.concatenate([none, *(group[1:] for group in groups)]),
    )


def _transitions(
    real: Table,
    synthetic: Table,
    name: str,
    pairs: tuple[tuple[Places, Places], tuple[Places, Places]],
) -> float:
    tables = (real, pairs[0]), (synthetic, pairs[1])
    one, other = (_joined(table.values[name], at) for table, at in tables)
    kinds, number = np.unique(np.concatenate([one, other]), return_inverse=True)
    ours, theirs = (
        np.bincount(side, minlength=kinds.size) / side.size
        for side in (number[: one.size], number[one.size :])
    )
    return 1 - float(np.abs(ours - theirs).sum() / 2)


def _joined(values: Values, at: tuple[Places, Places]) -> npt.NDArray[np.str_]:
    texts = np.array(["" if value is None else f"={value}" for value in values], np.str_)
    return np.char.add(np.char.add(texts[at[0]], "\0"), texts[at[1]])


def _likeness(
    real: Table,
    synthetic: Table,
    name: str,
    pairs: tuple[tuple[Places, Places], tuple[Places, Places]],
) -> float:
    tables = (real, pairs[0]), (synthetic, pairs[1])
    ours, theirs = (autocorrelation(table.values[name], at) for table, at in tables)
    return 1 - abs(ours - theirs) / 2


def autocorrelation(values: Values, at: tuple[Places, Places]) -> float:
    """Pearson's, of values and the next ones; 0 where either never changes."""
    numbers = np.asarray(values, np.float64)
    both = np.stack([numbers[at[0]], numbers[at[1]]])
    both = both[:, ~np.isnan(both).any(axis=0)]
    if both.shape[1] < 2 or not both.std(axis=1).all():
        return 0.0
    return float(np.asarray(np.corrcoef(both))[0, 1])
