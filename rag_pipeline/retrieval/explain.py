"""Why each hit stands where it stands: the terms that matched, and what each stage added.

A hit's score is that of its last stage, and the parts of a stage add up to its score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rag_pipeline.retrieval.fusion import RRF_K, Fused
from rag_pipeline.retrieval.query import Query
from rag_pipeline.retrieval.ranking import Ranking, cosines_of, places
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.view import View
from storage.ranking import Scores
from storage.records import ChunkId, Hit, Ids, TermMatch

StageName = Literal["vector", "keyword", "fusion", "rerank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one signal added to the score of one hit."""

    signal: str
    amount: float
    value: float | None = None
    """The signal, in its standard deviations over all candidates; None where it does not count."""
    weight: float | None = None
    """`amount` is `value` times this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step of the ranking; `score` is the sum of the amounts."""

    name: StageName
    score: float
    parts: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a hit has its score."""

    terms: tuple[TermMatch, ...]
    """What matched on the keyword side; empty where that side was not asked."""
    vector_score: float | None
    """The cosine to the query, also where the vector side did not list the chunk; None where it
    was not asked."""
    keyword_score: float | None
    """Likewise: 0 where no term matches."""
    stages: tuple[Stage, ...]
    """In their order; the last one's score is the hit's."""


def explained(
    view: View,
    query: Query,
    ranking: Ranking,
    hits: Sequence[Hit],
    settings: RetrievalSettings,
) -> dict[ChunkId, Explanation]:
    """The explanation of each of `hits`, by its chunk."""
    ids = [hit.chunk.chunk_id for hit in hits]
    keys = np.array(sorted(ids), np.int64)
    order = ranking.before or ranking.order
    before = _by_chunk(order.ids, order.scores)
    cosines: Mapping[ChunkId, float] = {}
    keyword: Mapping[ChunkId, float] = {}
    terms: Mapping[ChunkId, Sequence[TermMatch]] = {}
    if ranking.mode != "keyword":
        cosines = _by_chunk(
            keys, cosines_of(view.vectors_of(keys), np.arange(keys.size), query.vector)
        )
    if ranking.mode != "vector":
        keyword = _by_chunk(keys, view.keyword_scores_of(keys, query.keywords))
        terms = view.matches_of(ids, query.keywords)
    return {
        key: Explanation(
            terms=tuple(terms.get(key, ())),
            vector_score=cosines.get(key),
            keyword_score=keyword.get(key),
            stages=tuple(_stages(ranking, key, before[key], settings)),
        )
        for key in ids
    }


def _stages(
    ranking: Ranking, key: ChunkId, before: float, settings: RetrievalSettings
) -> list[Stage]:
    """`before` is the score that the hit had before reranking, if there was any."""
    if ranking.mode != "hybrid":
        alone = Contribution(signal=ranking.mode, amount=before, value=before, weight=1.0)
        return [Stage(name=ranking.mode, score=before, parts=(alone,))]
    if ranking.fused is None:
        parts = _of_ranks(ranking, key)
    else:
        parts = _of_scores(ranking.fused, key, settings)
    stages = [Stage(name="fusion", score=before, parts=parts)]
    if ranking.before:
        stages.append(_rerank_stage(ranking, key, before))
    return stages


def _of_scores(fused: Fused, key: ChunkId, settings: RetrievalSettings) -> tuple[Contribution, ...]:
    """The two sides, then what feedback added. The weights are brought to the fused scale."""
    row = int(np.searchsorted(fused.ids, key))
    weights = {"vector": settings.vector_weight, "keyword": 1 - settings.vector_weight}
    if settings.feedback is not None:
        weights |= settings.feedback.model_dump()
    return tuple(
        _contribution(signal, float(amounts[row]), weights[signal] / fused.scale)
        for signal, amounts in fused.parts.items()
    )


def _contribution(signal: str, amount: float, weight: float) -> Contribution:
    value = amount / weight if weight else None
    return Contribution(signal=signal, amount=amount, value=value, weight=weight)


def _of_ranks(ranking: Ranking, key: ChunkId) -> tuple[Contribution, ...]:
    """Reciprocal ranks of the sides that listed the chunk."""
    sides = (("vector", ranking.vector), ("keyword", ranking.keyword))
    ranks = [(signal, places(found, {key}).get(key)) for signal, found in sides]
    return tuple(
        Contribution(signal=signal, amount=1 / (RRF_K + place[0]))
        for signal, place in ranks
        if place is not None
    )


def _rerank_stage(ranking: Ranking, key: ChunkId, before: float) -> Stage:
    """By feature; what was too far down to be reranked keeps its score, less what puts it there."""
    if key in ranking.reranked:
        again = ranking.reranked[key]
        parts = {name: amount for name, amount in again.contributions.items() if amount}
        return _sum_of("rerank", again.score, parts)
    after = places(ranking.order, {key})[key][1]
    return _sum_of("rerank", after, {"fusion": before, "not reranked": after - before})


def _sum_of(name: StageName, score: float, parts: Mapping[str, float]) -> Stage:
    return Stage(
        name=name,
        score=score,
        parts=tuple(Contribution(signal=signal, amount=part) for signal, part in parts.items()),
    )


def _by_chunk(ids: Ids, scores: Scores) -> dict[ChunkId, float]:
    return dict(zip(ids.tolist(), scores.tolist(), strict=True))
