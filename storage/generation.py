"""One COMMIT of the corpus: everything that a batch changes, as one generation."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from storage.bulk import batches, rows_where
from storage.clock import now
from storage.errors import InvalidRecordError, LeaseLostError
from storage.metadata_values import values_of
from storage.models.corpus import (
    ChangeRow,
    ChunkRow,
    CollectionRow,
    CorpusStateRow,
    DocumentRow,
    GenerationRow,
    ResourceRow,
    SourceLabelRow,
    SourceRow,
    SourceValueRow,
    TextKeyRow,
)
from storage.outline import as_json
from storage.places import place_sha256, uri_sha256
from storage.records import (
    ChunkId,
    CollectionId,
    Committed,
    Confirmed,
    DocumentId,
    Likeness,
    Metadata,
    NewChunk,
    NewDocument,
    NewSource,
    Placement,
    Position,
    RunId,
    SourceId,
    TextKeys,
)
from storage.vectors import VECTOR_DTYPE

_LOST = "another writer took over the corpus; nothing of this batch was stored. Run again"


@dataclass(slots=True, kw_only=True)
class Generation:
    """One transaction in progress, with the keys that it may give away."""

    connection: Connection
    collection_id: CollectionId
    dimension: int | None
    position: Position
    next_document: int
    next_source: int
    next_chunk: int

    @classmethod
    def begin(
        cls,
        connection: Connection,
        *,
        collection_id: CollectionId,
        fence: int,
        run_id: RunId,
        placements: Sequence[Placement],
        renewed: Sequence[NewDocument],
    ) -> "Generation":
        """Take the next generation, and as many free keys as `store` will need."""
        documents = _new_documents(placements, renewed)
        chunks = sum(len(document.chunks) for document in documents)
        sources = len(placements) + _count_moving(connection, documents)
        state = connection.execute(
            update(CorpusStateRow)
            .where(CorpusStateRow.fence == fence)
            .values(
                generation=CorpusStateRow.generation + 1,
                next_document_id=CorpusStateRow.next_document_id + len(documents),
                next_source_id=CorpusStateRow.next_source_id + sources,
                next_chunk_id=CorpusStateRow.next_chunk_id + chunks,
            )
            .returning(
                CorpusStateRow.generation,
                CorpusStateRow.next_document_id,
                CorpusStateRow.next_source_id,
                CorpusStateRow.next_chunk_id,
            )
        ).first()
        if state is None:
            raise LeaseLostError(_LOST)
        position = Position(state.generation, secrets.token_hex(16))
        _record_generation(connection, position, run_id)
        return cls(
            connection=connection,
            collection_id=collection_id,
            dimension=_dimension(connection, collection_id),
            position=position,
            next_document=state.next_document_id - len(documents),
            next_source=state.next_source_id - sources,
            next_chunk=state.next_chunk_id - chunks,
        )

    def store(
        self,
        placements: Sequence[Placement],
        renewed: Sequence[NewDocument],
        removals: Sequence[SourceId],
        confirmed: Sequence[Confirmed] = (),
    ) -> Committed:
        """Write everything; what it replaces is closed first, so that no two versions are live."""
        self._forget_resources(removals)
        self._confirm(confirmed)
        replaced = [p.replaces for p in placements if p.replaces is not None]
        shrunk = self._close_sources([*replaced, *removals])
        documents = _new_documents(placements, renewed)
        superseded = [d.supersedes for d in documents if d.supersedes is not None]
        moving = {key: self._live_sources(key) for key in superseded}
        self._close_sources([row["source_id"] for rows in moving.values() for row in rows])
        gone = self._close_documents(superseded)
        key_of, added = self._insert_documents(documents)
        placed = [_key(placement.document, key_of) for placement in placements]
        self._insert_sources(placements, placed)
        for document in documents:
            for row in moving.get(document.supersedes or DocumentId(0), ()):
                self._copy_source(row, key_of[document.content_sha256])
        gone += self._close_orphans([key for key in shrunk if key not in superseded])
        self._log(added, gone)
        return Committed(
            position=self.position,
            document_ids=tuple(placed),
            external_ids=tuple(p.source.external_id for p in placements),
            chunks_added=len(added),
            chunks_removed=len(gone),
            sources_removed=len(removals),
        )

    def _close_sources(self, sources: Sequence[SourceId]) -> list[DocumentId]:
        """Close `sources`; the documents that may have lost their last one."""
        if not sources:
            return []
        self.connection.execute(
            update(SourceRow)
            .where(SourceRow.source_id == bindparam("key"), SourceRow.to_generation.is_(None))
            .values(to_generation=self.position.generation),
            [{"key": source} for source in sources],
        )
        rows = rows_where(
            self.connection, select(SourceRow.document_id), SourceRow.source_id, sources
        )
        return sorted({row.document_id for row in rows})

    def _live_sources(self, document: DocumentId) -> list[Mapping[str, Any]]:
        statement = select(SourceRow.__table__).where(
            SourceRow.document_id == document, SourceRow.to_generation.is_(None)
        )
        return [dict(row._mapping) for row in self.connection.execute(statement)]

    def _insert_documents(
        self, documents: Sequence[NewDocument]
    ) -> tuple[dict[str, DocumentId], list[ChunkId]]:
        """Store documents with their chunks; the documents' keys by content, and the chunks'."""
        key_of: dict[str, DocumentId] = {}
        chunk_rows: list[dict[str, Any]] = []
        for number, document in enumerate(documents):
            key = key_of[document.content_sha256] = DocumentId(self.next_document + number)
            for chunk in document.chunks:
                chunk_id = self.next_chunk + len(chunk_rows)
                chunk_rows.append(self._chunk_values(chunk_id, key, chunk))
        self._insert(
            DocumentRow, [self._document_values(key_of[d.content_sha256], d) for d in documents]
        )
        self._insert(ChunkRow, chunk_rows)
        keys_of = ((key_of[document.content_sha256], document.keys) for document in documents)
        self._insert(TextKeyRow, self._key_rows(keys_of))
        return key_of, [ChunkId(row["chunk_id"]) for row in chunk_rows]

    def _document_values(self, key: DocumentId, document: NewDocument) -> dict[str, Any]:
        return {
            "document_id": key,
            "collection_id": self.collection_id,
            "content_sha256": document.content_sha256,
            "fingerprint": document.fingerprint,
            "title": document.title,
            "text": document.text,
            "outline": as_json(document.outline),
            "language": document.language,
            "suspicions": [list(found) for found in document.suspicions] or None,
            **_likeness_values(document.likeness),
            "from_generation": self.position.generation,
        }

    def _key_rows(self, keys_of: Iterable[tuple[DocumentId, TextKeys]]) -> list[dict[str, Any]]:
        """In the order of their table, where each page is then written once."""
        held = sorted(
            {
                (kind, key, document)
                for document, keys in keys_of
                for kind, some in (("near", keys.near), ("edge", keys.edge))
                for key in some
            }
        )
        return [
            {
                "collection_id": self.collection_id,
                "kind": kind,
                "key": key,
                "document_id": document,
            }
            for kind, key, document in held
        ]

    def _confirm(self, confirmed: Sequence[Confirmed]) -> None:
        """Note anew how texts were made that came out the same: of them nothing is closed."""
        for document in confirmed:
            self.connection.execute(
                update(DocumentRow)
                .where(DocumentRow.document_id == document.document_id)
                .values(fingerprint=document.fingerprint)
            )
        rows = self._key_rows((document.document_id, document.keys) for document in confirmed)
        for row in rows:
            self.connection.execute(delete(TextKeyRow).filter_by(**row))
        self._insert(TextKeyRow, rows)

    def _forget_resources(self, removals: Sequence[SourceId]) -> None:
        """A resource whose documents are removed has to be read again if it comes back."""
        rows = rows_where(self.connection, select(SourceRow.uri), SourceRow.source_id, removals)
        hashes = [uri_sha256(uri) for uri in {row.uri for row in rows}]
        for batch in batches(hashes):
            self.connection.execute(
                delete(ResourceRow).where(
                    ResourceRow.collection_id == self.collection_id,
                    ResourceRow.uri_sha256.in_(batch),
                )
            )

    def _chunk_values(self, key: int, document: DocumentId, chunk: NewChunk) -> dict[str, Any]:
        vector = np.ascontiguousarray(chunk.vector, VECTOR_DTYPE)
        if vector.shape != (self.dimension,) or not np.isfinite(vector).all():
            raise InvalidRecordError(
                f"a vector of shape {vector.shape} (or with a value that is not finite) can't be"
                f" stored in a collection of dimension {self.dimension}; check the embedder"
            )
        return {
            "chunk_id": key,
            "collection_id": self.collection_id,
            "document_id": document,
            "start_offset": chunk.start,
            "end_offset": chunk.end,
            "text": chunk.text,
            "embedded_sha256": chunk.embedded_sha256,
            "vector": vector.tobytes(),
            "from_generation": self.position.generation,
        }

    def _insert_sources(
        self, placements: Sequence[Placement], documents: Sequence[DocumentId]
    ) -> None:
        source_rows: list[dict[str, Any]] = []
        label_rows: list[dict[str, Any]] = []
        value_rows: list[dict[str, Any]] = []
        for placement, document in zip(placements, documents, strict=True):
            key = self._next_source_id()
            source_rows.append(self._source_values(key, document, placement.source))
            labels = sorted(placement.source.read_labels)
            label_rows += [{"source_id": key, "label": label} for label in labels]
            value_rows += self._value_rows(key, placement.source.metadata)
        self._insert(SourceRow, source_rows)
        self._insert(SourceLabelRow, label_rows)
        self._insert(SourceValueRow, value_rows)

    def _source_values(self, key: int, document: DocumentId, source: NewSource) -> dict[str, Any]:
        return {
            "source_id": key,
            "collection_id": self.collection_id,
            "document_id": document,
            "place_sha256": place_sha256(source.uri, source.external_id),
            "uri": source.uri,
            "external_id": source.external_id,
            "title": source.title,
            "source_metadata": dict(source.metadata),
            "media_type": source.media_type,
            "record_sha256": source.record_sha256,
            "fingerprint": source.fingerprint,
            "origin": source.origin.value,
            "generator_id": source.generator_id,
            "from_generation": self.position.generation,
        }

    def _value_rows(self, key: int, metadata: Metadata) -> list[dict[str, Any]]:
        return [
            {
                "source_id": key,
                "ordinal": ordinal,
                "collection_id": self.collection_id,
                **asdict(value),
            }
            for ordinal, value in enumerate(values_of(metadata))
        ]

    def _copy_source(self, row: Mapping[str, Any], document: DocumentId) -> None:
        key = self._next_source_id()
        labels = self.connection.execute(
            select(SourceLabelRow.label).filter_by(source_id=row["source_id"])
        ).scalars()
        label_rows = [{"source_id": key, "label": label} for label in labels]
        copied = {
            **row,
            "source_id": key,
            "document_id": document,
            "from_generation": self.position.generation,
        }
        self.connection.execute(insert(SourceRow), [copied])
        self._insert(SourceLabelRow, label_rows)
        self._insert(SourceValueRow, self._value_rows(key, row["source_metadata"]))

    def _close_orphans(self, documents: Sequence[DocumentId]) -> list[ChunkId]:
        """Close those of `documents` that no live source has; the chunks that go with them."""
        statement = select(SourceRow.document_id).where(SourceRow.to_generation.is_(None))
        rows = rows_where(self.connection, statement, SourceRow.document_id, documents)
        alive = {row.document_id for row in rows}
        return self._close_documents([key for key in documents if key not in alive])

    def _close_documents(self, documents: Sequence[DocumentId]) -> list[ChunkId]:
        if not documents:
            return []
        rows = rows_where(
            self.connection,
            select(ChunkRow.chunk_id).where(ChunkRow.to_generation.is_(None)),
            ChunkRow.document_id,
            documents,
        )
        chunks = [ChunkId(row.chunk_id) for row in rows]
        for table in (DocumentRow, ChunkRow):
            self.connection.execute(
                update(table)
                .where(table.document_id == bindparam("key"), table.to_generation.is_(None))
                .values(to_generation=self.position.generation),
                [{"key": document} for document in documents],
            )
        return chunks

    def _log(self, added: Sequence[ChunkId], removed: Sequence[ChunkId]) -> None:
        kinds = [(chunk, "add") for chunk in added] + [(chunk, "remove") for chunk in removed]
        self._insert(
            ChangeRow,
            [
                {
                    "collection_id": self.collection_id,
                    "generation": self.position.generation,
                    "chunk_id": chunk,
                    "kind": kind,
                }
                for chunk, kind in kinds
            ],
        )

    def _next_source_id(self) -> int:
        self.next_source += 1
        return self.next_source - 1

    def _insert(self, table: type[Any], rows: list[dict[str, Any]]) -> None:
        if rows:
            self.connection.execute(insert(table), rows)


def pass_generation(connection: Connection, fence: int) -> Position:
    """A generation in which nothing comes or goes: it stands for what else its transaction does.

    Raises `LeaseLostError` if another writer took over.
    """
    generation = connection.execute(
        update(CorpusStateRow)
        .where(CorpusStateRow.fence == fence)
        .values(generation=CorpusStateRow.generation + 1)
        .returning(CorpusStateRow.generation)
    ).scalar()
    if generation is None:
        raise LeaseLostError(_LOST)
    position = Position(generation, secrets.token_hex(16))
    _record_generation(connection, position, None)
    return position


def _new_documents(
    placements: Sequence[Placement], renewed: Sequence[NewDocument]
) -> list[NewDocument]:
    """The documents to store, each once, in the order in which they first come."""
    placed = [p.document for p in placements if isinstance(p.document, NewDocument)]
    return list({d.content_sha256: d for d in [*placed, *renewed]}.values())


def _likeness_values(likeness: Likeness | None) -> dict[str, Any]:
    if likeness is None:
        return {"near_sha256": None, "similarity": None, "is_held_back": False}
    return {
        "near_sha256": likeness.content_sha256,
        "similarity": likeness.similarity,
        "is_held_back": likeness.is_held_back,
    }


def _key(document: DocumentId | NewDocument, key_of: Mapping[str, DocumentId]) -> DocumentId:
    return key_of[document.content_sha256] if isinstance(document, NewDocument) else document


def _count_moving(connection: Connection, documents: Iterable[NewDocument]) -> int:
    superseded = [d.supersedes for d in documents if d.supersedes is not None]
    rows = rows_where(
        connection,
        select(func.count()).where(SourceRow.to_generation.is_(None)),
        SourceRow.document_id,
        superseded,
    )
    return sum(row[0] for row in rows)


def _record_generation(connection: Connection, position: Position, run_id: RunId | None) -> None:
    connection.execute(
        insert(GenerationRow).values(
            generation=position.generation,
            token=position.token,
            committed_at=now(),
            run_id=run_id,
        )
    )


def _dimension(connection: Connection, collection_id: CollectionId) -> int | None:
    statement = select(CollectionRow.space_dimension).filter_by(collection_id=collection_id)
    return connection.execute(statement).scalar()


def hold_fence(connection: Connection, fence: int) -> None:
    """Keep other writers out until the transaction ends. Raises `LeaseLostError` if one is in."""
    held = connection.execute(
        update(CorpusStateRow).where(CorpusStateRow.fence == fence).values(fence=fence)
    )
    if not held.rowcount:
        raise LeaseLostError(_LOST)
