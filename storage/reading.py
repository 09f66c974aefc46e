"""Reads of the corpus: always by a principal, always as of one generation.

What a principal may not read is never a candidate: `candidates` says, before any search, which
chunks may be found. A text may be read if one of its sources may; and only those are shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
)

from storage.bulk import rows_where
from storage.collection import all_collections, find_collection
from storage.engine import Database
from storage.errors import NotFoundError
from storage.models.corpus import (
    ChunkRow,
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
    Outline,
    Position,
    Principal,
    SourceRef,
    StoredChunk,
    StoredText,
)

REAL_ONLY = frozenset({Origin.REAL})


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
    served = func.coalesce(CorpusStateRow.held_at, CorpusStateRow.generation)
    row = connection.execute(
        select(GenerationRow.generation, GenerationRow.token).join(
            CorpusStateRow, GenerationRow.generation == served
        )
    ).first()
    return BEGINNING if row is None else Position(row.generation, row.token)


@dataclass(frozen=True, slots=True)
class CorpusReader:
    """What may be known of the corpus."""

    database: Database

    def served(self) -> Position:
        """Where a search has to stand now."""
        with self.database.read() as connection:
            return served_position(connection)

    def collection(self, name: str) -> Collection:
        """The collection of that name. Raises `NotFoundError` naming those that exist."""
        with self.database.read() as connection:
            found = find_collection(connection, name)
        if found is None:
            known = ", ".join(repr(collection.name) for collection in self.collections())
            raise NotFoundError(
                f"there is no collection {name!r}; "
                + (f"there are: {known}" if known else "run `rag ingest` first")
            )
        return found

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        with self.database.read() as connection:
            return all_collections(connection)

    def candidates(
        self,
        collection_id: CollectionId,
        *,
        principal: Principal,
        generation: int,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> Ids | None:
        """Chunks that a search may find, ascending; None means every chunk of the collection."""
        with self.database.read() as connection:
            if principal.is_owner and not _has_other_origins(connection, collection_id, origins):
                return None
            has_source = exists().where(
                SourceRow.document_id == ChunkRow.document_id,
                readable(principal, generation, origins),
            )
            rows = connection.execute(
                select(ChunkRow.chunk_id)
                .where(
                    ChunkRow.collection_id == collection_id,
                    holds_at(ChunkRow, generation),
                    has_source,
                )
                .order_by(ChunkRow.chunk_id)
            ).scalars()
            return np.fromiter(rows, np.int64)

    def chunks(
        self,
        chunk_ids: Sequence[ChunkId],
        *,
        principal: Principal,
        generation: int,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> dict[ChunkId, StoredChunk]:
        """The chunks among `chunk_ids` that hold at `generation` and may be read."""
        statement = select(
            ChunkRow.chunk_id,
            ChunkRow.document_id,
            ChunkRow.text,
            ChunkRow.start_offset,
            ChunkRow.end_offset,
        ).where(holds_at(ChunkRow, generation))
        with self.database.read() as connection:
            rows = list(rows_where(connection, statement, ChunkRow.chunk_id, chunk_ids))
            sources = sources_of(
                connection,
                {row.document_id for row in rows},
                readable(principal, generation, origins),
            )
            about = _about(connection, sources)
        return {
            ChunkId(row.chunk_id): _stored_chunk(
                row, about[row.document_id], sources[row.document_id]
            )
            for row in rows
            if row.document_id in sources
        }

    def neighbours(
        self,
        chunk_id: ChunkId,
        *,
        principal: Principal,
        generation: int,
        before: int = 1,
        after: int = 1,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> list[StoredChunk]:
        """The chunks next to `chunk_id` in its document, in the order of the text, without it.

        At most `before` and `after` of them; none if it does not hold at `generation` or may not
        be read.
        """
        with self.database.read() as connection:
            beside = _beside(connection, chunk_id, generation, before=before, after=after)
        found = self.chunks(beside, principal=principal, generation=generation, origins=origins)
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


def _has_other_origins(
    connection: Connection, collection_id: CollectionId, origins: frozenset[Origin]
) -> bool:
    """Whether asking for `origins` leaves anything out. Answered by a partial index."""
    if origins == frozenset(Origin):
        return False
    if Origin.REAL not in origins:
        return True
    synthetic = select(SourceRow.source_id).where(
        SourceRow.collection_id == collection_id, SourceRow.origin == Origin.SYNTHETIC.value
    )
    return connection.execute(synthetic.limit(1)).first() is not None


def readable(
    principal: Principal, generation: int, origins: frozenset[Origin]
) -> ColumnElement[bool]:
    """The sources that `principal` may know of."""
    return and_(
        holds_at(SourceRow, generation),
        SourceRow.origin.in_([origin.value for origin in origins]),
        true() if principal.is_owner else _unlabelled_or_for(principal),
    )


def _unlabelled_or_for(principal: Principal) -> ColumnElement[bool]:
    labelled = exists().where(SourceLabelRow.source_id == SourceRow.source_id)
    allowed = exists().where(
        SourceLabelRow.source_id == SourceRow.source_id,
        SourceLabelRow.label.in_(sorted(principal.labels)),
    )
    return or_(~labelled, allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What the chunks of one document have in common."""

    title: str
    language: str | None
    outline: Outline
    length: int


def _about(connection: Connection, documents: Iterable[int]) -> dict[int, _About]:
    statement = select(
        DocumentRow.document_id,
        DocumentRow.title,
        DocumentRow.language,
        DocumentRow.outline,
        func.length(DocumentRow.text).label("length"),
    )
    return {
        row.document_id: _About(
            title=row.title,
            language=row.language,
            outline=from_json(row.outline),
            length=row.length,
        )
        for row in rows_where(connection, statement, DocumentRow.document_id, sorted(documents))
    }


def _stored_chunk(
    row: Row[int, int, str, int, int], about: _About, sources: Sequence[SourceRef]
) -> StoredChunk:
    chunk_id, document_id, text, start, end = row
    outline, last = about.outline, end - 1
    return StoredChunk(
        chunk_id=ChunkId(chunk_id),
        document_id=DocumentId(document_id),
        text=text,
        title=_readable_title(about.title, sources),
        start=start,
        end=end,
        sources=tuple(sources),
        headings=common_path(outline, start, end),
        page=page_at(outline, start),
        last_page=page_at(outline, last),
        section=(
            section_at(outline, start, about.length)[0],
            section_at(outline, last, about.length)[1],
        ),
        language=about.language,
    )


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


def _readable_title(indexed: str, sources: Sequence[SourceRef]) -> str:
    """The title that the text is indexed with, unless only a hidden source gives it that."""
    return indexed if any(ref.title == indexed for ref in sources) else sources[0].title


def sources_of(
    connection: Connection, documents: Iterable[int], readable: ColumnElement[bool]
) -> dict[int, list[SourceRef]]:
    statement = (
        select(
            SourceRow.document_id,
            SourceRow.uri,
            SourceRow.external_id,
            SourceRow.title,
            SourceRow.source_metadata,
            SourceRow.origin,
        )
        .where(readable)
        .order_by(SourceRow.source_id)
    )
    found: dict[int, list[SourceRef]] = {}
    for row in rows_where(connection, statement, SourceRow.document_id, sorted(documents)):
        found.setdefault(row.document_id, []).append(
            SourceRef(
                source=row.uri,
                external_id=row.external_id,
                title=row.title,
                metadata=row.source_metadata,
                origin=Origin(row.origin),
            )
        )
    return found
