"""Fits ranking to a collection, on judged queries, and says whether that helps.

The gain is measured by cross-validation: each query is ranked by settings that were fitted without
it. Only where that gain is sure are the fitted settings worth having; else the old ones stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rag_pipeline.retrieval.errors import TuningError
from rag_pipeline.retrieval.feedback import reinforced
from rag_pipeline.retrieval.fusion import Candidates, fuse
from rag_pipeline.retrieval.rerank import linear
from rag_pipeline.retrieval.rerank.features import FEATURES
from rag_pipeline.retrieval.rerank.linear import Example, LinearModel
from rag_pipeline.retrieval.settings import FeedbackSettings, RetrievalSettings
from storage.ranking import Scores
from storage.records import Ids, Vectors

CUTOFF = 10
PENALTY = 10.0
"""Of the linear reranker's coefficients: some hundred queries tell little of eleven features."""
FEWEST_QUERIES = 20
_ROUNDS = 2
_LEAST_GAIN = 0.0005
"""What a change must add to the mean on the queries it is fitted on."""
_SURE = 1.96
"""Standard errors from the mean to the end of its 95 % interval."""

_GRID: Final[Mapping[str, Sequence[float]]] = {
    "vector_weight": (0.2, 0.35, 0.5, 0.65, 0.8),
    "centroid": (0.0, 0.3, 0.6, 0.9),
    "neighbours": (0.0, 0.3, 0.6, 0.9),
    "document": (0.0, 0.2, 0.4),
}
_Weights = tuple[float, ...]
"""In the order of `_GRID`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedQuery:
    """All that a ranking of one query depends on, and how good each candidate is."""

    candidates: Candidates
    vectors: Vectors
    """float32 (n, dimension), a row a candidate."""
    grades: Scores
    """float64 (n,): the grade of each candidate's document; above 0 is relevant."""
    judged: Sequence[int]
    """Every grade that the query has, found or not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """What was fitted, and what it is worth on queries that it was not fitted on."""

    settings: RetrievalSettings
    """As they were, where nothing helps for sure."""
    helps: bool
    """Whether the 95 % interval of the mean gain lies above 0."""
    before: Scores
    """nDCG@10 of each query with the settings as they were."""
    after: Scores
    """nDCG@10 of each query with settings fitted on the other folds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadQuery:
    """The best candidates of one query, read beside it, and how good each is."""

    example: Example
    """Features and grades, a row a candidate, in the order of the keys."""
    documents: Ids
    """int64 (n,): the text that each candidate is part of."""
    judged: Sequence[int]
    """Every grade that the query has, found or not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TunedReranker:
    """A reranker fitted to a collection, and what it is worth on queries that it never saw."""

    model: LinearModel
    helps: bool
    """Whether the 95 % interval of the mean gain lies above 0."""
    before: Scores
    """nDCG@10 of each query as the fusion ranks it."""
    after: Scores
    """nDCG@10 of each query, reranked by what was fitted on the other folds."""


def fit(queries: Sequence[JudgedQuery], *, start: RetrievalSettings, folds: int = 5) -> Tuned:
    """Settings fitted on all of `queries`, and their gain by cross-validation over `folds`.

    A query goes to the fold of its place, so put them in an order that says nothing. Raises
    `TuningError` where there are fewer than 20 queries, and for a fusion by rank.
    """
    if start.fusion == "rank":
        raise TuningError("a fusion by rank has nothing to fit: set the fusion to score first")
    _check_enough(len(queries), folds)
    search = _Search(queries, _weights(start))
    before = search.figures(search.start)
    fold = np.arange(len(queries)) % folds
    after = np.empty_like(before)
    for held_out in range(folds):
        after[fold == held_out] = search.figures(search.best(fold != held_out))[fold == held_out]
    helps = _is_sure(after - before)
    found = search.best(np.ones(len(queries), bool)) if helps else search.start
    return Tuned(
        settings=_settings(start, found) if helps else start,
        helps=helps,
        before=before,
        after=after,
    )


def fit_reranker(queries: Sequence[ReadQuery], *, folds: int = 5) -> TunedReranker:
    """A linear reranker fitted on all of `queries`, and its gain by cross-validation.

    Queries go to folds as in `fit`. Raises `TuningError` for fewer than 20 queries, and where a
    part of them prefers nothing.
    """
    _check_enough(len(queries), folds)
    examples = [query.example for query in queries]
    fold = [place % folds for place in range(len(queries))]
    fitted = [
        linear.fit(
            [one for one, own in zip(examples, fold, strict=True) if own != out], penalty=PENALTY
        )
        for out in range(folds)
    ]
    by_fusion = LinearModel(coefficients={"fusion": 1.0})
    before = np.array([_ndcg_of_reading(query, by_fusion) for query in queries])
    after = np.array(
        [_ndcg_of_reading(query, fitted[own]) for query, own in zip(queries, fold, strict=True)]
    )
    return TunedReranker(
        model=linear.fit(examples, penalty=PENALTY),
        helps=_is_sure(after - before),
        before=before,
        after=after,
    )


def _ndcg_of_reading(query: ReadQuery, model: LinearModel) -> float:
    weights = np.array([model.coefficients.get(name, 0.0) for name in FEATURES])
    order = np.argsort(-(query.example.features @ weights), kind="stable")
    return _ndcg(query.example.grades[order], query.documents[order], query.judged)


def _check_enough(count: int, folds: int) -> None:
    if count < max(FEWEST_QUERIES, folds):
        raise TuningError(
            f"{count} judged queries are too few to fit on: give {FEWEST_QUERIES} or more"
        )


def ndcg(query: JudgedQuery, settings: RetrievalSettings) -> float:
    """nDCG@10 of the ranking of one query; a text counts where its first chunk stands, and a query
    with nothing relevant counts 0."""
    fused = fuse(query.candidates, vector_weight=settings.vector_weight)
    if settings.feedback is not None:
        fused = reinforced(fused, query.candidates, query.vectors, settings.feedback)
    rows = np.searchsorted(query.candidates.ids, fused.ranked().ids)
    return _ndcg(query.grades[rows], query.candidates.documents[rows], query.judged)


def _ndcg(grades: Scores, documents: Ids, judged: Sequence[int]) -> float:
    """Of chunks in their order; a text counts where its first chunk stands."""
    _, first = np.unique(documents, return_index=True)
    ideal = _gain(np.sort(np.array(judged, np.float64))[::-1])
    return _gain(grades[np.sort(first)]) / ideal if ideal else 0.0


def _gain(grades: Scores) -> float:
    """Discounted cumulative gain (Järvelin and Kekäläinen, TOIS 2002)."""
    cut = np.maximum(grades[:CUTOFF], 0)
    return float((cut / np.log2(np.arange(2, cut.size + 2))).sum())


def _is_sure(gains: Scores) -> bool:
    error = float(gains.std(ddof=1)) / gains.size**0.5
    return bool(gains.mean() > _SURE * error)


class _Search:
    """Coordinate ascent over the grid; every point is ranked once, whatever it is fitted for."""

    def __init__(self, queries: Sequence[JudgedQuery], start: _Weights) -> None:
        self.start = start
        self._queries = queries
        self._figures: dict[_Weights, Scores] = {}

    def figures(self, weights: _Weights) -> Scores:
        """nDCG@10 of each query."""
        if weights not in self._figures:
            settings = _settings(RetrievalSettings(), weights)
            self._figures[weights] = np.array([ndcg(query, settings) for query in self._queries])
        return self._figures[weights]

    def best(self, fitted_on: np.typing.NDArray[np.bool_]) -> _Weights:
        """The weights that no change of a single one betters on these queries."""
        best = self.start
        for _ in range(_ROUNDS):
            for place, values in enumerate(_GRID.values()):
                for value in values:
                    other = (*best[:place], value, *best[place + 1 :])
                    gain = (self.figures(other) - self.figures(best))[fitted_on].mean()
                    best = other if gain > _LEAST_GAIN else best
        return best


def _weights(settings: RetrievalSettings) -> _Weights:
    feedback = settings.feedback or FeedbackSettings(centroid=0, neighbours=0, document=0)
    return (
        settings.vector_weight,
        feedback.centroid,
        feedback.neighbours,
        feedback.document,
    )


def _settings(start: RetrievalSettings, weights: _Weights) -> RetrievalSettings:
    vector_weight, centroid, neighbours, document = weights
    feedback = FeedbackSettings(centroid=centroid, neighbours=neighbours, document=document)
    return start.model_copy(
        update={
            "vector_weight": vector_weight,
            "feedback": feedback if any(weights[1:]) else None,
        }
    )
