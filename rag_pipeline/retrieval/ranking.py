"""From two searches to one ranking: both sides, what either lacks, fusion, feedback, reranking."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag_pipeline.defaults import Mode
from rag_pipeline.retrieval.feedback import reinforced
from rag_pipeline.retrieval.fusion import Candidates, Fused, fuse, fuse_by_rank
from rag_pipeline.retrieval.query import Query
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranked, Reranker
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.view import View
from storage.ranking import DECIMALS, NOTHING, ROUNDING, Listing, Scores, union
from storage.records import ChunkId, Ids, Scored, StoredChunk, Vectors
from storage.vector_index.scoring import inner_products


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gathered:
    """All that fusion and feedback go by."""

    candidates: Candidates
    vectors: Vectors
    """(n, dimension), in the rows of the candidates."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The chunks that were found, best first, and how each came to its place."""

    mode: Mode
    order: Listing
    vector: Listing
    """What the vector side listed, best first."""
    keyword: Listing
    before: Listing = NOTHING
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
) -> Ranking:
    """What both sides find for `query`, `depth` chunks each, in one order; or one side as it is."""
    vector, keyword = sides(view, query, mode=mode, depth=depth)
    bare = Ranking(mode=mode, order=vector or keyword, vector=vector, keyword=keyword)
    if mode != "hybrid":
        return bare
    if settings.fusion == "rank":
        return replace(bare, order=fuse_by_rank([vector, keyword]))
    fused = _fused(gathered(view, query, vector, keyword), settings)
    return replace(bare, order=fused.ranked(), fused=fused)


def reranked(
    view: View, query: Query, ranking: Ranking, reranker: Reranker, *, depth: int
) -> Ranking:
    """The best `depth` in a new order; the rest keeps its own below them."""
    candidates, rest = readable(view, ranking, depth=depth), ranking.order[depth:]
    if not candidates:
        return ranking
    again = reranker.rerank(query.text, candidates)
    first = Listing.of([Scored(one.chunk_id, one.score) for one in again])
    below = min(0.0, again[-1].score - rest[0].score - ROUNDING) if rest else 0.0
    order = Listing(
        np.concatenate([first.ids, rest.ids]), np.concatenate([first.scores, rest.scores + below])
    )
    return replace(
        ranking,
        before=ranking.order,
        order=order,
        reranked={one.chunk_id: one for one in again},
    )


def readable(view: View, ranking: Ranking, *, depth: int) -> list[RerankCandidate]:
    """What a reranker reads: those of the best `depth` whose text may be read, best first."""
    best = ranking.order[:depth]
    chunks = view.chunks(best.ids.tolist())
    return _candidates(ranking, [found for found in best if found.chunk_id in chunks], chunks)


def sides(view: View, query: Query, *, mode: Mode, depth: int) -> tuple[Listing, Listing]:
    """What the vector side and the keyword side list; nothing for one that is not asked."""
    vector = view.nearest(query.vector, limit=depth) if mode != "keyword" else NOTHING
    keyword = view.matching(query.keywords, limit=depth) if mode != "vector" else NOTHING
    return vector, keyword


def best_of_each(view: View, ranking: Ranking) -> Ranking:
    """The best chunk of each document alone, in the order of the ranking."""
    order = ranking.order
    _, first = np.unique(view.documents_of(order.ids), return_index=True)
    places = np.sort(first)
    return replace(ranking, order=Listing(order.ids[places], order.scores[places]))


def gathered(view: View, query: Query, vector: Listing, keyword: Listing) -> Gathered:
    """The exact scores of both sides for all that either has listed, looked up where it has not."""
    ids = union(vector.ids, keyword.ids)
    vectors = view.vectors_of(ids)
    candidates = Candidates(
        ids=ids,
        documents=view.documents_of(ids),
        vector=_completed(ids, vector, lambda missing: cosines_of(vectors, missing, query.vector)),
        keyword=_completed(
            ids, keyword, lambda missing: view.keyword_scores_of(ids[missing], query.keywords)
        ),
    )
    return Gathered(candidates=candidates, vectors=vectors)


def _completed(ids: Ids, listed: Listing, scores_of: Callable[[Ids], Scores]) -> Scores:
    """The scores of `ids`: those that are listed, and for the rows that are not `scores_of`."""
    scores, is_listed = np.empty(ids.size), np.zeros(ids.size, np.bool_)
    rows = ids.searchsorted(listed.ids)
    scores[rows], is_listed[rows] = listed.scores, True
    missing = (~is_listed).nonzero()[0]
    scores[missing] = scores_of(missing)
    return scores


def cosines_of(vectors: Vectors, rows: Ids, query: Vectors) -> Scores:
    """Of `vectors[rows]`, as the vector side scores them."""
    return inner_products(vectors, rows, query).round(DECIMALS)


def _fused(found: Gathered, settings: RetrievalSettings) -> Fused:
    fused = fuse(found.candidates, vector_weight=settings.vector_weight)
    if settings.feedback is None:
        return fused
    return reinforced(fused, found.candidates, found.vectors, settings.feedback)


def _candidates(
    ranking: Ranking, best: Sequence[Scored], chunks: Mapping[ChunkId, StoredChunk]
) -> list[RerankCandidate]:
    vector, keyword = places(ranking.vector, chunks), places(ranking.keyword, chunks)
    return [
        RerankCandidate(
            chunk=chunks[found.chunk_id],
            score=found.score,
            vector_rank=vector.get(found.chunk_id, NOWHERE)[0],
            vector_score=vector.get(found.chunk_id, NOWHERE)[1],
            keyword_rank=keyword.get(found.chunk_id, NOWHERE)[0],
            keyword_score=keyword.get(found.chunk_id, NOWHERE)[1],
        )
        for found in best
    ]


NOWHERE: tuple[None, None] = (None, None)
"""The place of what a side does not list."""


def places(found: Listing, among: Container[ChunkId]) -> dict[ChunkId, tuple[int, float]]:
    """Rank, from one, and score of those chunks of one side that are `among` others."""
    ranked = enumerate(found.ids.tolist(), start=1)
    return {key: (rank, float(found.scores[rank - 1])) for rank, key in ranked if key in among}
