"""Reads of the corpus: always by a principal, always as of one generation.

What a principal may not read is never a candidate: `candidates` says, before any search, which
chunks may be found. A text may be read if one of its sources may; and only those are shown. A
filter is asked of the same source.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)

from storage.as_of import position_as_of
from storage.bulk import rows_in_one_where, rows_where
from storage.candidates import Candidates
from storage.collection import all_collections
from storage.engine import Database
from storage.errors import NotFoundError
from storage.filters.corpus import dialect_of, fields_of_each_source, source_fields
from storage.filters.expression import Filter
from storage.filters.sql import Dialect, condition
from storage.models.base import aliased
from storage.models.corpus import (
    ChunkRow,
    CollectionLabelRow,
    CollectionRow,
    CorpusStateRow,
    DocumentRow,
    GenerationRow,
    SourceLabelRow,
    SourceRow,
)
from storage.outline import common_path, from_json, page_at, section_at
from storage.records import (
    BEGINNING,
    ChunkId,
    Collection,
    CollectionId,
    DocumentId,
    Ids,
    Origin,
    Position,
    Principal,
    SourceRef,
    StoredChunk,
    StoredText,
    Suspicion,
)

REAL_ONLY = frozenset({Origin.REAL})
_CONDITIONS = 256
"""Of each kind, that are kept: to build one takes longer than to ask it."""
_SERVED = select(GenerationRow.generation, GenerationRow.token).join(
    CorpusStateRow,
    GenerationRow.generation == func.coalesce(CorpusStateRow.held_at, CorpusStateRow.generation),
)
_CHUNKS = select(
    ChunkRow.chunk_id,
    ChunkRow.document_id,
    ChunkRow.text,
    ChunkRow.start_offset,
    ChunkRow.end_offset,
    DocumentRow.title,
    DocumentRow.language,
    DocumentRow.outline,
    DocumentRow.suspicions,
    func.length(DocumentRow.text).label("length"),
).join(DocumentRow, DocumentRow.document_id == ChunkRow.document_id)
_SOURCES = select(
    SourceRow.source_id,
    SourceRow.document_id,
    SourceRow.uri,
    SourceRow.external_id,
    SourceRow.title,
    SourceRow.source_metadata,
    SourceRow.origin,
)


@lru_cache(_CONDITIONS)
def holds_at(
    table: type[ChunkRow] | type[DocumentRow] | type[SourceRow], generation: int
) -> ColumnElement[bool]:
    """The versions of `table` that were live when `generation` was."""
    return and_(
        table.from_generation <= generation,
        or_(table.to_generation.is_(None), table.to_generation > generation),
    )


def served_position(connection: Connection) -> Position:
    """The generation that is to be served: the last one, unless a gate holds it back."""
    row = connection.execute(_SERVED).first()
    return BEGINNING if row is None else Position(row.generation, row.token)


def carried_labels(principal: Principal) -> frozenset[str]:
    """The labels that open what carries one of them to `principal`."""
    groups = {f"group:{group}" for group in principal.groups}
    return principal.labels | groups | {f"user:{principal.name}"}


@dataclass(frozen=True, slots=True)
class CorpusReader:
    """What may be known of the corpus."""

    database: Database
    _candidates: Candidates = field(default_factory=Candidates, repr=False, compare=False)

    def served(self) -> Position:
        """Where a search has to stand now."""
        return self.database.remembered(served_position, served_position)

    def committed(self) -> Position:
        """The newest generation, whether or not a quality gate holds it back."""
        with self.database.read() as connection:
            return _committed_position(connection)

    def position_as_of(self, value: int | datetime | str) -> Position:
        """Where a search has to stand to look back to a generation or a time.

        Text is either; without a zone a time is UTC, and a date means its end. Raises `AsOfError`
        for what lies before the first generation, in the future, or is neither.
        """
        with self.database.read() as connection:
            return position_as_of(connection, value, served_position(connection))

    def collection(self, name: str, *, principal: Principal) -> Collection:
        """The collection of that name.

        Raises `NotFoundError`, naming those that there are, if there is none for `principal`.
        """
        known = self.collections(principal=principal)
        for collection in known:
            if collection.name == name:
                return collection
        names = ", ".join(repr(collection.name) for collection in known)
        raise NotFoundError(
            f"there is no collection {name!r}; "
            + (f"there are: {names}" if names else "run `rag ingest` first")
        )

    def collections(self, *, principal: Principal) -> list[Collection]:
        """All collections that `principal` may know of, by name."""

        def known(connection: Connection) -> list[Collection]:
            closed = frozenset(connection.execute(_closed_collections(principal)).scalars())
            return [
                collection
                for collection in all_collections(connection)
                if principal.is_owner or collection.collection_id not in closed
            ]

        return [*self.database.remembered(("collections", principal), known)]

    def candidates(
        self,
        collection_id: CollectionId,
        *,
        principal: Principal,
        generation: int,
        origins: frozenset[Origin] = REAL_ONLY,
        where: Filter | None = None,
    ) -> Ids | None:
        """Chunks that a search may find, ascending; None means every chunk of the collection.

        They have a source that `principal` may read and that fulfils `where`. Raises `FilterError`
        if `where` names a field that no readable source has, or compares it with what it can't be.
        """
        if where is None and principal.is_owner and not self._leaves_out(collection_id, origins):
            return None
        asked = (collection_id, principal, generation)
        at = self.database.remembered(
            ("standpoint", *asked), lambda connection: _standpoint(connection, *asked)
        )
        found = None if at is None else self._candidates.get((asked, at, origins, where))
        return self._newly_found(asked, origins, where) if found is None else found

    def chunks(
        self,
        chunk_ids: Sequence[ChunkId],
        *,
        principal: Principal,
        generation: int,
        origins: frozenset[Origin] = REAL_ONLY,
        where: Filter | None = None,
    ) -> dict[ChunkId, StoredChunk]:
        """The chunks among `chunk_ids` that hold at `generation` and have a source that may be
        read and fulfils `where`; only such sources are shown."""
        with self.database.read() as connection:
            statement = _chunks_at(generation)
            rows = rows_in_one_where(connection, statement, ChunkRow.chunk_id, chunk_ids)
            may_read = readable(principal, generation, origins)
            if where is not None:
                may_read = and_(may_read, _fulfils(where, dialect_of(connection)))
            sources = sources_of(connection, {row[1] for row in rows}, may_read)
        found = [_stored_chunk(row, sources[row[1]]) for row in rows if row[1] in sources]
        return {chunk.chunk_id: chunk for chunk in found}

    def _leaves_out(self, collection_id: CollectionId, origins: frozenset[Origin]) -> bool:
        """Whether asking for `origins` leaves anything of the collection out."""
        if origins == frozenset(Origin):
            return False
        if Origin.REAL not in origins:
            return True
        return self.database.remembered(
            ("has synthetic", collection_id),
            # Answered by a partial index.
            lambda connection: (
                connection.execute(_one_synthetic(collection_id)).first() is not None
            ),
        )

    def _newly_found(
        self,
        asked: tuple[CollectionId, Principal, int],
        origins: frozenset[Origin],
        where: Filter | None,
    ) -> Ids:
        """What may be found, kept for who asks the same."""
        collection_id, principal, generation = asked
        with self.database.read() as connection:
            at = _standpoint(connection, *asked)
            if at is None:
                return np.empty(0, np.int64)
            may_read = readable(principal, generation, origins)
            found = _found(connection, collection_id, generation, may_read, where)
        self._candidates.keep((asked, at, origins, where), found)
        return found

    def neighbours(
        self,
        chunk_id: ChunkId,
        *,
        principal: Principal,
        generation: int,
        before: int = 1,
        after: int = 1,
        origins: frozenset[Origin] = REAL_ONLY,
        where: Filter | None = None,
    ) -> list[StoredChunk]:
        """The chunks next to `chunk_id` in its document, in the order of the text, without it.

        At most `before` and `after` of them; none if it does not hold at `generation` or may not
        be read.
        """
        with self.database.read() as connection:
            beside = _beside(connection, chunk_id, generation, before=before, after=after)
        found = self.chunks(
            beside, principal=principal, generation=generation, origins=origins, where=where
        )
        return [found[key] for key in beside if key in found]

    def document_texts(
        self, documents: Iterable[DocumentId], *, principal: Principal, generation: int
    ) -> dict[DocumentId, StoredText]:
        """The stored texts among `documents` that may be read, by document."""
        has_source = exists().where(
            SourceRow.document_id == DocumentRow.document_id,
            readable(principal, generation, frozenset(Origin)),
        )
        statement: Select[int, str, list[Any] | None] = select(
            DocumentRow.document_id, DocumentRow.text, DocumentRow.outline
        ).where(has_source)
        with self.database.read() as connection:
            rows = rows_where(connection, statement, DocumentRow.document_id, list(documents))
            return {
                DocumentId(row[0]): StoredText(text=row[1], outline=from_json(row[2]))
                for row in rows
            }


@lru_cache(_CONDITIONS)
def _one_synthetic(collection_id: CollectionId) -> Select[int]:
    return (
        select(SourceRow.source_id)
        .where(SourceRow.collection_id == collection_id, SourceRow.origin == Origin.SYNTHETIC.value)
        .limit(1)
    )


def _committed_position(connection: Connection) -> Position:
    row = connection.execute(
        select(GenerationRow.generation, GenerationRow.token).join(
            CorpusStateRow, GenerationRow.generation == CorpusStateRow.generation
        )
    ).first()
    return BEGINNING if row is None else Position(row.generation, row.token)


def _standpoint(
    connection: Connection, collection_id: CollectionId, principal: Principal, generation: int
) -> tuple[str | None, str | None] | None:
    """What decides, besides the number of a generation, what `principal` may find in it: which
    history it belongs to, and whether permissions may have changed since. None: nothing at all."""
    token = select(GenerationRow.token).filter_by(generation=generation).scalar_subquery()
    newest = (
        select(GenerationRow.token)
        .join(CorpusStateRow, GenerationRow.generation == CorpusStateRow.generation)
        .scalar_subquery()
    )
    is_closed = exists().where(
        CollectionRow.collection_id == collection_id,
        CollectionRow.collection_id.in_(_closed_collections(principal)),
    )
    at, last, closed = connection.execute(select(token, newest, is_closed)).one()
    if principal.is_owner:
        return at, None
    return None if closed else (at, last)


def _found(
    connection: Connection,
    collection_id: CollectionId,
    generation: int,
    may_read: ColumnElement[bool],
    where: Filter | None,
) -> Ids:
    sources = select(SourceRow.document_id).where(
        SourceRow.collection_id == collection_id, may_read
    )
    if where is not None:
        fields = source_fields(connection, collection_id, may_read)
        sources = sources.where(condition(where, fields))
    statement = select(ChunkRow.chunk_id).where(
        ChunkRow.document_id.in_(sources), holds_at(ChunkRow, generation)
    )
    return np.sort(np.fromiter(connection.execute(statement).scalars(), np.int64))


@lru_cache(_CONDITIONS)
def readable(
    principal: Principal, generation: int, origins: frozenset[Origin]
) -> ColumnElement[bool]:
    """The sources that `principal` may know of."""
    return and_(
        holds_at(SourceRow, generation),
        _comes_from(origins),
        true() if principal.is_owner else _permitted(principal),
    )


def _comes_from(origins: frozenset[Origin]) -> ColumnElement[bool]:
    """Not by IN: SQLAlchemy writes its values into the statement anew each time."""
    if origins == frozenset(Origin):
        return true()
    return or_(false(), *(SourceRow.origin == origin.value for origin in origins))


@lru_cache(_CONDITIONS)
def _permitted(principal: Principal) -> ColumnElement[bool]:
    """The versions of sources that `principal` may read, and might still read today.

    Who looks back is asked by the labels of today as well: a source that was closed to a reader
    is closed in all its versions.
    """
    today = aliased(SourceRow)
    is_closed_today = exists().where(
        today.collection_id == SourceRow.collection_id,
        today.place_sha256 == SourceRow.place_sha256,
        today.to_generation.is_(None),
        ~_unlabelled_or_for(today, principal),
    )
    return and_(
        _unlabelled_or_for(SourceRow, principal),
        or_(SourceRow.to_generation.is_(None), ~is_closed_today),
        SourceRow.collection_id.not_in(_closed_collections(principal)),
    )


def _unlabelled_or_for(source: type[SourceRow], principal: Principal) -> ColumnElement[bool]:
    labelled = exists().where(SourceLabelRow.source_id == source.source_id)
    allowed = exists().where(
        SourceLabelRow.source_id == source.source_id,
        SourceLabelRow.label.in_(sorted(carried_labels(principal))),
    )
    return or_(~labelled, allowed)


@lru_cache(_CONDITIONS)
def _closed_collections(principal: Principal) -> Select[int]:
    """The collections that have labels, none of them one that `principal` carries."""
    opened = select(CollectionLabelRow.collection_id).where(
        CollectionLabelRow.label.in_(sorted(carried_labels(principal)))
    )
    return select(CollectionLabelRow.collection_id).where(
        CollectionLabelRow.collection_id.not_in(opened)
    )


@lru_cache(_CONDITIONS)
def _fulfils(where: Filter, dialect: Dialect) -> ColumnElement[bool]:
    return condition(where, fields_of_each_source(dialect))


def _stored_chunk(row: Sequence[Any], sources: Sequence[SourceRef]) -> StoredChunk:
    chunk_id, document_id, text, start, end, title, language, stored_outline, marked, length = row
    outline, last = from_json(stored_outline), end - 1
    return StoredChunk(
        chunk_id=ChunkId(chunk_id),
        document_id=DocumentId(document_id),
        text=text,
        title=_readable_title(title, sources),
        start=start,
        end=end,
        sources=tuple(sources),
        headings=common_path(outline, start, end),
        page=page_at(outline, start),
        last_page=page_at(outline, last),
        section=(
            section_at(outline, start, length)[0],
            section_at(outline, last, length)[1],
        ),
        language=language,
        suspicions=_touching(marked or (), start, end),
    )


def _touching(marked: Sequence[Sequence[Any]], start: int, end: int) -> tuple[Suspicion, ...]:
    found = (Suspicion(*one) for one in marked)
    return tuple(one for one in found if one.start < end and one.end > start)


def _beside(
    connection: Connection, chunk_id: ChunkId, generation: int, *, before: int, after: int
) -> list[ChunkId]:
    """The keys of the chunks next to one that holds at `generation`, in the order of the text."""
    held = select(ChunkRow.document_id, ChunkRow.start_offset).where(
        ChunkRow.chunk_id == chunk_id, holds_at(ChunkRow, generation)
    )
    row = connection.execute(held).first()
    if row is None:
        return []
    place, at = tuple_(ChunkRow.start_offset, ChunkRow.chunk_id), (row.start_offset, chunk_id)
    same = select(ChunkRow.chunk_id).where(
        ChunkRow.document_id == row.document_id, holds_at(ChunkRow, generation)
    )
    above = same.where(place < at).order_by(ChunkRow.start_offset.desc(), ChunkRow.chunk_id.desc())
    below = same.where(place > at).order_by(ChunkRow.start_offset, ChunkRow.chunk_id)
    nearest = connection.execute(above.limit(before)).scalars().all()
    following = connection.execute(below.limit(after)).scalars().all()
    return [ChunkId(key) for key in (*reversed(nearest), *following)]


@lru_cache(_CONDITIONS)
def _chunks_at(generation: int) -> Select[*tuple[Any, ...]]:
    return _CHUNKS.where(holds_at(ChunkRow, generation))


@lru_cache(_CONDITIONS)
def _sources_where(readable: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return _SOURCES.where(readable)


def _readable_title(indexed: str, sources: Sequence[SourceRef]) -> str:
    """The title that the text is indexed with, unless only a hidden source gives it that."""
    return indexed if any(ref.title == indexed for ref in sources) else sources[0].title


def sources_of(
    connection: Connection, documents: Iterable[int], readable: ColumnElement[bool]
) -> dict[int, list[SourceRef]]:
    rows = rows_in_one_where(
        connection, _sources_where(readable), SourceRow.document_id, sorted(documents)
    )
    rows.sort(key=itemgetter(0))
    found: dict[int, list[SourceRef]] = {}
    for _, document_id, uri, external_id, title, metadata, origin in rows:
        found.setdefault(document_id, []).append(
            SourceRef(
                source=uri,
                external_id=external_id,
                title=title,
                metadata=metadata,
                origin=Origin(origin),
            )
        )
    return found
