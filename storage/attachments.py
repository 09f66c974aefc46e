"""Which documents of a collection say, in a field of their metadata, that one file gave them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.models.corpus import ChunkRow, GenerationRow, SourceRow, SourceValueRow
from storage.reading import holds_at, readable
from storage.records import CollectionId, Metadata, Origin, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file and what it gave."""

    file_id: str
    chunks: int
    metadata: Metadata
    """Of its first document."""
    since: datetime
    """When that came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """The files of one collection, as of `generation`, that `principal` may know of."""

    database: Database
    collection_id: CollectionId
    field: str
    """The name of the metadata field that names the file."""
    principal: Principal
    generation: int

    def page(
        self, *, limit: int, after: str | None = None, newest_first: bool = True
    ) -> list[Attachment]:
        """The `limit` files whose ids stand behind `after` in the order of ids."""
        name = SourceValueRow.text_key
        statement = select(name).join(SourceRow, self._is_said_of_source()).where(*self._said())
        if after is not None:
            statement = statement.where(name < after if newest_first else name > after)
        ordered = statement.order_by(name.desc() if newest_first else name)
        with self.database.read() as connection:
            found = connection.execute(ordered.distinct().limit(limit)).scalars().all()
        return self.of([file_id for file_id in found if file_id is not None])

    def of(self, file_ids: Sequence[str]) -> list[Attachment]:
        """Those of `file_ids` that are there, in their order."""
        statement = (
            select(
                SourceValueRow.text_key.label("file_id"),
                SourceRow.source_id,
                SourceRow.document_id,
                SourceRow.source_metadata,
                GenerationRow.committed_at,
            )
            .join(SourceRow, self._is_said_of_source())
            .join(GenerationRow, GenerationRow.generation == SourceRow.from_generation)
            .where(*self._said())
        )
        with self.database.read() as connection:
            rows = sorted(
                rows_where(connection, statement, SourceValueRow.text_key, file_ids),
                key=lambda row: row.source_id,
            )
            documents = sorted({row.document_id for row in rows})
            counted = (
                select(ChunkRow.document_id, func.count().label("chunks"))
                .where(holds_at(ChunkRow, self.generation))
                .group_by(ChunkRow.document_id)
            )
            chunks = {
                row.document_id: row.chunks
                for row in rows_where(connection, counted, ChunkRow.document_id, documents)
            }
        found = {one.file_id: one for one in _attachments(rows, chunks)}
        return [found[file_id] for file_id in file_ids if file_id in found]

    def _is_said_of_source(self) -> ColumnElement[bool]:
        return SourceRow.source_id == SourceValueRow.source_id

    def _said(self) -> tuple[ColumnElement[bool], ...]:
        return (
            SourceValueRow.collection_id == self.collection_id,
            SourceValueRow.field == self.field,
            SourceValueRow.kind == "text",
            readable(self.principal, self.generation, frozenset(Origin)),
        )


def _attachments(rows: Sequence[Any], chunks: Mapping[int, int]) -> Iterator[Attachment]:
    """One for each file, of its rows, the oldest source first."""
    first: dict[str, Any] = {}
    documents: dict[str, set[int]] = {}
    for row in rows:
        first.setdefault(row.file_id, row)
        documents.setdefault(row.file_id, set()).add(row.document_id)
    for file_id, row in first.items():
        yield Attachment(
            file_id=file_id,
            chunks=sum(chunks.get(document, 0) for document in documents[file_id]),
            metadata=row.source_metadata,
            since=row.committed_at,
        )
