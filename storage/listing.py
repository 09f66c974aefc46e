"""Documents page by page, and each of them whole: as one principal may know them.

All pages of a listing are of one generation, so that what is committed between two of them neither
hides a document nor shows one twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.filters import Filter
from storage.filters.corpus import source_fields
from storage.filters.sql import condition
from storage.memo import Memo
from storage.models.corpus import ChangeRow, ChunkRow, CollectionRow, DocumentRow, SourceRow
from storage.outline import from_json
from storage.reading import holds_at, readable, served_position, sources_of
from storage.records import (
    NO_OUTLINE,
    ChunkId,
    Collection,
    CollectionId,
    DocumentId,
    Origin,
    Outline,
    Principal,
    SourceRef,
)
from storage.words import contains_words

MAX_PAGE = 200
ALL_ORIGINS = frozenset(Origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which documents are listed."""

    collection_id: CollectionId
    principal: Principal
    origins: frozenset[Origin] = ALL_ORIGINS
    where: Filter | None = None
    source: str = ""
    """What the place begins with that a document was found at."""
    words: str = ""
    """All of them stand in one of its titles, ids or places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDocument:
    """A document without its text, and those of its sources that may be read, oldest first."""

    document_id: DocumentId
    collection: str
    language: str | None
    characters: int
    chunks: int
    from_generation: int
    to_generation: int | None
    """None: it still holds."""
    sources: tuple[SourceRef, ...]
    suspicions: tuple[tuple[int, int, str], ...] = ()
    """Spans that speak to a model instead of a reader: start, end, reason."""
    similarity: float | None = None
    """To the text that it is nearly the same as, if there is one."""
    is_held_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeDocument:
    """A document with all that is stored of it, as of `generation`."""

    generation: int
    about: ListedDocument
    text: str
    outline: Outline = NO_OUTLINE
    chunks: tuple[tuple[ChunkId, int, int], ...] = ()
    """Key, start and end of each, in the order of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCounts:
    """What a principal may read of a collection."""

    documents: int
    chunks: int
    generation: int
    """The last one that changed the collection; 0 if none has."""


@dataclass(frozen=True, slots=True)
class DocumentListing:
    """Reads documents for people to look at."""

    database: Database
    _counted: Memo = field(default_factory=Memo, repr=False, compare=False)

    def page(
        self, wanted: Wanted, *, generation: int, limit: int, before: int | None = None
    ) -> list[ListedDocument]:
        """The newest `limit` documents whose key is less than `before`, newest first.

        Raises `FilterError`, and `InvalidRecordError` for a limit that is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_PAGE}")
        may_read = readable(wanted.principal, generation, wanted.origins)
        with self.database.read() as connection:
            keys = _keys(connection, wanted, may_read, limit=limit, before=before)
            return _listed(connection, keys, may_read, generation)

    def document(
        self, document_id: DocumentId, *, principal: Principal, generation: int
    ) -> WholeDocument:
        """One document as of `generation`. Raises `NotFoundError`, missing or foreign."""
        may_read = readable(principal, generation, ALL_ORIGINS)
        with self.database.read() as connection:
            found = _listed(connection, [document_id], may_read, generation)
            if not found:
                raise NotFoundError(f"there is no document {document_id}")
            row = connection.execute(
                select(DocumentRow.text, DocumentRow.outline).filter_by(document_id=document_id)
            ).one()
            return WholeDocument(
                generation=generation,
                about=found[0],
                text=row.text,
                outline=from_json(row.outline),
                chunks=_spans(connection, document_id, generation),
            )

    def counts(self, collection: Collection, *, principal: Principal) -> CollectionCounts:
        """How much of `collection` the principal may read of what is served."""

        def counted(connection: Connection) -> CollectionCounts:
            return _counts(connection, collection.collection_id, principal)

        key = ("counts", collection.collection_id, principal)
        if not principal.is_owner:
            return self.database.remembered(key, counted)
        # Nothing but a generation changes what an owner may read; to count it may take a second.
        at = self.database.remembered(served_position, served_position)
        return self._counted.of(
            (*key, at.token),
            (at.generation, 0),
            lambda: self.database.remembered(key, counted),
        )


def _keys(
    connection: Connection,
    wanted: Wanted,
    may_read: ColumnElement[bool],
    *,
    limit: int,
    before: int | None,
) -> list[DocumentId]:
    statement = (
        select(SourceRow.document_id)
        .where(SourceRow.collection_id == wanted.collection_id, may_read)
        .distinct()
        .order_by(SourceRow.document_id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(SourceRow.document_id < before)
    if wanted.source:
        statement = statement.where(SourceRow.uri.startswith(wanted.source, autoescape=True))
    if wanted.words:
        columns = (SourceRow.title, SourceRow.external_id, SourceRow.uri)
        statement = statement.where(contains_words(wanted.words, columns))
    if wanted.where is not None:
        fields = source_fields(connection, wanted.collection_id, may_read)
        statement = statement.where(condition(wanted.where, fields))
    return [DocumentId(key) for key in connection.execute(statement).scalars()]


def _listed(
    connection: Connection,
    keys: Sequence[DocumentId],
    may_read: ColumnElement[bool],
    generation: int,
) -> list[ListedDocument]:
    """Those of `keys` that may be read and hold at `generation`, in the order of `keys`."""
    statement = (
        select(
            DocumentRow.document_id,
            CollectionRow.name.label("collection"),
            DocumentRow.language,
            func.length(DocumentRow.text).label("characters"),
            DocumentRow.from_generation,
            DocumentRow.to_generation,
            DocumentRow.suspicions,
            DocumentRow.similarity,
            DocumentRow.is_held_back,
        )
        .join(CollectionRow, CollectionRow.collection_id == DocumentRow.collection_id)
        .where(holds_at(DocumentRow, generation))
    )
    rows = {
        row.document_id: row
        for row in rows_where(connection, statement, DocumentRow.document_id, keys)
    }
    sources = sources_of(connection, rows, may_read)
    chunks = _chunk_counts(connection, keys, generation)
    return [
        _listed_document(rows[key], sources[key], chunks.get(key, 0))
        for key in keys
        if key in sources
    ]


def _listed_document(
    row: Row[*tuple[Any, ...]], sources: Sequence[SourceRef], chunks: int
) -> ListedDocument:
    return ListedDocument(
        document_id=DocumentId(row.document_id),
        collection=row.collection,
        language=row.language,
        characters=row.characters,
        chunks=chunks,
        from_generation=row.from_generation,
        to_generation=row.to_generation,
        sources=tuple(sources),
        suspicions=tuple((start, end, reason) for start, end, reason in row.suspicions or ()),
        similarity=row.similarity,
        is_held_back=row.is_held_back,
    )


def _chunk_counts(
    connection: Connection, keys: Sequence[DocumentId], generation: int
) -> Mapping[int, int]:
    # Each key is in one list of values only, so that no count is cut in two.
    statement = (
        select(ChunkRow.document_id, func.count().label("chunks"))
        .where(holds_at(ChunkRow, generation))
        .group_by(ChunkRow.document_id)
    )
    rows = rows_where(connection, statement, ChunkRow.document_id, keys)
    return {row.document_id: row.chunks for row in rows}


def _spans(
    connection: Connection, document_id: DocumentId, generation: int
) -> tuple[tuple[ChunkId, int, int], ...]:
    statement = (
        select(ChunkRow.chunk_id, ChunkRow.start_offset, ChunkRow.end_offset)
        .where(ChunkRow.document_id == document_id, holds_at(ChunkRow, generation))
        .order_by(ChunkRow.start_offset, ChunkRow.chunk_id)
    )
    return tuple((ChunkId(row[0]), row[1], row[2]) for row in connection.execute(statement))


def _counts(
    connection: Connection, collection_id: CollectionId, principal: Principal
) -> CollectionCounts:
    generation = served_position(connection).generation
    documents = (
        select(SourceRow.document_id)
        .where(
            SourceRow.collection_id == collection_id, readable(principal, generation, ALL_ORIGINS)
        )
        .distinct()
        .subquery()
    )
    # Of an index alone, which has all that is asked: rows of chunks are heavy with their vectors.
    chunks = (
        select(func.count())
        .select_from(documents)
        .join(ChunkRow, ChunkRow.document_id == documents.c.document_id)
        .where(holds_at(ChunkRow, generation))
    )
    last = select(func.max(ChangeRow.generation)).where(
        ChangeRow.collection_id == collection_id, ChangeRow.generation <= generation
    )
    return CollectionCounts(
        documents=connection.execute(select(func.count()).select_from(documents)).scalar_one(),
        chunks=connection.execute(chunks).scalar_one(),
        generation=connection.execute(last).scalar_one() or 0,
    )
