"""Documents by the ids that their sources give them, and the vectors of chunks that were found."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import exists, func, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.filters import Filter
from storage.filters.corpus import source_fields
from storage.filters.sql import condition
from storage.models.corpus import ChunkRow, DocumentRow, SourceRow
from storage.reading import holds_at, readable
from storage.records import (
    ChunkId,
    CollectionId,
    DocumentId,
    Origin,
    Principal,
    SourceId,
    SourceRef,
    Vectors,
)
from storage.vectors import VECTOR_DTYPE

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What a driver would refuse, even as something to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    """A document as one of its sources gives it."""

    document_id: DocumentId
    text: str
    source: SourceRef


def documents_named(
    database: Database,
    collection_id: CollectionId,
    external_ids: Sequence[str],
    *,
    principal: Principal,
    generation: int,
) -> list[SourceDocument]:
    """The documents that `principal` may read under one of `external_ids`, in their order; of one
    id that several sources use the oldest first."""
    statement = (
        select(
            SourceRow.source_id,
            SourceRow.document_id,
            SourceRow.uri,
            SourceRow.external_id,
            SourceRow.title,
            SourceRow.source_metadata,
            SourceRow.origin,
            DocumentRow.text,
        )
        .join(DocumentRow, DocumentRow.document_id == SourceRow.document_id)
        .where(
            SourceRow.collection_id == collection_id,
            readable(principal, generation, frozenset(Origin)),
        )
    )
    place = {name: number for number, name in reversed([*enumerate(_storable(external_ids))])}
    with database.read() as connection:
        rows = [*rows_where(connection, statement, SourceRow.external_id, [*place])]
    return [
        SourceDocument(
            document_id=DocumentId(row.document_id),
            text=row.text,
            source=SourceRef(
                source=row.uri,
                external_id=row.external_id,
                title=row.title,
                metadata=row.source_metadata,
                origin=Origin(row.origin),
            ),
        )
        for row in sorted(rows, key=lambda row: (place[row.external_id], row.source_id))
    ]


def sources_named(
    database: Database,
    collection_id: CollectionId,
    external_ids: Sequence[str],
    *,
    principal: Principal,
    generation: int,
) -> list[SourceId]:
    """The sources that use one of `external_ids` and that `principal` may know of."""
    statement = select(SourceRow.source_id).where(
        SourceRow.collection_id == collection_id,
        readable(principal, generation, frozenset(Origin)),
    )
    with database.read() as connection:
        rows = rows_where(connection, statement, SourceRow.external_id, _storable(external_ids))
        return sorted({SourceId(row.source_id) for row in rows})


def sources_where(
    database: Database,
    collection_id: CollectionId,
    where: Filter,
    principal: Principal,
    *,
    generation: int,
) -> list[SourceId]:
    """The sources that fulfil `where` and that `principal` may know of. Raises `FilterError`."""
    may_read = readable(principal, generation, frozenset(Origin))
    with database.read() as connection:
        fields = source_fields(connection, collection_id, may_read)
        found = connection.execute(
            select(SourceRow.source_id)
            .where(SourceRow.collection_id == collection_id, may_read, condition(where, fields))
            .order_by(SourceRow.source_id)
        )
        return [SourceId(key) for key in found.scalars()]


def external_ids_held(
    database: Database,
    collection_id: CollectionId,
    external_ids: Sequence[str],
    *,
    principal: Principal,
    generation: int,
) -> frozenset[str]:
    """Those of `external_ids` that a search by `principal` for real documents can find."""
    statement = select(SourceRow.external_id).where(
        SourceRow.collection_id == collection_id,
        readable(principal, generation, frozenset({Origin.REAL})),
    )
    with database.read() as connection:
        rows = rows_where(connection, statement, SourceRow.external_id, _storable(external_ids))
        return frozenset(row.external_id for row in rows)


def vectors_of(
    database: Database, chunk_ids: Sequence[ChunkId], *, principal: Principal, generation: int
) -> dict[ChunkId, Vectors]:
    """The vector of each chunk among `chunk_ids` that may be read, float32 (dimension,)."""
    has_source = exists().where(
        SourceRow.document_id == ChunkRow.document_id,
        readable(principal, generation, frozenset(Origin)),
    )
    statement = select(ChunkRow.chunk_id, ChunkRow.vector).where(
        holds_at(ChunkRow, generation), has_source
    )
    with database.read() as connection:
        rows = rows_where(connection, statement, ChunkRow.chunk_id, chunk_ids)
        return {ChunkId(row[0]): np.frombuffer(row[1], VECTOR_DTYPE) for row in rows}


def undivided_texts(
    database: Database,
    documents: Sequence[DocumentId],
    *,
    principal: Principal,
    generation: int,
) -> dict[DocumentId, str]:
    """The whole text of each of `documents` that is one chunk, and that may be read."""
    has_source = exists().where(
        SourceRow.document_id == DocumentRow.document_id,
        readable(principal, generation, frozenset(Origin)),
    )
    chunks = (
        select(func.count())
        .where(ChunkRow.document_id == DocumentRow.document_id, holds_at(ChunkRow, generation))
        .scalar_subquery()
    )
    statement = select(DocumentRow.document_id, DocumentRow.text).where(chunks == 1, has_source)
    with database.read() as connection:
        rows = rows_where(connection, statement, DocumentRow.document_id, documents)
        return {DocumentId(row.document_id): row.text for row in rows}


def _storable(names: Sequence[str]) -> list[str]:
    return [name for name in names if not _UNSTORABLE.search(name)]
