"""The one writer of documents and chunks.

A commit is one transaction and one generation. It is prepared outside any transaction (parsing and
forward passes take long), under the writer's lease, so nothing that it was planned on can have
changed; the fence makes sure of that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from sqlalchemy import (
    Column,
    Row,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from storage.bulk import rows_where
from storage.clock import now
from storage.engine import Database
from storage.generation import Generation, hold_fence
from storage.models.corpus import (
    ChunkRow,
    CorpusStateRow,
    DocumentRow,
    ResourceRow,
    RunRow,
    SourceLabelRow,
    SourceRow,
    TextKeyRow,
)
from storage.outline import from_json
from storage.places import place_sha256, uri_sha256
from storage.records import (
    Collection,
    Committed,
    Confirmed,
    DocumentId,
    KnownDocument,
    KnownSource,
    Likeness,
    NewDocument,
    Origin,
    Placement,
    ReadResource,
    RunId,
    SourceId,
    Suspicion,
    Titling,
    Vectors,
)
from storage.vectors import VECTOR_DTYPE

EmbeddedSpan: TypeAlias = tuple[int, int, str]
"""Where a chunk begins and ends, and the hash of what was embedded of it."""
_KNOWN_OF_SOURCE = (
    SourceRow.source_id,
    SourceRow.document_id,
    SourceRow.uri,
    SourceRow.external_id,
    SourceRow.title,
    SourceRow.record_sha256,
    SourceRow.fingerprint,
)
_LIVE_DOCUMENTS = select(DocumentRow.__table__).where(DocumentRow.to_generation.is_(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusWriter:
    """Writes to one collection while its holder has the writer's lease."""

    database: Database
    collection: Collection
    fence: int
    run_id: RunId
    source_name: str | None = None
    """The declared source that the run synchronises."""

    def start_run(self) -> None:
        """Put the run on record, without an end until it has one."""
        with self.database.write() as connection:
            connection.execute(
                insert(RunRow).values(
                    run_id=self.run_id,
                    collection_id=self.collection.collection_id,
                    source_name=self.source_name,
                    started_at=now(),
                )
            )

    def generation(self) -> int:
        """The last one that was committed."""
        with self.database.read() as connection:
            return connection.execute(select(CorpusStateRow.generation)).scalar_one()

    def end_run(self, report: Mapping[str, Any]) -> None:
        """Complete the run's record."""
        with self.database.write() as connection:
            connection.execute(
                update(RunRow)
                .where(RunRow.run_id == self.run_id)
                .values(ended_at=now(), report=dict(report))
            )

    def known_sources(self, places: Iterable[tuple[str, str]]) -> dict[str, KnownSource]:
        """The live sources among `places` (uri, external id), by their `place_sha256`."""
        hashes = [place_sha256(*place) for place in places]
        statement = select(SourceRow.place_sha256, *_KNOWN_OF_SOURCE).where(
            SourceRow.collection_id == self.collection.collection_id,
            SourceRow.to_generation.is_(None),
        )
        rows = self._rows(statement, SourceRow.place_sha256, hashes)
        return {row.place_sha256: _known_source(row) for row in rows}

    def live_sources(self) -> Iterator[KnownSource]:
        """Every live source of the collection, oldest first."""
        statement = (
            select(*_KNOWN_OF_SOURCE)
            .where(
                SourceRow.collection_id == self.collection.collection_id,
                SourceRow.to_generation.is_(None),
            )
            .order_by(SourceRow.source_id)
        )
        with self.database.read() as connection:
            for row in connection.execute(statement.execution_options(yield_per=5_000)):
                yield _known_source(row)

    def documents_with(self, contents: Sequence[str]) -> dict[str, KnownDocument]:
        """The live documents among `contents` (SHA-256 of the text), by that hash."""
        found = self._live_documents(DocumentRow.content_sha256, contents)
        return {document.content_sha256: document for document in found}

    def documents(self, keys: Sequence[DocumentId]) -> dict[DocumentId, KnownDocument]:
        """The live documents among `keys`."""
        rows = self._rows(_LIVE_DOCUMENTS, DocumentRow.document_id, keys)
        return {DocumentId(row.document_id): _known_document(row._mapping) for row in rows}

    def documents_of(self, sources: Sequence[SourceId]) -> list[DocumentId]:
        """The documents that `sources` have, each once."""
        rows = self._rows(select(SourceRow.document_id), SourceRow.source_id, sources)
        return sorted({DocumentId(row.document_id) for row in rows})

    def titlings_of(
        self, documents: Sequence[DocumentId], *, without: Sequence[SourceId]
    ) -> dict[DocumentId, list[Titling]]:
        """The titles that the live sources of `documents` give them, leaving out `without`."""
        leaving = frozenset(without)
        statement = select(
            SourceRow.document_id, SourceRow.source_id, SourceRow.title, SourceRow.origin
        ).where(SourceRow.to_generation.is_(None))
        labelled = select(SourceLabelRow.source_id, SourceLabelRow.label)
        titlings: dict[DocumentId, list[Titling]] = {document: [] for document in documents}
        with self.database.read() as connection:
            rows = [
                row
                for row in rows_where(connection, statement, SourceRow.document_id, documents)
                if row.source_id not in leaving
            ]
            labels: dict[int, set[str]] = {row.source_id: set() for row in rows}
            for at in rows_where(connection, labelled, SourceLabelRow.source_id, [*labels]):
                labels[at.source_id].add(at.label)
        for row in rows:
            readers = frozenset(labels[row.source_id])
            titlings[row.document_id].append(Titling(row.title, Origin(row.origin), readers))
        return titlings

    def cached_vectors(self, embedded: Sequence[str]) -> Mapping[str, Vectors]:
        """Vectors that were computed before, by the hash of what was embedded, in this space."""
        # Asked for by hash alone: SQLite would look through all chunks of the collection instead.
        statement = select(ChunkRow.embedded_sha256, ChunkRow.vector, ChunkRow.collection_id)
        return {
            row[0]: np.frombuffer(row[1], VECTOR_DTYPE)
            for row in self._rows(statement, ChunkRow.embedded_sha256, embedded)
            if row[2] == self.collection.collection_id
        }

    def chunks_of(self, documents: Sequence[DocumentId]) -> dict[DocumentId, list[EmbeddedSpan]]:
        """Start, end and `embedded_sha256` of the live chunks of `documents`, in order."""
        statement = select(
            ChunkRow.document_id,
            ChunkRow.start_offset,
            ChunkRow.end_offset,
            ChunkRow.embedded_sha256,
        ).where(ChunkRow.to_generation.is_(None))
        spans: dict[DocumentId, list[EmbeddedSpan]] = {key: [] for key in documents}
        for row in self._rows(statement, ChunkRow.document_id, documents):
            spans[DocumentId(row.document_id)].append((row[1], row[2], row[3]))
        return {key: sorted(found) for key, found in spans.items()}

    def documents_near(self, contents: Sequence[str]) -> list[KnownDocument]:
        """The live documents that are nearly the same as one with a content among `contents`."""
        return self._live_documents(DocumentRow.near_sha256, contents)

    def holders_of(
        self, kind: Literal["near", "edge"], keys: Sequence[int], *, limit: int
    ) -> dict[int, list[DocumentId]]:
        """For each of `keys` the live documents that have it, oldest first, `limit` at most."""
        place = func.row_number().over(partition_by=TextKeyRow.key, order_by=TextKeyRow.document_id)
        statement = (
            select(TextKeyRow.key, TextKeyRow.document_id, place.label("place"))
            .join(DocumentRow, DocumentRow.document_id == TextKeyRow.document_id)
            .where(
                TextKeyRow.collection_id == self.collection.collection_id,
                TextKeyRow.kind == kind,
                DocumentRow.to_generation.is_(None),
            )
        )
        holders: dict[int, list[DocumentId]] = {}
        for row in self._rows(statement, TextKeyRow.key, keys):
            if row.place <= limit:
                holders.setdefault(row.key, []).append(DocumentId(row.document_id))
        return {key: sorted(found) for key, found in holders.items()}

    def read_resources(self, uris: Sequence[str]) -> dict[str, ReadResource]:
        """What is remembered of those among `uris` that were read through, by uri."""
        uri_of = {uri_sha256(uri): uri for uri in uris}
        statement = select(ResourceRow.__table__).where(
            ResourceRow.collection_id == self.collection.collection_id
        )
        return {
            uri_of[row.uri_sha256]: ReadResource(
                uri=uri_of[row.uri_sha256],
                stamp=row.stamp,
                content_sha256=row.content_sha256,
                fingerprint=row.fingerprint,
                documents=row.documents,
            )
            for row in self._rows(statement, ResourceRow.uri_sha256, [*uri_of])
        }

    def remember(self, resources: Sequence[ReadResource]) -> None:
        """Note that `resources` were read through, all that they hold being committed.

        Raises `LeaseLostError` if another writer took over.
        """
        if not resources:
            return
        values = [
            {
                "collection_id": self.collection.collection_id,
                "uri_sha256": uri_sha256(resource.uri),
                "stamp": resource.stamp,
                "content_sha256": resource.content_sha256,
                "fingerprint": resource.fingerprint,
                "documents": resource.documents,
            }
            for resource in resources
        ]
        keys = [{"hash": value["uri_sha256"]} for value in values]
        with self.database.write() as connection:
            hold_fence(connection, self.fence)
            connection.execute(
                delete(ResourceRow).where(
                    ResourceRow.collection_id == self.collection.collection_id,
                    ResourceRow.uri_sha256 == bindparam("hash"),
                ),
                keys,
            )
            connection.execute(insert(ResourceRow), values)

    def commit(
        self,
        placements: Sequence[Placement],
        *,
        renewed: Sequence[NewDocument] = (),
        removals: Sequence[SourceId] = (),
        confirmed: Sequence[Confirmed] = (),
    ) -> Committed:
        """Store `placements`, supersede texts by `renewed` ones, and close `removals`: all of it
        or nothing, as one new generation. A text goes with its last source. Of `confirmed` texts
        only what they were made with is noted.

        Raises `LeaseLostError` if another writer took over, `InvalidRecordError` for what the
        database can't keep.
        """
        with self.database.write() as connection:
            generation = Generation.begin(
                connection,
                collection_id=self.collection.collection_id,
                fence=self.fence,
                run_id=self.run_id,
                placements=placements,
                renewed=renewed,
            )
            return generation.store(placements, renewed, removals, confirmed)

    def _live_documents(self, column: Column[Any], values: Sequence[Any]) -> list[KnownDocument]:
        statement = _LIVE_DOCUMENTS.where(
            DocumentRow.collection_id == self.collection.collection_id
        )
        return [_known_document(row._mapping) for row in self._rows(statement, column, values)]

    def _rows(
        self,
        statement: Select[*tuple[Any, ...]],
        column: Column[Any],
        values: Sequence[Any],
    ) -> list[Row[*tuple[Any, ...]]]:
        """The rows of `statement` whose `column` is among `values`; where there are none of these,
        the database is not asked."""
        if not values:
            return []
        with self.database.read() as connection:
            return [*rows_where(connection, statement, column, values)]


def _known_source(row: Row[*tuple[Any, ...]]) -> KnownSource:
    return KnownSource(
        source_id=SourceId(row.source_id),
        document_id=DocumentId(row.document_id),
        uri=row.uri,
        external_id=row.external_id,
        title=row.title,
        record_sha256=row.record_sha256,
        fingerprint=row.fingerprint,
    )


def _known_document(row: RowMapping) -> KnownDocument:
    likeness = None
    if row["near_sha256"] is not None:
        likeness = Likeness(
            content_sha256=row["near_sha256"],
            similarity=row["similarity"],
            is_held_back=row["is_held_back"],
        )
    return KnownDocument(
        document_id=DocumentId(row["document_id"]),
        content_sha256=row["content_sha256"],
        fingerprint=row["fingerprint"],
        title=row["title"],
        text=row["text"],
        outline=from_json(row["outline"]),
        language=row["language"],
        suspicions=tuple(Suspicion(*found) for found in row["suspicions"] or ()),
        likeness=likeness,
    )
