"""Whole collections, streamed: every text with its sources, all of them as of one generation.

The reader stands in one transaction from the first text to the last, so that what is committed or
forgotten meanwhile changes nothing; it holds a page of texts in memory, however many there are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Row, literal, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.models.corpus import DocumentRow, SourceRow
from storage.reading import REAL_ONLY, CorpusReader, holds_at, readable, served_position
from storage.records import Collection, DocumentId, Metadata, Origin, Position, Principal

_DOCUMENTS_A_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSource:
    """One place that a text was found at, and what is said of the text there."""

    uri: str
    external_id: str
    title: str
    metadata: Metadata
    origin: Origin
    generator_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDocument:
    """A text with those of its sources that the principal may read, oldest first."""

    document_id: DocumentId
    content_sha256: str
    near_sha256: str | None
    """Content of the original that it is nearly the same as."""
    language: str | None
    text: str
    """Empty where texts were not asked for."""
    sources: tuple[ExportedSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A collection as it is served, and as `principal` may know it; good within its transaction."""

    connection: Connection
    collection: Collection
    position: Position
    principal: Principal
    origins: frozenset[Origin]

    def documents(self, *, with_text: bool = True) -> Iterator[ExportedDocument]:
        """Every text that may be read, in the order in which texts were first stored."""
        after = 0
        while page := self._page(after, with_text=with_text):
            after = page[-1].document_id
            sources = self._sources([row.document_id for row in page])
            for row in page:
                if found := sources.get(row.document_id):
                    yield _document(row, found)

    def originals(self) -> frozenset[str]:
        """Contents that some other text of the collection is nearly the same as."""
        statement = select(DocumentRow.near_sha256).where(
            DocumentRow.collection_id == self.collection.collection_id,
            DocumentRow.near_sha256.is_not(None),
            holds_at(DocumentRow, self.position.generation),
        )
        found = self.connection.execute(statement.distinct()).scalars()
        return frozenset(content for content in found if content is not None)

    def _page(
        self, after: int, *, with_text: bool
    ) -> Sequence[Row[int, str, str | None, str | None, str]]:
        statement = (
            select(
                DocumentRow.document_id,
                DocumentRow.content_sha256,
                DocumentRow.near_sha256,
                DocumentRow.language,
                (DocumentRow.text if with_text else literal("")).label("text"),
            )
            .where(
                DocumentRow.collection_id == self.collection.collection_id,
                DocumentRow.document_id > after,
                holds_at(DocumentRow, self.position.generation),
            )
            .order_by(DocumentRow.document_id)
            .limit(_DOCUMENTS_A_PAGE)
        )
        return self.connection.execute(statement).all()

    def _sources(self, documents: Sequence[int]) -> dict[int, list[ExportedSource]]:
        statement = (
            select(
                SourceRow.document_id,
                SourceRow.uri,
                SourceRow.external_id,
                SourceRow.title,
                SourceRow.source_metadata,
                SourceRow.origin,
                SourceRow.generator_id,
            )
            .where(readable(self.principal, self.position.generation, self.origins))
            .order_by(SourceRow.source_id)
        )
        found: dict[int, list[ExportedSource]] = {}
        for row in rows_where(self.connection, statement, SourceRow.document_id, documents):
            found.setdefault(row.document_id, []).append(
                ExportedSource(
                    uri=row.uri,
                    external_id=row.external_id,
                    title=row.title,
                    metadata=row.source_metadata,
                    origin=Origin(row.origin),
                    generator_id=row.generator_id,
                )
            )
        return found


@contextmanager
def snapshot(
    database: Database,
    collection: str,
    *,
    principal: Principal,
    origins: frozenset[Origin] = REAL_ONLY,
) -> Iterator[Snapshot]:
    """The collection of that name, at rest as long as this is entered. Raises `NotFoundError`."""
    found = CorpusReader(database).collection(collection, principal=principal)
    with database.read() as connection:
        yield Snapshot(
            connection=connection,
            collection=found,
            position=served_position(connection),
            principal=principal,
            origins=origins,
        )


def _document(
    row: Row[int, str, str | None, str | None, str], sources: Sequence[ExportedSource]
) -> ExportedDocument:
    return ExportedDocument(
        document_id=DocumentId(row.document_id),
        content_sha256=row.content_sha256,
        near_sha256=row.near_sha256,
        language=row.language,
        text=row.text,
        sources=tuple(sources),
    )
