"""How near synthetic records come to real ones.

shapes: of each column, one minus the Kolmogorov–Smirnov distance of its numbers, or the total
variation of its names. trends: of each pair, one minus half the difference of Pearson's
correlations, or the total variation of their contingency table with numbers in ten bins. Both are
defined as in SDMetrics' quality report, whose figures a benchmark holds them against. detection:
the area under the curve of a classifier that tells real from synthetic (Lopez-Paz and Oquab, ICLR
2017); .5 is the best. efficacy: how well what is learnt from synthetic records predicts real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.table import Names, Numbers, Table, Values

_BINS = 10
_FOLDS = 3
_MOST_COMPARED = 6_000
"""Records of each side that a classifier is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """From 0 to 1, higher being better."""

    shapes: Mapping[str, float]
    """By column."""
    trends: Mapping[tuple[str, str], float]
    """By pair of columns."""

    @property
    def shape(self) -> float:
        """The mean over columns."""
        return float(np.mean([*self.shapes.values()]))

    @property
    def trend(self) -> float:
        """The mean over pairs; that of shapes where there is one column alone."""
        return float(np.mean([*self.trends.values()])) if self.trends else self.shape

    @property
    def score(self) -> float:
        """The mean of both."""
        return (self.shape + self.trend) / 2


def quality(real: Table, synthetic: Table) -> Quality:
    """Of all columns but keys and texts. Raises `SyntheticError` for tables that differ in them."""
    if real.schema != synthetic.schema:
        raise SyntheticError("the two tables have other columns: compare what has the same")
    names = _compared(real)
    return Quality(
        shapes={name: _shape(real.values[name], synthetic.values[name]) for name in names},
        trends={pair: _trend(real, synthetic, *pair) for pair in combinations(names, 2)},
    )


def _compared(table: Table) -> list[str]:
    return [
        column.name
        for column in table.schema.columns
        if not column.is_key and column.kind != "text"
    ]


def _shape(real: Values, synthetic: Values) -> float:
    if real.dtype == np.object_:
        return 1 - total_variation(_texts(real), _texts(synthetic))
    ours, theirs = _present(real), _present(synthetic)
    if not ours.size or not theirs.size:
        return float(ours.size == theirs.size)
    return 1 - kolmogorov_smirnov(ours, theirs)


def _present(values: Values) -> Numbers:
    numbers = np.asarray(values, np.float64)
    return numbers[~np.isnan(numbers)]


def kolmogorov_smirnov(one: Numbers, other: Numbers) -> float:
    """The largest difference of the two distribution functions."""
    one, other = np.sort(one), np.sort(other)
    at = np.concatenate([one, other])
    below = (np.searchsorted(side, at, side="right") / side.size for side in (one, other))
    first, second = below
    return float(np.abs(first - second).max())


def total_variation(one: npt.NDArray[np.str_], other: npt.NDArray[np.str_]) -> float:
    """Half the sum of the differences of frequencies."""
    _, number = np.unique(np.concatenate([one, other]), return_inverse=True)
    kinds = int(number.max(initial=-1)) + 1
    first, second = (
        np.bincount(side, minlength=kinds) / max(side.size, 1)
        for side in (number[: one.size], number[one.size :])
    )
    return float(np.abs(first - second).sum() / 2)


def _trend(real: Table, synthetic: Table, first: str, second: str) -> float:
    one, other = real.values[first], real.values[second]
    if one.dtype != np.object_ and other.dtype != np.object_:
        correlations = (
            _correlation(table.values[first], table.values[second]) for table in (real, synthetic)
        )
        ours, theirs = correlations
        return 1 - abs(ours - theirs) / 2
    edges = {name: _edges(real.values[name]) for name in (first, second)}
    together = (
        np.char.add(
            np.char.add(_binned(table.values[first], edges[first]), "\0"),
            _binned(table.values[second], edges[second]),
        )
        for table in (real, synthetic)
    )
    return 1 - total_variation(*together)


def _correlation(one: Values, other: Values) -> float:
    """Pearson's, of records that have both; 0 where either never changes."""
    pairs = np.stack([one, other]).astype(np.float64)
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < 2 or not pairs.std(axis=1).all():
        return 0.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def _edges(real: Values) -> Numbers | None:
    if real.dtype == np.object_:
        return None
    present = _present(real)
    return np.histogram_bin_edges(present, _BINS) if present.size else np.zeros(1)


def _binned(values: Values, edges: Numbers | None) -> npt.NDArray[np.str_]:
    if edges is None:
        return _texts(values)
    numbers = np.asarray(values, np.float64)
    bins = np.digitize(numbers, edges[1:-1])
    return np.where(np.isnan(numbers), "-", bins.astype(np.str_))


def _texts(values: Values) -> npt.NDArray[np.str_]:
    return np.array(["" if value is None else f"={value}" for value in values], np.str_)


def detection(real: Table, synthetic: Table, *, seed: int = 0) -> float:
    """How well gradient-boosted trees tell the two apart on records that they were not shown: the
    area under the curve, .5 for not at all."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    size = min(len(real), len(synthetic), _MOST_COMPARED)
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


def efficacy(learnt_from: Table, judged_on: Table, target: str, *, seed: int = 0) -> float:
    """How well the target of `judged_on` is told by what gradient-boosted trees learnt from the
    other table: the area under the curve (mean over classes), or R² for a number."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score

    features = Features(learnt_from, but=target)
    known, asked = features.of(learnt_from), features.of(judged_on)
    options = {"categorical_features": features.are_names, "random_state": seed}
    if learnt_from.schema.column(target).kind in ("number", "integer", "datetime"):
        regressor = HistGradientBoostingRegressor(**options)
        has_target = ~np.isnan(learnt_from.values[target])
        regressor.fit(known[has_target], learnt_from.values[target][has_target])
        there = ~np.isnan(judged_on.values[target])
        return float(r2_score(judged_on.values[target][there], regressor.predict(asked[there])))
    classifier = HistGradientBoostingClassifier(**options)
    classifier.fit(known, _texts(learnt_from.values[target]))
    chances = classifier.predict_proba(asked)
    truth = _texts(judged_on.values[target])
    areas = [
        float(roc_auc_score(truth == name, chances[:, place]))
        for place, name in enumerate(classifier.classes_)
        if 0 < np.count_nonzero(truth == name) < truth.size
    ]
    return float(np.mean(areas)) if areas else float("nan")


class Features:
    """Records as numbers, names by their place among those of one table."""

    def __init__(self, table: Table, *, but: str | None = None) -> None:
        self._names = [name for name in _compared(table) if name != but]
        self._known: dict[str, npt.NDArray[np.str_]] = {
            name: np.unique(_texts(table.values[name]))[:250]
            for name in self._names
            if table.values[name].dtype == np.object_
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
            return np.asarray(values, np.float64)
        known, texts = self._known[name], _texts(values)
        place = np.searchsorted(known, texts).clip(0, known.size - 1)
        return np.where(known[place] == texts, place, np.nan).astype(np.float64)
