"""Hybrid search over one collection, by a principal, at one generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rag_pipeline.defaults import Mode
from rag_pipeline.errors import QueryError
from rag_pipeline.retrieval.fusion import fuse_by_rank, fuse_by_score
from rag_pipeline.retrieval.settings import RetrievalSettings
from storage.following import Follower
from storage.ports import KeywordIndex, VectorIndex
from storage.reading import REAL_ONLY, CorpusReader
from storage.records import (
    ChunkId,
    Collection,
    Hit,
    Ids,
    Origin,
    Principal,
    Scored,
    StoredChunk,
    Vectors,
)

MAX_QUERY_CHARACTERS = 10_000
MAX_LIMIT = 10_000
_ATTEMPTS = 5


class QueryEmbedder(Protocol):
    """Gives a query a vector in the collection's space."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 (len(texts), dimension), in the order of `texts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first, and the generation that they were found in."""

    generation: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """What each index found for one query, best first."""

    generation: int
    vector: Sequence[Scored]
    keyword: Sequence[Scored]
    fused: Sequence[Scored]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriever:
    """Finds the chunks of one collection that fit a query."""

    reader: CorpusReader
    collection: Collection
    vectors: Follower[VectorIndex]
    keywords: Follower[KeywordIndex]
    embedder: QueryEmbedder
    settings: RetrievalSettings

    def search(
        self,
        query: str,
        *,
        limit: int,
        principal: Principal,
        mode: Mode = "hybrid",
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> SearchResult:
        """The best `limit` chunks that `principal` may read, fewer if there are fewer.

        Raises `QueryError` for an empty or overlong query and for a limit below 1.
        """
        check_query(query, limit)
        vector = self._query_vectors([query], mode)[0]
        return self._search(query, vector, limit, principal, mode, origins)

    def search_documents(
        self, queries: Sequence[str], *, limit: int, principal: Principal, mode: Mode = "hybrid"
    ) -> list[SearchResult]:
        """For each query enough hits to name `limit` external ids, if there are so many."""
        for query in queries:
            check_query(query, limit)
        vectors = self._query_vectors(queries, mode)
        return [
            self._search_documents(query, vector, limit, principal, mode)
            for query, vector in zip(queries, vectors, strict=True)
        ]

    def _search_documents(
        self, query: str, vector: Vectors, limit: int, principal: Principal, mode: Mode
    ) -> SearchResult:
        depth = max(2 * limit, self.settings.depth)
        while True:
            result = self._search(query, vector, depth, principal, mode, REAL_ONLY)
            named = {ref.external_id for hit in result.hits for ref in hit.chunk.sources}
            if len(named) >= limit or len(result.hits) < depth:
                return result
            depth *= 4

    def _query_vectors(self, queries: Sequence[str], mode: Mode) -> Vectors:
        if mode == "keyword":
            return np.zeros((len(queries), 0), np.float32)
        return self.embedder.embed(queries)

    def _search(
        self,
        query: str,
        vector: Vectors,
        limit: int,
        principal: Principal,
        mode: Mode,
        origins: frozenset[Origin],
    ) -> SearchResult:
        sides = self._rank(query, vector, limit, principal, mode, origins)
        chunks = self.reader.chunks(
            [found.chunk_id for found in sides.fused[:limit]],
            principal=principal,
            generation=sides.generation,
            origins=origins,
        )
        return SearchResult(generation=sides.generation, hits=tuple(_hits(sides, chunks, limit)))

    def _rank(
        self,
        query: str,
        vector: Vectors,
        limit: int,
        principal: Principal,
        mode: Mode,
        origins: frozenset[Origin],
    ) -> _Sides:
        """Search both indexes at the same generation.

        Another thread may bring an index further while this one searches; then it looks again, so
        that no chunk is missed between two generations. The last attempt stands in any case: all
        that it finds is true, and only what just came may be missing.
        """
        for _ in range(_ATTEMPTS):
            position = self.vectors.catch_up()
            in_step = self.keywords.catch_up() == position
            allowed = self.reader.candidates(
                self.collection.collection_id,
                principal=principal,
                generation=position.generation,
                origins=origins,
            )
            vector_found, keyword_found, fused = self._fused(query, vector, limit, mode, allowed)
            applied = {self.vectors.index.applied, self.keywords.index.applied}
            if in_step and applied == {position}:
                break
        return _Sides(
            generation=position.generation,
            vector=vector_found,
            keyword=keyword_found,
            fused=fused,
        )

    def _fused(
        self, query: str, vector: Vectors, limit: int, mode: Mode, allowed: Ids | None
    ) -> tuple[list[Scored], list[Scored], list[Scored]]:
        depth = max(limit, self.settings.depth)
        by_vector: list[Scored] = []
        by_keyword: list[Scored] = []
        if mode != "keyword":
            by_vector = self.vectors.index.search(vector, limit=depth, allowed=allowed)
        if mode != "vector":
            by_keyword = self.keywords.index.search(query, limit=depth, allowed=allowed)
        if mode != "hybrid":
            return by_vector, by_keyword, by_vector or by_keyword
        if self.settings.fusion == "rank":
            return by_vector, by_keyword, fuse_by_rank([by_vector, by_keyword])
        fused = fuse_by_score(
            self._with_missing_vectors(by_vector, by_keyword, vector),
            self._with_missing_keywords(by_keyword, by_vector, query),
            vector_weight=self.settings.vector_weight,
        )
        return by_vector, by_keyword, fused

    def _with_missing_vectors(
        self, found: Sequence[Scored], others: Sequence[Scored], vector: Vectors
    ) -> dict[ChunkId, float]:
        """The scores of `found`, and of those that only the other side found."""
        missing = _only_in(others, found)
        more = self.vectors.index.search(vector, limit=len(missing), allowed=missing)
        return _scores([*found, *more])

    def _with_missing_keywords(
        self, found: Sequence[Scored], others: Sequence[Scored], query: str
    ) -> dict[ChunkId, float]:
        missing = _only_in(others, found)
        more = self.keywords.index.search(query, limit=len(missing), allowed=missing)
        return _scores([*found, *more])


def check_query(query: str, limit: int) -> None:
    """Raise `QueryError` for what can't be searched for."""
    if not query.strip():
        raise QueryError("the question is empty; write what you want to know")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the question has {len(query)} characters; ask in at most {MAX_QUERY_CHARACTERS}"
        )
    if not 1 <= limit <= MAX_LIMIT:
        raise QueryError(f"{limit} results can't be given; ask for 1 to {MAX_LIMIT}")


def _only_in(some: Sequence[Scored], others: Sequence[Scored]) -> Ids:
    keys = {found.chunk_id for found in some} - {found.chunk_id for found in others}
    return np.array(sorted(keys), np.int64)


def _scores(found: Sequence[Scored]) -> dict[ChunkId, float]:
    return {scored.chunk_id: scored.score for scored in found}


def _hits(sides: _Sides, chunks: dict[ChunkId, StoredChunk], limit: int) -> list[Hit]:
    vector = {found.chunk_id: (rank, found.score) for rank, found in _numbered(sides.vector)}
    keyword = {found.chunk_id: (rank, found.score) for rank, found in _numbered(sides.keyword)}
    readable = [found for found in sides.fused[:limit] if found.chunk_id in chunks]
    hits: list[Hit] = []
    for rank, found in _numbered(readable):
        vector_rank, vector_score = vector.get(found.chunk_id, (None, None))
        keyword_rank, keyword_score = keyword.get(found.chunk_id, (None, None))
        hits.append(
            Hit(
                chunk=chunks[found.chunk_id],
                score=round(found.score, 6),
                rank=rank,
                vector_rank=vector_rank,
                vector_score=vector_score,
                keyword_rank=keyword_rank,
                keyword_score=keyword_score,
            )
        )
    return hits


def _numbered(found: Sequence[Scored]) -> list[tuple[int, Scored]]:
    return list(enumerate(found, start=1))
