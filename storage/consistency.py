"""Compares the database with itself and with the indexes: says what differs, changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, and_, exists, func, or_, select

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.following import as_vectors
from storage.models.base import aliased
from storage.models.corpus import ChunkRow, CorpusStateRow, DocumentRow, SourceLabelRow, SourceRow
from storage.ports import DerivedIndex
from storage.reading import holds_at
from storage.record_sets.checks import record_differences
from storage.records import Collection, Ids, Vectors

_SHOWN = 5
_CHUNKS_A_STEP = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How much there is at one generation, over all collections."""

    committed: int
    documents: int
    chunks: int


def count(database: Database, generation: int) -> Counted:
    """What the database holds at `generation`."""
    with database.read() as connection:
        return Counted(
            committed=connection.execute(select(CorpusStateRow.generation)).scalar_one(),
            documents=_count(connection, DocumentRow, generation),
            chunks=_count(connection, ChunkRow, generation),
        )


def database_differences(database: Database, generation: int) -> list[str]:
    """Rows that contradict each other at `generation`."""
    with database.read() as connection:
        return [
            *_texts_without_source(connection, generation),
            *_sources_without_text(connection, generation),
            *_texts_without_chunk(connection, generation),
            *_held_back_without_original(connection, generation),
            *_held_back_from_readers(connection, generation),
            *_chunks_without_document(connection),
            *_chunks_unlike_their_document(connection, generation),
            *record_differences(connection),
        ]


def index_differences(
    database: Database, collection: Collection, generation: int, name: str, index: DerivedIndex
) -> list[str]:
    """Chunks that only one of the database and `index` holds."""
    with database.read() as connection:
        stored = _live_ids(connection, collection, generation)
    held = index.keys()
    missing, extra = np.setdiff1d(stored, held), np.setdiff1d(held, stored)
    where = f"{name} index of collection {collection.name!r}"
    return [
        *([f"{where}: lacks chunks {_some(missing)}"] if missing.size else []),
        *([f"{where}: holds chunks that are not stored: {_some(extra)}"] if extra.size else []),
    ]


def vector_differences(
    database: Database,
    collection: Collection,
    generation: int,
    held: Ids,
    indexed_vectors: Callable[[Ids], Vectors],
) -> list[str]:
    """Chunks whose vector in the index is not, bit for bit, the one that is stored.

    `held` are the keys that the index has; what it lacks is for `index_differences` to say.
    """
    assert collection.space is not None
    statement = select(ChunkRow.chunk_id, ChunkRow.vector).order_by(ChunkRow.chunk_id)
    unlike: list[int] = []
    with database.read() as connection:
        both = np.intersect1d(_live_ids(connection, collection, generation), held)
        for step in batches(both, _CHUNKS_A_STEP):
            rows = list(rows_where(connection, statement, ChunkRow.chunk_id, [*map(int, step)]))
            stored = as_vectors([row.vector for row in rows], collection.space.dimension)
            differs = (stored != indexed_vectors(np.array(step, np.int64))).any(axis=1)
            unlike += [rows[at].chunk_id for at in np.flatnonzero(differs)]
    if not unlike:
        return []
    chunks = _some(np.array(unlike, np.int64))
    return [f"vector index of collection {collection.name!r}: other vectors for chunks {chunks}"]


def _count(
    connection: Connection, table: type[DocumentRow] | type[ChunkRow], generation: int
) -> int:
    statement = select(func.count()).select_from(table).where(holds_at(table, generation))
    return connection.execute(statement).scalar_one()


def _live_ids(connection: Connection, collection: Collection, generation: int) -> Ids:
    rows = connection.execute(
        select(ChunkRow.chunk_id)
        .where(ChunkRow.collection_id == collection.collection_id, holds_at(ChunkRow, generation))
        .order_by(ChunkRow.chunk_id)
    ).scalars()
    return np.fromiter(rows, np.int64)


def _texts_without_source(connection: Connection, generation: int) -> Iterator[str]:
    sourced = select(SourceRow.document_id).where(holds_at(SourceRow, generation))
    statement = select(DocumentRow.document_id).where(
        holds_at(DocumentRow, generation), DocumentRow.document_id.not_in(sourced)
    )
    for key in connection.execute(statement).scalars():
        yield f"document {key}: no source has it, yet it is live"


def _sources_without_text(connection: Connection, generation: int) -> Iterator[str]:
    live = select(DocumentRow.document_id).where(holds_at(DocumentRow, generation))
    statement = select(SourceRow.source_id, SourceRow.uri).where(
        holds_at(SourceRow, generation), SourceRow.document_id.not_in(live)
    )
    for row in connection.execute(statement):
        yield f"source {row.source_id} ({row.uri}): its document is not live"


def _texts_without_chunk(connection: Connection, generation: int) -> Iterator[str]:
    cut = select(ChunkRow.document_id).where(holds_at(ChunkRow, generation))
    statement = select(DocumentRow.document_id).where(
        holds_at(DocumentRow, generation),
        ~DocumentRow.is_held_back,
        DocumentRow.document_id.not_in(cut),
    )
    for key in connection.execute(statement).scalars():
        yield f"document {key}: it has no chunk, so no search finds it"


def _held_back_without_original(connection: Connection, generation: int) -> Iterator[str]:
    original = aliased(DocumentRow)
    is_there = exists().where(
        original.collection_id == DocumentRow.collection_id,
        original.content_sha256 == DocumentRow.near_sha256,
        holds_at(original, generation),
        ~original.is_held_back,
    )
    statement = select(DocumentRow.document_id).where(
        holds_at(DocumentRow, generation), DocumentRow.is_held_back, ~is_there
    )
    for key in connection.execute(statement).scalars():
        yield f"document {key}: it is held back for a text that is not there"


def _held_back_from_readers(connection: Connection, generation: int) -> Iterator[str]:
    """Texts that somebody may read and finds neither by them nor by their original."""
    original, source = aliased(DocumentRow), aliased(SourceRow)
    other, label, other_label = aliased(SourceRow), aliased(SourceLabelRow), aliased(SourceLabelRow)
    is_of_original = and_(
        other.document_id == original.document_id,
        other.origin == source.origin,
        holds_at(other, generation),
    )
    is_open = exists().where(
        is_of_original, ~exists().where(SourceLabelRow.source_id == other.source_id)
    )
    has_label = exists().where(label.source_id == source.source_id)
    lacks_label = exists().where(
        label.source_id == source.source_id,
        ~exists().where(
            is_of_original,
            other_label.source_id == other.source_id,
            other_label.label == label.label,
        ),
    )
    statement = (
        select(DocumentRow.document_id)
        .join(
            original,
            and_(
                original.collection_id == DocumentRow.collection_id,
                original.content_sha256 == DocumentRow.near_sha256,
                holds_at(original, generation),
            ),
        )
        .join(source, source.document_id == DocumentRow.document_id)
        .where(
            holds_at(DocumentRow, generation),
            DocumentRow.is_held_back,
            holds_at(source, generation),
            ~is_open,
            or_(~has_label, lacks_label),
        )
        .distinct()
    )
    for key in connection.execute(statement).scalars():
        yield f"document {key}: it is held back from readers who may not read its original"


def _chunks_without_document(connection: Connection) -> Iterator[str]:
    statement = (
        select(ChunkRow.chunk_id)
        .join(DocumentRow, DocumentRow.document_id == ChunkRow.document_id)
        .where(
            or_(
                ChunkRow.from_generation != DocumentRow.from_generation,
                ChunkRow.to_generation.is_distinct_from(DocumentRow.to_generation),
                ChunkRow.collection_id != DocumentRow.collection_id,
            )
        )
    )
    for key in connection.execute(statement).scalars():
        yield f"chunk {key}: it does not hold when its document does"


def _chunks_unlike_their_document(connection: Connection, generation: int) -> Iterator[str]:
    keys = connection.execute(
        select(DocumentRow.document_id).where(holds_at(DocumentRow, generation))
    ).scalars()
    chunks = select(
        ChunkRow.chunk_id,
        ChunkRow.document_id,
        ChunkRow.start_offset,
        ChunkRow.end_offset,
        ChunkRow.text,
    )
    texts = select(DocumentRow.document_id, DocumentRow.text)
    for step in batches(list(keys), _CHUNKS_A_STEP):
        text_of = {
            row[0]: row[1] for row in rows_where(connection, texts, DocumentRow.document_id, step)
        }
        for row in rows_where(connection, chunks, ChunkRow.document_id, step):
            if text_of[row.document_id][row.start_offset : row.end_offset] != row.text:
                yield f"chunk {row.chunk_id}: it is not what stands at its place in the document"


def _some(ids: Ids) -> str:
    shown = ", ".join(str(key) for key in ids[:_SHOWN])
    return shown if ids.size <= _SHOWN else f"{shown} and {ids.size - _SHOWN} more"
