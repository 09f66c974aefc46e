"""How near synthetic records come to real ones.

shapes: of each column, one minus the Kolmogorov–Smirnov distance of its numbers, or the total
variation of its names. trends: of each pair, one minus half the difference of Pearson's
correlations, or the total variation of their contingency table with numbers in ten bins. Both are
defined as in SDMetrics' quality report, whose figures a benchmark holds them against, but that the
bins of real numbers hold for synthetic ones, too. detection:
the area under the curve of a classifier that tells real from synthetic (Lopez-Paz and Oquab, ICLR
2017); .5 is the best. efficacy: how well what is learnt from synthetic records predicts real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.copies import compared
from rag_pipeline.synthetic.judging.distances import codes_of, finite, is_ordered, present
from rag_pipeline.synthetic.judging.measure import area_under_curve
from rag_pipeline.synthetic.judging.trends import Pair, apart, related, trends
from rag_pipeline.synthetic.tables.table import Names, Numbers, Table, Values

_FOLDS = 3
_MOST_COMPARED = 6_000
"""Records of each side that a classifier is shown."""
_FEWEST_OF_CLASS = 5
"""Records that a class needs to be learnt."""
_MOST_CLASSES = 20
"""Classes that are told apart: the most frequent."""
_MOST_NAMES = 250
"""Names of a column that trees tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """From 0 to 1, higher being better."""

    shapes: Mapping[str, float]
    """By column."""
    trends: Mapping[Pair, float]
    """By pair of columns."""
    related: frozenset[Pair]
    """The pairs that belong together in the real records."""

    @property
    def shape(self) -> float:
        """The mean over columns."""
        return float(np.mean([*self.shapes.values()]))

    @property
    def trend(self) -> float:
        """The mean over pairs; that of shapes where there is one column alone."""
        return float(np.mean([*self.trends.values()])) if self.trends else self.shape

    @property
    def related_trend(self) -> float:
        """The mean over pairs that belong together; over all where none do."""
        found = [self.trends[pair] for pair in self.trends if pair in self.related]
        return float(np.mean(found)) if found else self.trend

    @property
    def score(self) -> float:
        """The mean of shapes and of trends of what belongs together."""
        return (self.shape + self.related_trend) / 2


def quality(real: Table, synthetic: Table) -> Quality:
    """Of all columns but keys and texts. Raises `SyntheticError` for tables that differ in them,
    and for what has no others."""
    names = same_columns(real, synthetic)
    return Quality(
        shapes=shapes(real, synthetic, names),
        trends=trends(real, synthetic, names),
        related=related(real, names),
    )


def same_columns(real: Table, synthetic: Table) -> list[str]:
    """The columns that are judged. Raises `SyntheticError`."""
    if real.schema != synthetic.schema:
        raise SyntheticError("the two tables have other columns: compare what has the same")
    names = compared(real)
    if not names:
        raise SyntheticError("only keys and texts are there, of which nothing can be judged")
    if not len(real) or not len(synthetic):
        raise SyntheticError("there are no records to compare; give at least one of each")
    return names


def shapes(real: Table, synthetic: Table, columns: list[str]) -> dict[str, float]:
    """By column, from 0 to 1."""
    return {name: _shape(real, synthetic, name) for name in columns}


def _shape(real: Table, synthetic: Table, name: str) -> float:
    one, other = real.values[name], synthetic.values[name]
    if not is_ordered(real, name):
        known: dict[object, int] = {}
        ours, theirs = codes_of(one, known), codes_of(other, known)
        return 1 - apart(ours, theirs, len(known))
    first, second = present(one), present(other)
    if not first.size or not second.size:
        return float(first.size == second.size)
    return 1 - kolmogorov_smirnov(first, second)


def kolmogorov_smirnov(one: Numbers, other: Numbers) -> float:
    """The largest difference of the two distribution functions."""
    one, other = np.sort(one), np.sort(other)
    at = np.concatenate([one, other])
    below = (np.searchsorted(side, at, side="right") / side.size for side in (one, other))
    first, second = below
    return float(np.abs(first - second).max())


def detection(real: Table, synthetic: Table, *, seed: int = 0) -> float:
    """How well gradient-boosted trees tell the two apart on records that they were not shown: the
    area under the curve, .5 for not at all."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    size = min(len(real), len(synthetic), _MOST_COMPARED)
    if size < _FOLDS:
        raise SyntheticError(f"{size} records are too few to tell real from synthetic: give more")
    rows = np.arange(size)
    features = Features(real)
    shown = np.concatenate([features.of(real.rows(rows)), features.of(synthetic.rows(rows))])
    is_real = np.repeat([1, 0], size)
    model = HistGradientBoostingClassifier(
        categorical_features=features.are_names, random_state=seed
    )
    with threadpool_limits(1):
        chance = cross_val_predict(model, shown, is_real, cv=_FOLDS, method="predict_proba")[:, 1]
    return float(roc_auc_score(is_real, chance))


def is_number(table: Table, target: str) -> bool:
    """Whether what is told of the target is a number and no class."""
    return is_ordered(table, target)


def efficacy(learnt_from: Table, judged_on: Table, target: str, *, seed: int = 0) -> float:
    """How well the target of `judged_on` is told by what gradient-boosted trees learnt from the
    other table: the area under the curve (mean over classes), or R² for a number.

    NaN where it can't be said: no record, or one class alone.
    """
    return scored(judged_on, target, told(learnt_from, judged_on, target, seed=seed))


def told(
    learnt_from: Table, judged_on: Table, target: str, *, seed: int = 0
) -> dict[str | None, Numbers]:
    """(records,) for each class: its chance; of a number, under None: the number."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    is_of_number, features = is_number(learnt_from, target), Features(learnt_from, but=target)
    if not features.are_names:
        raise SyntheticError(f"there is no column that {target!r} could be told from")
    options = {"categorical_features": features.are_names, "random_state": seed}
    asked, values = features.of(judged_on), learnt_from.values[target]
    kept = _learnable(learnt_from, target)
    if not kept.size:
        return {}
    known = features.of(learnt_from.rows(kept))
    with threadpool_limits(1):
        if is_of_number:
            regressor = HistGradientBoostingRegressor(**options).fit(known, values[kept])
            return {None: regressor.predict(asked)}
        names = _texts(values[kept])
        if np.unique(names).size < 2:
            return {}
        classifier = HistGradientBoostingClassifier(**options).fit(known, names)
        chances = classifier.predict_proba(asked)
    return {str(name): chances[:, at] for at, name in enumerate(classifier.classes_)}


def scored(judged_on: Table, target: str, found: Mapping[str | None, Numbers]) -> float:
    """How well that tells the target: the area under the curve (mean over classes), or R²."""
    from sklearn.metrics import r2_score

    values = judged_on.values[target]
    if is_number(judged_on, target):
        there = ~np.isnan(np.asarray(values, np.float64))
        enough = None in found and np.unique(values[there]).size > 1
        return float(r2_score(values[there], found[None][there])) if enough else float("nan")
    truth = _texts(values)
    areas = [
        area_under_curve(chances[truth == name], chances[truth != name])
        for name, chances in found.items()
        if 0 < np.count_nonzero(truth == name) < truth.size
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _learnable(table: Table, target: str) -> npt.NDArray[np.int64]:
    """The records whose target is known, and no rare class."""
    values = table.values[target]
    if is_number(table, target):
        there = np.flatnonzero(np.isfinite(np.asarray(values, np.float64)))
        return there if there.size >= _FEWEST_OF_CLASS else there[:0]
    names, counts = np.unique(_texts(values), return_counts=True)
    frequent = np.lexsort((names, -counts))[:_MOST_CLASSES]
    kept = names[frequent[counts[frequent] >= _FEWEST_OF_CLASS]]
    return np.flatnonzero(np.isin(_texts(values), kept))


def _texts(values: Values) -> npt.NDArray[np.str_]:
    return np.array(["" if value is None else f"={value}" for value in values], np.str_)


class Features:
    """Records as numbers, names by their place among those of one table."""

    def __init__(self, table: Table, *, but: str | None = None) -> None:
        self._names = [name for name in compared(table) if name != but]
        self._known: dict[str, npt.NDArray[np.str_]] = {
            name: _frequent(_texts(table.values[name]))
            for name in self._names
            if table.values[name].dtype == np.object_
        }
        # Trees fail on a column of which they are shown no value.
        self._instead = {
            name: present(table.values[name]).min(initial=0.0) - 1
            for name in self._names
            if name not in self._known and _is_mostly_missing(table.values[name])
        }

    @property
    def are_names(self) -> list[bool]:
        """Which columns have no order."""
        return [name in self._known for name in self._names]

    def of(self, table: Table) -> Numbers:
        """float64 (records, columns); NaN for what is missing, or a name that is not known."""
        return np.stack([self._column(name, table.values[name]) for name in self._names], axis=1)

    def _column(self, name: str, values: Values | Names) -> Numbers:
        if name not in self._known:
            numbers = finite(values)
            return np.where(np.isnan(numbers), self._instead.get(name, np.nan), numbers)
        known, texts = self._known[name], _texts(values)
        place = np.searchsorted(known, texts).clip(0, known.size - 1)
        return np.where(known[place] == texts, place, np.nan).astype(np.float64)


def _is_mostly_missing(values: Values) -> bool:
    return 2 * present(values).size < values.size


def _frequent(texts: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """The most frequent names, in order."""
    names, counts = np.unique(texts, return_counts=True)
    return np.asarray(np.sort(names[np.argsort(-counts, kind="stable")[:_MOST_NAMES]]), np.str_)
