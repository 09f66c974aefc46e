"""From two searches to one ranking: both sides, what either lacks, fusion, feedback, reranking."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag_pipeline.defaults import Mode
from rag_pipeline.retrieval.feedback import reinforced
from rag_pipeline.retrieval.fusion import Candidates, Fused, fuse, fuse_by_rank, gather
from rag_pipeline.retrieval.query import Query
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranked, Reranker
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.view import View
from storage.ranking import ROUNDING
from storage.records import ChunkId, DocumentId, Ids, Scored, StoredChunk, Vectors

DocumentsOf = Callable[[Sequence[ChunkId]], Mapping[ChunkId, DocumentId]]
"""Which text each chunk is part of."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gathered:
    """All that fusion and feedback go by."""

    candidates: Candidates
    vectors: Vectors
    """(n, dimension), in the rows of the candidates."""
    query: Vectors
    """(dimension,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The chunks that were found, best first, and how each came to its place."""

    mode: Mode
    order: Sequence[Scored]
    vector: Sequence[Scored]
    """What the vector side listed, best first."""
    keyword: Sequence[Scored]
    before: Sequence[Scored] = ()
    """The order that was reranked; empty where none was."""
    fused: Fused | None = None
    """None where one side was asked, or ranks were fused."""
    reranked: Mapping[ChunkId, Reranked] = field(default_factory=dict)


def ranked(
    view: View,
    query: Query,
    *,
    mode: Mode,
    depth: int,
    settings: RetrievalSettings,
    documents_of: DocumentsOf,
) -> Ranking:
    """What both sides find for `query`, `depth` chunks each, in one order; or one side as it is."""
    vector, keyword = sides(view, query, mode=mode, depth=depth)
    bare = Ranking(mode=mode, order=vector or keyword, vector=vector, keyword=keyword)
    if mode != "hybrid":
        return bare
    if settings.fusion == "rank":
        return replace(bare, order=fuse_by_rank([vector, keyword]))
    fused = _fused(gathered(view, query, vector, keyword, documents_of), settings)
    return replace(bare, order=fused.ranked(), fused=fused)


def reranked(
    view: View, query: Query, ranking: Ranking, reranker: Reranker, *, depth: int
) -> Ranking:
    """The best `depth` in a new order; the rest keeps its own below them."""
    candidates, rest = readable(view, ranking, depth=depth), ranking.order[depth:]
    if not candidates:
        return ranking
    again = reranker.rerank(query.text, candidates)
    order = [Scored(one.chunk_id, one.score) for one in again]
    below = min(0.0, again[-1].score - rest[0].score - ROUNDING) if rest else 0.0
    order += [Scored(found.chunk_id, found.score + below) for found in rest]
    return replace(
        ranking,
        before=ranking.order,
        order=order,
        reranked={one.chunk_id: one for one in again},
    )


def readable(view: View, ranking: Ranking, *, depth: int) -> list[RerankCandidate]:
    """What a reranker reads: those of the best `depth` whose text may be read, best first."""
    best = ranking.order[:depth]
    chunks = view.chunks([found.chunk_id for found in best])
    return _candidates(ranking, [found for found in best if found.chunk_id in chunks], chunks)


def sides(view: View, query: Query, *, mode: Mode, depth: int) -> tuple[list[Scored], list[Scored]]:
    """What the vector side and the keyword side list; nothing for one that is not asked."""
    vector = view.nearest(query.vector, limit=depth) if mode != "keyword" else []
    keyword = view.matching(query.keywords, limit=depth) if mode != "vector" else []
    return vector, keyword


def best_of_each(ranking: Ranking, documents_of: DocumentsOf) -> Ranking:
    """The best chunk of each document alone, in the order of the ranking."""
    documents = documents_of([found.chunk_id for found in ranking.order])
    first: dict[DocumentId, Scored] = {}
    for found in ranking.order:
        if found.chunk_id in documents:
            first.setdefault(documents[found.chunk_id], found)
    return replace(ranking, order=[*first.values()])


def gathered(
    view: View, query: Query, vector: Sequence[Scored], keyword: Sequence[Scored], of: DocumentsOf
) -> Gathered:
    """The exact scores of both sides for all that either has listed, looked up where it has not."""
    more_vector = view.cosines_of(_only_in(keyword, vector), query.vector)
    more_keyword = view.keyword_scores_of(_only_in(vector, keyword), query.keywords)
    every = sorted({found.chunk_id for found in (*vector, *keyword)})
    candidates = gather([*vector, *more_vector], [*keyword, *more_keyword], of(every))
    return Gathered(candidates=candidates, vectors=view.vectors_of(every), query=query.vector)


def _fused(found: Gathered, settings: RetrievalSettings) -> Fused:
    fused = fuse(found.candidates, vector_weight=settings.vector_weight)
    if settings.feedback is None:
        return fused
    return reinforced(fused, found.candidates, found.vectors, found.query, settings.feedback)


def _candidates(
    ranking: Ranking, best: Sequence[Scored], chunks: Mapping[ChunkId, StoredChunk]
) -> list[RerankCandidate]:
    vector = places(ranking.vector)
    keyword = places(ranking.keyword)
    return [
        RerankCandidate(
            chunk=chunks[found.chunk_id],
            score=found.score,
            vector_rank=vector.get(found.chunk_id, _NOWHERE)[0],
            vector_score=vector.get(found.chunk_id, _NOWHERE)[1],
            keyword_rank=keyword.get(found.chunk_id, _NOWHERE)[0],
            keyword_score=keyword.get(found.chunk_id, _NOWHERE)[1],
        )
        for found in best
    ]


_NOWHERE: tuple[None, None] = (None, None)


def places(found: Sequence[Scored]) -> dict[ChunkId, tuple[int, float]]:
    """Rank, from one, and score of each chunk of one side."""
    return {scored.chunk_id: (rank, scored.score) for rank, scored in enumerate(found, start=1)}


def _only_in(some: Iterable[Scored], others: Iterable[Scored]) -> Ids:
    keys = {found.chunk_id for found in some} - {found.chunk_id for found in others}
    return np.array(sorted(keys), np.int64)
