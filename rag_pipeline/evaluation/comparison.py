"""How sure a figure is, and whether a difference is one: the bootstrap over queries.

Queries are drawn with replacement as often as there are (Efron and Tibshirani, 1993, chapter 13);
differences are paired, so that hard queries do not hide what changed (Sakai, SIGIR 2006). The seed
is fixed: the same figures give the same intervals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.record import Evaluation, Values

SEED = 20_260
RESAMPLES = 10_000
_NUMBERS_A_STEP = 2_000_000
_LEVELS = (2.5, 97.5)
_SAME = 1e-9
"""Figures that differ by less are a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and where 95 % of the resampled means lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One query's figure, then and now."""

    query: str
    baseline: float
    value: float

    @property
    def difference(self) -> float:
        return self.value - self.baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure against the baseline, over the queries that both judge."""

    baseline: float
    value: float
    difference: Interval
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An evaluation against a baseline, paired by query."""

    queries: tuple[str, ...]
    """That both judge."""
    left_out: int
    """Queries that only one of the two judges."""
    by_measure: Mapping[str, Compared]
    changes: Mapping[str, Sequence[Change]]
    """By measure: the queries whose figure changed, greatest change first."""
    totals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By name: what was measured of all queries together, then and now."""

    def figures(self, name: str) -> tuple[float, float]:
        """A measure's mean or a total, then and now. Raises `EvaluationError` as `of` does."""
        if name in self.totals:
            return self.totals[name]
        compared = self.of(name)
        return compared.baseline, compared.value

    def of(self, measure: str) -> Compared:
        """What became of one measure. Raises `EvaluationError` if the baseline does not have it."""
        if measure not in self.by_measure:
            raise EvaluationError(f"the baseline has no {measure}: save it anew, with that metric")
        return self.by_measure[measure]


def intervals(found: Evaluation, *, seed: int = SEED) -> dict[str, Interval]:
    """Each measure's mean with its interval."""
    values = np.stack([found.values(name) for name in found.measures], axis=1)
    return dict(zip(found.measures, _intervals(values, seed), strict=True))


def compare(found: Evaluation, baseline: Evaluation, *, seed: int = SEED) -> Comparison:
    """`found` against `baseline`. Raises `EvaluationError` where that would mean nothing."""
    check_comparable(found, baseline)
    queries = [query for query in found.queries if query in baseline.queries]
    names = [name for name in found.measures if name in baseline.measures]
    before = np.stack([baseline.values(name, queries) for name in names], axis=1)
    after = np.stack([found.values(name, queries) for name in names], axis=1)
    differences = _intervals(after - before, seed)
    return Comparison(
        queries=tuple(queries),
        left_out=len(found.queries) + len(baseline.queries) - 2 * len(queries),
        by_measure={
            name: _compared(before[:, column], after[:, column], differences[column])
            for column, name in enumerate(names)
        },
        changes={
            name: _changes(queries, before[:, column], after[:, column])
            for column, name in enumerate(names)
        },
        totals={
            name: (baseline.totals[name], total)
            for name, total in found.totals.items()
            if name in baseline.totals
        },
    )


def check_comparable(found: Evaluation, baseline: Evaluation) -> None:
    """Raise `EvaluationError` unless both judge some query to the same depth by one measure."""
    depths = {found.settings.get("k"), baseline.settings.get("k")} - {None}
    if len(depths) > 1:
        raise EvaluationError(
            f"the baseline looked at {baseline.settings['k']} documents a query, this at"
            f" {found.settings['k']}: give the same -k, or save the baseline anew"
        )
    if not found.queries.keys() & baseline.queries.keys():
        raise EvaluationError(
            "the baseline judges none of these queries: compare runs of the same folder"
        )
    if not {*found.measures} & {*baseline.measures}:
        raise EvaluationError(
            f"the baseline has none of these metrics, but {', '.join(baseline.measures)}:"
            " give --metrics that it has, or save it anew"
        )


def _compared(before: Values, after: Values, difference: Interval) -> Compared:
    wins = int(np.sum(after - before > _SAME))
    losses = int(np.sum(before - after > _SAME))
    return Compared(
        baseline=float(before.mean()),
        value=float(after.mean()),
        difference=difference,
        wins=wins,
        losses=losses,
        ties=len(before) - wins - losses,
    )


def _changes(queries: Sequence[str], before: Values, after: Values) -> list[Change]:
    changes = [
        Change(query=query, baseline=float(then), value=float(now))
        for query, then, now in zip(queries, before, after, strict=True)
        if abs(now - then) > _SAME
    ]
    return sorted(changes, key=lambda one: (-abs(one.difference), one.query))


def _intervals(values: Values, seed: int) -> list[Interval]:
    """The mean of each column of `values`, float64 (queries, measures), and its interval."""
    means = np.concatenate([*_resampled_means(values, seed)])
    low, high = np.percentile(means, _LEVELS, axis=0)
    columns = zip(values.mean(axis=0), low, high, strict=True)
    return [Interval(mean=float(m), low=float(b), high=float(t)) for m, b, t in columns]


def _resampled_means(values: Values, seed: int) -> Iterator[Values]:
    generator = np.random.default_rng(seed)
    count = len(values)
    step = max(1, _NUMBERS_A_STEP // values.size)
    for begin in range(0, RESAMPLES, step):
        drawn = generator.integers(count, size=(min(step, RESAMPLES - begin), count))
        yield values[drawn].mean(axis=1)
