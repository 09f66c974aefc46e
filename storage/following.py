"""Keeps a derived index in step with the database.

The index says where it stands; the change log says what came after. An index that stands nowhere
in this database's history (deleted, damaged, from another database or from before a restore) is
filled again from the chunks themselves.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from sqlalchemy import Connection, select

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.errors import StorageError
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, GenerationRow
from storage.outline import common_path, from_json
from storage.ports import DerivedIndex
from storage.reading import holds_at, served_position
from storage.records import (
    BEGINNING,
    VECTOR_DTYPE,
    CollectionId,
    Entries,
    Ids,
    Outline,
    Position,
    Vectors,
)

_CHUNKS_A_STEP = 5_000
_NOTHING = np.empty(0, np.int64)


Index_co = TypeVar("Index_co", bound=DerivedIndex, covariant=True)


@dataclass(frozen=True, slots=True)
class Follower(Generic[Index_co]):
    """Brings one index to a position of the corpus; safe to be called by many threads."""

    database: Database
    collection_id: CollectionId
    dimension: int
    index: Index_co
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catch_up(self) -> Position:
        """Bring the index to the generation that is served now, and say which that is."""
        with self.database.read() as connection:
            position = served_position(connection)
        if self.index.applied == position:
            return position
        with self._lock:
            return self._catch_up()

    def rebuild(self) -> Position:
        """Fill the index anew from the database."""
        with self._lock:
            self.index.reset()
            return self._catch_up()

    def _catch_up(self) -> Position:
        with self.database.read() as connection:
            # Read again: while this thread waited, another may have gone further than it saw.
            position, at = served_position(connection), self.index.applied
            if at == position:
                return position
            if at.generation < position.generation and _is_known(connection, at):
                self._replay(connection, at, position)
            else:
                self._refill(connection, position)
        self.index.publish()
        return position

    def _replay(self, connection: Connection, after: Position, upto: Position) -> None:
        added, removed = _changes(connection, self.collection_id, after, upto)
        steps = [*batches(added, _CHUNKS_A_STEP)] or [[]]
        for number, step in enumerate(steps, start=1):
            self.index.apply(
                # A replay that broke off may have added these already.
                removed=np.union1d(removed, np.array(step, np.int64)),
                added=self._entries(connection, step),
                position=upto if number == len(steps) else after,
            )

    def _refill(self, connection: Connection, position: Position) -> None:
        self.index.reset()
        for step in _live_chunks(connection, self.collection_id, position.generation):
            entries = self._entries(connection, step)
            self.index.apply(removed=_NOTHING, added=entries, position=BEGINNING)
        empty = self._entries(connection, [])
        self.index.apply(removed=_NOTHING, added=empty, position=position)

    def _entries(self, connection: Connection, chunk_ids: list[int]) -> Entries:
        statement = select(
            ChunkRow.chunk_id,
            ChunkRow.document_id,
            ChunkRow.start_offset,
            ChunkRow.end_offset,
            ChunkRow.text,
            ChunkRow.vector,
        )
        rows = sorted(rows_where(connection, statement, ChunkRow.chunk_id, chunk_ids))
        about = _about(connection, {row.document_id for row in rows})
        documents = [about[row.document_id] for row in rows]
        return Entries(
            ids=np.array([row.chunk_id for row in rows], np.int64),
            titles=[document.title for document in documents],
            headings=[
                common_path(document.outline, row.start_offset, row.end_offset)
                for row, document in zip(rows, documents, strict=True)
            ],
            texts=[row.text for row in rows],
            languages=[document.language for document in documents],
            vectors=as_vectors([row.vector for row in rows], self.dimension),
        )


@dataclass(frozen=True, slots=True)
class _About:
    """What the chunks of one document have in common."""

    title: str
    language: str | None
    outline: Outline


def _about(connection: Connection, documents: set[int]) -> dict[int, _About]:
    statement = select(
        DocumentRow.document_id, DocumentRow.title, DocumentRow.language, DocumentRow.outline
    )
    rows = rows_where(connection, statement, DocumentRow.document_id, sorted(documents))
    return {
        row.document_id: _About(row.title, row.language, from_json(row.outline)) for row in rows
    }


def as_vectors(stored: list[bytes], dimension: int) -> Vectors:
    """Stored vectors as one float32 array (len(stored), dimension).

    Raises `StorageError` for a vector of another size.
    """
    if any(len(vector) != dimension * VECTOR_DTYPE.itemsize for vector in stored):
        raise StorageError(
            f"a stored vector is damaged: it has not {dimension} numbers; restore a backup of the"
            " database, or ingest its document into a new one"
        )
    flat = np.frombuffer(b"".join(stored), VECTOR_DTYPE)
    return flat.reshape(len(stored), dimension).astype(np.float32, copy=False)


def _is_known(connection: Connection, position: Position) -> bool:
    """Whether `position` is a point of this very database's history."""
    token = connection.execute(
        select(GenerationRow.token).filter_by(generation=position.generation)
    ).scalar()
    return token == position.token


def _changes(
    connection: Connection, collection_id: CollectionId, after: Position, upto: Position
) -> tuple[list[int], Ids]:
    """Chunks to add and to remove between two positions; what came and went is left out."""
    rows = connection.execute(
        select(ChangeRow.chunk_id, ChangeRow.kind).where(
            ChangeRow.collection_id == collection_id,
            ChangeRow.generation > after.generation,
            ChangeRow.generation <= upto.generation,
        )
    ).all()
    added = {row.chunk_id for row in rows if row.kind == "add"}
    removed = {row.chunk_id for row in rows if row.kind == "remove"}
    return sorted(added - removed), np.array(sorted(removed - added), np.int64)


def _live_chunks(
    connection: Connection, collection_id: CollectionId, generation: int
) -> Iterator[list[int]]:
    """The keys of all chunks that hold at `generation`, in steps, ascending."""
    statement = (
        select(ChunkRow.chunk_id)
        .where(ChunkRow.collection_id == collection_id, holds_at(ChunkRow, generation))
        .order_by(ChunkRow.chunk_id)
        .limit(_CHUNKS_A_STEP)
    )
    last = 0
    while step := list(connection.execute(statement.where(ChunkRow.chunk_id > last)).scalars()):
        yield step
        last = step[-1]
