"""Search by a principal, at one generation: the order of its steps."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from rag_pipeline.defaults import Mode
from rag_pipeline.retrieval.explain import Explanation, explained
from rag_pipeline.retrieval.hits import hits, selected, with_context
from rag_pipeline.retrieval.query import AsOf, Query, Request, check_request, origins_in
from rag_pipeline.retrieval.ranking import (
    Gathered,
    Ranking,
    best_of_each,
    gathered,
    ranked,
    readable,
    reranked,
    sides,
)
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranker
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.turns import Turns
from rag_pipeline.retrieval.understanding import Understanding
from rag_pipeline.retrieval.view import Shelf, View, are_at, view_at, view_of
from storage.filters import Filter
from storage.reading import REAL_ONLY, CorpusReader
from storage.records import ChunkId, Collection, Hit, Origin, Principal, Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first, and the generation that they were found in."""

    generation: int
    hits: tuple[Hit, ...]
    explanations: Mapping[ChunkId, Explanation] = field(default_factory=dict)
    """Of each hit, by its chunk; empty unless asked for."""
    query: str = ""
    """What was looked for: the question without operators, or as it was rewritten."""
    vector: Vectors | None = field(default=None, compare=False, repr=False)
    """Of the same, (dimension,); None where the vector side was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriever:
    """Finds the chunks of some collections, all in one embedding space, that fit a query."""

    reader: CorpusReader
    shelves: tuple[Shelf, ...]
    understanding: Understanding
    settings: RetrievalSettings
    reranker: Reranker | None = None
    turns: Turns = field(default_factory=Turns)

    @property
    def collection(self) -> Collection:
        """The collection that is searched, the first of several."""
        return self.shelves[0].collection

    def search(
        self,
        query: str,
        *,
        principal: Principal,
        limit: int,
        mode: Mode = "hybrid",
        origins: frozenset[Origin] | None = None,
        where: Filter | None = None,
        as_of: AsOf | None = None,
        operators: bool = False,
        diversity: float = 0.0,
        collapse: bool = False,
        expand: int = 0,
        explain: bool = False,
        earlier: Sequence[str] = (),
        hypothesis: bool = False,
        vector: Vectors | None = None,
    ) -> SearchResult:
        """The best `limit` chunks that `principal` may read, fewer if there are fewer.

        `vector` stands for the query on the vector side; without it the query is embedded. For
        the rest see `Request`. Raises `QueryError`, `FilterError`, `AsOfError`, and
        `SpaceMismatchError` for a vector of another space.
        """
        request = Request(
            principal=principal,
            limit=limit,
            mode=mode,
            origins=origins_in(where) if origins is None else origins,
            where=where,
            as_of=as_of,
            operators=operators,
            diversity=diversity,
            collapse=collapse,
            expand=expand,
            explain=explain,
            earlier=tuple(earlier),
            hypothesis=hypothesis,
        )
        check_request(request)
        with self.turns.searching():
            asked = self._understood(query, request, vector)
            return self._found(self._view(request), asked, request)

    def search_documents(
        self,
        queries: Sequence[str],
        *,
        principal: Principal,
        limit: int,
        mode: Mode = "hybrid",
        origins: frozenset[Origin] | None = None,
        where: Filter | None = None,
        as_of: AsOf | None = None,
    ) -> list[SearchResult]:
        """For each query enough hits to name `limit` external ids, if there are so many.

        All queries are answered at one generation.
        """
        request = Request(
            principal=principal,
            limit=limit,
            mode=mode,
            origins=origins_in(where) if origins is None else origins,
            where=where,
            as_of=as_of,
        )
        check_request(request)
        asked, view = self.understanding.of(queries, request), self._view(request)
        return [self._documents(view, query, request) for query in asked]

    def gathered(
        self,
        queries: Sequence[str],
        *,
        principal: Principal,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> list[Gathered]:
        """What each query's fusion goes by, all at one generation: to fit its weights."""
        request = Request(principal=principal, limit=1, origins=origins)
        asked, view = self.understanding.of(queries, request), self._view(request)
        return [self._gathered(view, query) for query in asked]

    def readable(
        self,
        queries: Sequence[str],
        *,
        principal: Principal,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> list[list[RerankCandidate]]:
        """What a reranker reads of each query, best first, all at one generation: to fit one."""
        request = Request(principal=principal, limit=1, origins=origins)
        asked, view = self.understanding.of(queries, request), self._view(request)
        depth = self.settings.rerank_depth
        return [readable(view, self._ranked(view, query, "hybrid"), depth=depth) for query in asked]

    def _gathered(self, view: View, query: Query) -> Gathered:
        vector, keyword = sides(view, query, mode="hybrid", depth=self.settings.depth)
        return gathered(view, query, vector, keyword)

    def _understood(self, query: str, request: Request, vector: Vectors | None) -> Query:
        asks_generator = request.earlier or request.hypothesis
        with self.turns.aside() if asks_generator else nullcontext():
            (asked,) = self.understanding.of([query], request, vector)
        return asked

    def _view(self, request: Request) -> View:
        if request.as_of is None:
            position = self.reader.served()
            if are_at(self.shelves, position):
                return view_at(self.reader, self.shelves, request, position)
        with self.turns.aside():
            return view_of(self.reader, self.shelves, request)

    def _found(self, view: View, query: Query, request: Request) -> SearchResult:
        view = view.narrowed(query.clauses)
        ranking = self._ranking(view, query, request, request.limit)
        return self._shown(view, query, ranking, request)

    def _ranking(self, view: View, query: Query, request: Request, least: int) -> Ranking:
        """One side as it is; of both, what fusion, feedback and reranking make of them."""
        ranking = self._ranked(view, query, request.mode, least)
        if request.mode != "hybrid" or self.reranker is None:
            return ranking
        return reranked(view, query, ranking, self.reranker, depth=self.settings.rerank_depth)

    def _ranked(self, view: View, query: Query, mode: Mode, least: int = 0) -> Ranking:
        depth = max(least, self.settings.depth)
        with self.turns.ranking:
            return ranked(view, query, mode=mode, depth=depth, settings=self.settings)

    def _shown(self, view: View, query: Query, ranking: Ranking, request: Request) -> SearchResult:
        selection = selected(view, ranking, request)
        found = hits(selection, ranking)
        if request.expand:
            found = with_context(view, found, budget=request.expand)
        reasons: Mapping[ChunkId, Explanation] = {}
        if request.explain:
            reasons = explained(view, query, ranking, found, self.settings)
        return SearchResult(
            generation=view.generation,
            hits=tuple(found),
            explanations=reasons,
            query=query.text,
            vector=query.vector if query.vector.size else None,
        )

    def _documents(self, view: View, query: Query, request: Request) -> SearchResult:
        """The best chunk of each document, for as many as it takes to name enough of them."""
        wanted = request.limit
        while True:
            depth = max(2 * wanted, self.settings.depth)
            ranking = self._ranking(view, query, request, depth)
            best = best_of_each(view, ranking)
            result = self._shown(view, query, best, replace(request, limit=wanted))
            named = {ref.external_id for hit in result.hits for ref in hit.chunk.sources}
            is_all = len(ranking.order) < depth and len(result.hits) < wanted
            if len(named) >= request.limit or is_all:
                return result
            wanted *= 4
