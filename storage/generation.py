"""One COMMIT of the corpus: everything that a batch changes, as one generation."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, func, insert, select, update

from storage.bulk import rows_where
from storage.clock import now
from storage.errors import InvalidRecordError, LeaseLostError
from storage.models.corpus import (
    ChangeRow,
    ChunkRow,
    CollectionRow,
    CorpusStateRow,
    DocumentRow,
    GenerationRow,
    SourceLabelRow,
    SourceRow,
)
from storage.places import attributes_sha256, place_sha256
from storage.records import (
    VECTOR_DTYPE,
    ChunkId,
    CollectionId,
    Committed,
    DocumentId,
    NewChunk,
    NewDocument,
    NewSource,
    Placement,
    Position,
    RunId,
    SourceId,
)


@dataclass(slots=True, kw_only=True)
class Generation:
    """One transaction in progress."""

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
    ) -> "Generation":
        """Take the next generation and, past what is handed out already, enough free keys."""
        documents = [p.document for p in placements if isinstance(p.document, NewDocument)]
        chunks = sum(len(document.chunks) for document in documents)
        moved = _count_moved(connection, documents)
        state = connection.execute(
            update(CorpusStateRow)
            .where(CorpusStateRow.fence == fence)
            .values(
                generation=CorpusStateRow.generation + 1,
                next_document_id=CorpusStateRow.next_document_id + len(documents),
                next_source_id=CorpusStateRow.next_source_id + len(placements) + moved,
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
            raise LeaseLostError(
                "another writer took over the corpus; nothing of this batch was stored. Run again"
            )
        position = Position(state.generation, secrets.token_hex(16))
        connection.execute(
            insert(GenerationRow).values(
                generation=position.generation,
                token=position.token,
                committed_at=now(),
                run_id=run_id,
            )
        )
        space = connection.execute(
            select(CollectionRow.space_dimension).filter_by(collection_id=collection_id)
        ).scalar()
        return cls(
            connection=connection,
            collection_id=collection_id,
            dimension=space,
            position=position,
            next_document=state.next_document_id - len(documents),
            next_source=state.next_source_id - len(placements) - moved,
            next_chunk=state.next_chunk_id - chunks,
        )

    def store(self, placements: Sequence[Placement], removals: Sequence[SourceId]) -> Committed:
        replaced = [p.replaces for p in placements if p.replaces is not None]
        shrunk = self._close_sources([*replaced, *removals])
        retired, moving = self._retire_superseded(placements)
        documents, added = self._insert_documents(placements)
        self._insert_sources(placements, documents)
        self._move_sources(moving, placements, documents)
        gone = retired + self._close_orphans(shrunk)
        self._log(added, gone)
        return Committed(
            position=self.position,
            document_ids=tuple(documents),
            external_ids=tuple(p.source.external_id for p in placements),
            chunks_added=len(added),
            chunks_removed=len(gone),
            sources_removed=len(removals),
        )

    def _close_sources(self, sources: Sequence[SourceId]) -> list[DocumentId]:
        """Close `sources`; the documents that may have lost their last one."""
        statement = (
            update(SourceRow)
            .where(SourceRow.source_id == bindparam("key"), SourceRow.to_generation.is_(None))
            .values(to_generation=self.position.generation)
        )
        if not sources:
            return []
        self.connection.execute(statement, [{"key": source} for source in sources])
        rows = rows_where(
            self.connection, select(SourceRow.document_id), SourceRow.source_id, sources
        )
        return sorted({row.document_id for row in rows})

    def _retire_superseded(
        self, placements: Sequence[Placement]
    ) -> tuple[list[ChunkId], dict[DocumentId, list[Mapping[str, Any]]]]:
        """Close documents whose text gets a new version; their sources will move to it."""
        superseded = [
            p.document.supersedes
            for p in placements
            if isinstance(p.document, NewDocument) and p.document.supersedes is not None
        ]
        moving = {document: self._live_sources(document) for document in superseded}
        self._close_sources([row["source_id"] for rows in moving.values() for row in rows])
        return self._close_documents(superseded), moving

    def _live_sources(self, document: DocumentId) -> list[Mapping[str, Any]]:
        columns = [
            getattr(SourceRow, a.key).label(a.key) for a in SourceRow.__mapper__.column_attrs
        ]
        statement = select(*columns).where(
            SourceRow.document_id == document, SourceRow.to_generation.is_(None)
        )
        return [dict(row._mapping) for row in self.connection.execute(statement)]

    def _insert_documents(
        self, placements: Sequence[Placement]
    ) -> tuple[list[DocumentId], list[ChunkId]]:
        """Store the new documents with their chunks; the document of each placement, in order."""
        placed: list[DocumentId] = []
        document_rows: list[dict[str, Any]] = []
        chunk_rows: list[dict[str, Any]] = []
        for placement in placements:
            if not isinstance(placement.document, NewDocument):
                placed.append(placement.document)
                continue
            key = DocumentId(self.next_document + len(document_rows))
            placed.append(key)
            document_rows.append(self._document_values(key, placement.document))
            for chunk in placement.document.chunks:
                chunk_id = self.next_chunk + len(chunk_rows)
                chunk_rows.append(self._chunk_values(chunk_id, key, chunk))
        self._insert(DocumentRow, document_rows)
        self._insert(ChunkRow, chunk_rows)
        return placed, [ChunkId(row["chunk_id"]) for row in chunk_rows]

    def _document_values(self, key: DocumentId, document: NewDocument) -> dict[str, Any]:
        return {
            "document_id": key,
            "collection_id": self.collection_id,
            "content_sha256": document.content_sha256,
            "title": document.title,
            "text": document.text,
            "from_generation": self.position.generation,
        }

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
        for placement, document in zip(placements, documents, strict=True):
            key = self._next_source_id()
            source_rows.append(self._source_values(key, document, placement.source))
            labels = sorted(placement.source.read_labels)
            label_rows += [{"source_id": key, "label": label} for label in labels]
        self._insert(SourceRow, source_rows)
        self._insert(SourceLabelRow, label_rows)

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
            "attributes_sha256": attributes_sha256(source),
            "origin": source.origin.value,
            "generator_id": source.generator_id,
            "from_generation": self.position.generation,
        }

    def _move_sources(
        self,
        moving: Mapping[DocumentId, list[Mapping[str, Any]]],
        placements: Sequence[Placement],
        documents: Sequence[DocumentId],
    ) -> None:
        """Copy the sources of superseded documents to the versions that supersede them."""
        for placement, document in zip(placements, documents, strict=True):
            if not isinstance(placement.document, NewDocument):
                continue
            for row in moving.get(placement.document.supersedes or DocumentId(0), ()):
                self._copy_source(row, document)

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


def _count_moved(connection: Connection, documents: Iterable[NewDocument]) -> int:
    superseded = [d.supersedes for d in documents if d.supersedes is not None]
    if not superseded:
        return 0
    return connection.execute(
        select(func.count())
        .select_from(SourceRow)
        .where(SourceRow.document_id.in_(superseded), SourceRow.to_generation.is_(None))
    ).scalar_one()
