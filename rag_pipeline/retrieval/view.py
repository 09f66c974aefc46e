"""What one principal may find in some collections, all of it at one generation.

A view is fixed: what is committed while a search runs changes nothing in it. So both indexes and
the database speak of the same state of the corpus, in all steps of one search.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag_pipeline.retrieval.query import AsOf, KeywordQuery, Request
from storage.filters import Filter
from storage.following import Follower
from storage.ports import KeywordIndex, VectorIndex
from storage.ranking import NOTHING, Listing, Scores, best
from storage.reading import CorpusReader
from storage.records import (
    ChunkId,
    Collection,
    DocumentId,
    Ids,
    KeywordClause,
    Origin,
    Position,
    Principal,
    StoredChunk,
    StoredText,
    TermMatch,
    Vectors,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A collection, and what keeps its indexes in step with the database."""

    collection: Collection
    vectors: Follower[VectorIndex]
    keywords: Follower[KeywordIndex]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What may be found of one collection."""

    vectors: VectorIndex
    keywords: KeywordIndex
    allowed: Ids | None
    """Ascending; None: everything that the indexes hold."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What may be found and read, as of `generation`."""

    reader: CorpusReader
    principal: Principal
    origins: frozenset[Origin]
    where: Filter | None
    generation: int
    parts: tuple[Part, ...]

    def chunks(self, ids: Sequence[ChunkId]) -> dict[ChunkId, StoredChunk]:
        """The chunks among `ids` that may be read, each with the sources that are asked for."""
        return self.reader.chunks(
            ids,
            principal=self.principal,
            generation=self.generation,
            origins=self.origins,
            where=self.where,
        )

    def texts(self, documents: Iterable[DocumentId]) -> dict[DocumentId, StoredText]:
        """The whole texts of documents that were found."""
        return self.reader.document_texts(
            documents, principal=self.principal, generation=self.generation
        )

    def nearest(self, vector: Vectors, *, limit: int) -> Listing:
        """The best `limit` chunks by cosine, best first."""
        return self._best(
            limit, lambda part: part.vectors.search(vector, limit=limit, allowed=part.allowed)
        )

    def matching(self, query: KeywordQuery, *, limit: int) -> Listing:
        """The best `limit` chunks by the words that they share with `query`, best first."""
        return self._best(
            limit, lambda part: part.keywords.search(query, limit=limit, allowed=part.allowed)
        )

    def keyword_scores_of(self, ids: Ids, query: KeywordQuery) -> Scores:
        """The exact scores of `ids` (ascending) on the keyword side; 0 where no word is shared."""
        scores = [part.keywords.scores(query, ids) for part in self.parts]
        # Each chunk is in one part, and scores 0 in the others.
        return np.sum(scores, axis=0, dtype=np.float64) if len(scores) > 1 else scores[0]

    def documents_of(self, keys: Ids) -> Ids:
        """The document that each of `keys` is a chunk of."""
        if len(self.parts) == 1:
            return self.parts[0].vectors.documents(keys)
        documents = np.empty_like(keys)
        for part in self.parts:
            is_held = np.isin(keys, part.vectors.keys())
            documents[is_held] = part.vectors.documents(keys[is_held])
        return documents

    def vectors_of(self, keys: Ids) -> Vectors:
        """The vectors of `keys`, (keys.size, dimension), in their order."""
        if len(self.parts) == 1:
            return self.parts[0].vectors.vectors(keys)
        rows: dict[int, Vectors] = {}
        for part in self.parts:
            held = keys[np.isin(keys, part.vectors.keys())]
            rows.update(zip(held.tolist(), part.vectors.vectors(held), strict=True))
        return np.array([rows[key] for key in keys.tolist()], np.float32)

    def matches_of(
        self, ids: Sequence[ChunkId], query: KeywordQuery
    ) -> Mapping[ChunkId, Sequence[TermMatch]]:
        """Which terms of `query` add what to the keyword score of each of `ids`."""
        keys = np.array(sorted(ids), np.int64)
        found: dict[ChunkId, Sequence[TermMatch]] = {}
        for part in self.parts:
            found.update(part.keywords.explain(query, keys))
        return found

    def narrowed(self, clauses: Sequence[KeywordClause]) -> "View":
        """Without the chunks that lack what `clauses` demand or have what they forbid.

        The keyword index keeps to such clauses by itself; here the vector side learns of them.
        """
        demanded = [clause for clause in clauses if clause.occurrence == "must"]
        forbidden = [
            replace(clause, occurrence="should")
            for clause in clauses
            if clause.occurrence == "must_not"
        ]
        if not demanded and not forbidden:
            return self
        return replace(
            self, parts=tuple(_narrowed(part, demanded, forbidden) for part in self.parts)
        )

    def _best(self, limit: int, found_in: Callable[[Part], Listing]) -> Listing:
        if limit < 1:
            return NOTHING
        if len(self.parts) == 1:
            return found_in(self.parts[0])
        found = [found_in(part) for part in self.parts]
        ids = np.concatenate([one.ids for one in found])
        return best(ids, np.concatenate([one.scores for one in found]), limit)


def _narrowed(
    part: Part, demanded: Sequence[KeywordClause], forbidden: Sequence[KeywordClause]
) -> Part:
    allowed = part.keywords.keys() if part.allowed is None else part.allowed
    if demanded:
        having = part.keywords.search(demanded, limit=allowed.size, allowed=allowed)
        allowed = np.sort(having.ids)
    if forbidden:
        having = part.keywords.search(forbidden, limit=allowed.size, allowed=allowed)
        allowed = np.setdiff1d(allowed, having.ids, assume_unique=True)
    return replace(part, allowed=allowed)


def view_of(reader: CorpusReader, shelves: Sequence[Shelf], request: Request) -> View:
    """What `request` may find, at the generation it asks for or the one that is served now.

    Raises `AsOfError`, `FilterError`.
    """
    return view_at(reader, shelves, request, _position(reader, shelves, request.as_of))


def view_at(
    reader: CorpusReader, shelves: Sequence[Shelf], request: Request, position: Position
) -> View:
    """What `request` may find at `position`, whatever it says of the time.

    Raises `FilterError`.
    """
    return View(
        reader=reader,
        principal=request.principal,
        origins=request.origins,
        where=request.where,
        generation=position.generation,
        parts=tuple(_part(reader, shelf, request, position) for shelf in shelves),
    )


def _position(reader: CorpusReader, shelves: Sequence[Shelf], as_of: AsOf | None) -> Position:
    if isinstance(as_of, Position):
        return as_of
    if as_of is not None:
        return reader.position_as_of(as_of)
    position = shelves[0].vectors.catch_up()
    for follower in _followers(shelves):
        if follower.index.applied != position:
            follower.catch_up()
    return position


def are_at(shelves: Sequence[Shelf], position: Position) -> bool:
    """Whether no index has to be moved to stand at `position`."""
    return all(follower.index.applied == position for follower in _followers(shelves))


def _followers(shelves: Sequence[Shelf]) -> list[Follower[VectorIndex] | Follower[KeywordIndex]]:
    return [follower for shelf in shelves for follower in (shelf.vectors, shelf.keywords)]


def _part(reader: CorpusReader, shelf: Shelf, request: Request, position: Position) -> Part:
    return Part(
        vectors=shelf.vectors.at(position),
        keywords=shelf.keywords.at(position),
        allowed=reader.candidates(
            shelf.collection.collection_id,
            principal=request.principal,
            generation=position.generation,
            origins=request.origins,
            where=request.where,
        ),
    )
