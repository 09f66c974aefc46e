"""Keeps a derived index in step with the database.

The index says where it stands; the change log says what came after. An index that stands nowhere
in this database's history (deleted, damaged, from another database or from before a restore) is
filled again from the chunks themselves.

The log is read backwards as well: that is how a search looks back, and how an index returns to a
generation that a quality gate holds. What that costs is what has changed in between.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, select

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.errors import StorageError
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, GenerationRow
from storage.models.erasure import ErasureRow
from storage.outline import common_path, from_json
from storage.ports import DerivedIndex
from storage.reading import holds_at, served_position
from storage.records import (
    BEGINNING,
    CollectionId,
    Entries,
    Ids,
    Outline,
    Position,
    Vectors,
)
from storage.vectors import VECTOR_DTYPE

_CHUNKS_A_STEP = 5_000
_FORKS = 4
"""Looks back that are remembered: each holds what has since been removed."""
_NOTHING = np.empty(0, np.int64)
_KEYS = (ChunkRow.chunk_id, ChunkRow.document_id)
_SAID = (ChunkRow.start_offset, ChunkRow.end_offset, ChunkRow.text)


Index_co = TypeVar("Index_co", bound=DerivedIndex, covariant=True)


class _Forks(Generic[Index_co]):
    """The forks that were asked for last, by where they stand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forks: OrderedDict[Position, Index_co] = OrderedDict()

    def get(self, position: Position) -> Index_co | None:
        with self._lock:
            return self._forks.get(position)

    def all(self) -> list[Index_co]:
        with self._lock:
            return list(self._forks.values())

    def clear(self) -> None:
        with self._lock:
            self._forks.clear()

    def keep(self, position: Position, fork: Index_co) -> None:  # type: ignore[misc]
        """The variance is sound: none but its follower fills it, which has one kind of index."""
        with self._lock:
            self._forks[position] = fork
            self._forks.move_to_end(position)
            while len(self._forks) > _FORKS:
                self._forks.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Follower(Generic[Index_co]):
    """Brings one index to a position of the corpus; safe to be called by many threads."""

    database: Database
    collection_id: CollectionId
    dimension: int
    index: Index_co
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _forking: threading.Lock = field(default_factory=threading.Lock)
    _forks: "_Forks[Index_co]" = field(default_factory=_Forks)

    def catch_up(self) -> Position:
        """Bring the index to the generation that is served now, and say which that is."""
        position = self.database.remembered(served_position, served_position)
        if self.index.applied == position:
            return position
        with self._lock:
            return self._catch_up()

    def rebuild(self) -> Position:
        """Fill the index anew from the database."""
        with self._lock:
            self.index.reset()
            return self._catch_up()

    def drop(self, chunks: Ids) -> None:
        """Keep nothing of these chunks (ascending), and of whatever else was dropped before."""
        with self._lock:
            with self.database.read() as connection:
                nothing = self._entries(connection, [])
            applied = self.index.applied
            self.index.apply(removed=chunks, added=nothing, position=applied)
            self._purge()
            self.index.publish()

    def _purge(self) -> None:
        self._forks.clear()
        self.index.purge()

    def _catch_up(self) -> Position:
        with self.database.read() as connection:
            # Read again: while this thread waited, another may have gone further than it saw.
            position, at = served_position(connection), self.index.applied
            if at == position:
                return position
            self._move(connection, self.index, position)
            is_erased = _erased_between(connection, at, position)
        if is_erased:
            self._purge()
        self.index.publish()
        return position

    def at(self, position: Position) -> Index_co:
        """The index as it stood, or will stand, at `position` of this database's history.

        It is a fork that never moves: a search on it sees one generation from beginning to end.
        Nobody may apply anything to it. The last few are kept.
        """
        found = self._forks.get(position)
        if found is None:
            found = self.index.fork()
            if found.applied != position:
                found = self._looking_back(position)
        self._forks.keep(position, found)
        return found

    def _looking_back(self, position: Position) -> Index_co:
        """One thread at a time makes a fork; whoever wants the present does not wait for it."""
        with self._forking:
            found = self._forks.get(position)
            return self._brought_to(position) if found is None else found

    def _brought_to(self, position: Position) -> Index_co:
        """A fork of what stands nearest to `position`, brought there."""
        forks = [self.index.fork(), *(fork.fork() for fork in self._forks.all())]
        distances = [abs(fork.applied.generation - position.generation) for fork in forks]
        nearest = forks[distances.index(min(distances))]
        with self.database.read() as connection:
            self._move(connection, nearest, position)
        return nearest

    def _move(self, connection: Connection, index: DerivedIndex, position: Position) -> None:
        """Bring `index` to `position`: forwards or back by the change log, where it stands in this
        database's history."""
        if _is_known(connection, index.applied) and _is_known(connection, position):
            self._replay(connection, index, position)
        else:
            self._refill(connection, index, position)

    def _replay(self, connection: Connection, index: DerivedIndex, upto: Position) -> None:
        start = index.applied
        added, removed = _changes(connection, self.collection_id, start, upto)
        steps = [*batches(added, _CHUNKS_A_STEP)] or [[]]
        for number, step in enumerate(steps, start=1):
            index.apply(
                # A replay that broke off may have added these already.
                removed=np.union1d(removed, np.array(step, np.int64)),
                added=self._entries(connection, step),
                position=upto if number == len(steps) else start,
            )

    def _refill(self, connection: Connection, index: DerivedIndex, position: Position) -> None:
        index.reset()
        for step in _live_chunks(connection, self.collection_id, position.generation):
            entries = self._entries(connection, step)
            index.apply(removed=_NOTHING, added=entries, position=BEGINNING)
        empty = self._entries(connection, [])
        index.apply(removed=_NOTHING, added=empty, position=position)

    def _entries(self, connection: Connection, chunk_ids: list[int]) -> Entries:
        """What the index reads of these chunks; the rest is left empty."""
        columns = [*_KEYS, *(_SAID if self.index.reads_texts else ())]
        columns += [ChunkRow.vector] if self.index.reads_vectors else []
        rows = sorted(rows_where(connection, select(*columns), ChunkRow.chunk_id, chunk_ids))
        stored = [row.vector for row in rows] if self.index.reads_vectors else []
        found = Entries(
            ids=np.array([row.chunk_id for row in rows], np.int64),
            documents=np.array([row.document_id for row in rows], np.int64),
            vectors=as_vectors(stored, self.dimension),
        )
        return _with_texts(connection, found, rows) if self.index.reads_texts else found


def _with_texts(connection: Connection, found: Entries, rows: Sequence[Row[Any]]) -> Entries:
    about = _about(connection, set(found.documents.tolist()))
    documents = [about[row.document_id] for row in rows]
    return replace(
        found,
        titles=[document.title for document in documents],
        headings=[
            common_path(document.outline, row.start_offset, row.end_offset)
            for row, document in zip(rows, documents, strict=True)
        ],
        texts=[row.text for row in rows],
        languages=[document.language for document in documents],
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


def _erased_between(connection: Connection, start: Position, upto: Position) -> bool:
    """Whether something was erased for good in a generation after `start`."""
    statement = select(ErasureRow.erasure_id).where(
        ErasureRow.generation > start.generation, ErasureRow.generation <= upto.generation
    )
    return connection.execute(statement.limit(1)).first() is not None


def _changes(
    connection: Connection, collection_id: CollectionId, start: Position, upto: Position
) -> tuple[list[int], Ids]:
    """Chunks to add and to remove from one position to a later or an earlier one; what came and
    went between them is left out."""
    first, last = sorted((start.generation, upto.generation))
    rows = connection.execute(
        select(ChangeRow.chunk_id, ChangeRow.kind).where(
            ChangeRow.collection_id == collection_id,
            ChangeRow.generation > first,
            ChangeRow.generation <= last,
        )
    ).all()
    added = {row.chunk_id for row in rows if row.kind == "add"}
    removed = {row.chunk_id for row in rows if row.kind == "remove"}
    if upto.generation < start.generation:
        added, removed = removed, added
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
