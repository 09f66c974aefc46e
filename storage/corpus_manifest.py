"""A collection as a list of its documents: what was where, by hashes and without any text.

The list is the same for the same content, on every database and whatever the order in which it
came, so that its SHA-256 names a state of a collection.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from storage.as_of import position_as_of
from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.models.corpus import DocumentRow, SourceLabelRow, SourceRow
from storage.reading import REAL_ONLY, CorpusReader, readable, served_position
from storage.records import Origin, Principal
from storage.versions.datasets import Member, member_line

_SOURCES_A_PAGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusManifest:
    """The documents of a collection as of one generation, in the order of their lines.

    A member is `{source, external_id, content_sha256, said_sha256, labels_sha256}`: where it was
    found, the hash of its text, of what its source says of it (title, metadata, origin), and of
    who may read it.
    """

    collection: str
    generation: int
    members: tuple[Member, ...]
    sha256: str

    @property
    def documents(self) -> int:
        """How many different texts there are."""
        return len({member["content_sha256"] for member in self.members})


def corpus_manifest(
    database: Database,
    collection: str,
    *,
    principal: Principal,
    as_of: int | datetime | str | None = None,
    origins: frozenset[Origin] = REAL_ONLY,
) -> CorpusManifest:
    """The collection as it is served, or was. Raises `NotFoundError`, `AsOfError`."""
    found = CorpusReader(database).collection(collection, principal=principal)
    with database.read() as connection:
        position = served_position(connection)
        if as_of is not None:
            position = position_as_of(connection, as_of, position)
        readable_then = readable(principal, position.generation, origins)
        statement = (
            select(
                SourceRow.source_id,
                SourceRow.uri,
                SourceRow.external_id,
                SourceRow.title,
                SourceRow.source_metadata,
                SourceRow.origin,
                SourceRow.generator_id,
                DocumentRow.content_sha256,
            )
            .join(DocumentRow, DocumentRow.document_id == SourceRow.document_id)
            .where(SourceRow.collection_id == found.collection_id, readable_then)
        )
        rows = connection.execution_options(yield_per=_SOURCES_A_PAGE).execute(statement)
        members = sorted(_members(connection, rows), key=member_line)
    return CorpusManifest(
        collection=collection,
        generation=position.generation,
        members=tuple(members),
        sha256=members_sha256(members),
    )


def members_sha256(members: Iterable[Member]) -> str:
    """Of the lines of `members`, in their order."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(member_line(member))
    return digest.hexdigest()


def _members(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> Iterator[Member]:
    for page in batches(rows):
        labels = _labels(connection, [row.source_id for row in page])
        for row in page:
            yield _member(row, labels.get(row.source_id, ()))


def _labels(connection: Connection, sources: Sequence[int]) -> Mapping[int, list[str]]:
    statement = select(SourceLabelRow.source_id, SourceLabelRow.label)
    found: dict[int, list[str]] = {}
    for row in rows_where(connection, statement, SourceLabelRow.source_id, sources):
        found.setdefault(row.source_id, []).append(row.label)
    return found


def _member(row: Row[*tuple[Any, ...]], labels: Sequence[str]) -> Member:
    said = [row.title, row.source_metadata, row.origin, row.generator_id]
    return {
        "source": row.uri,
        "external_id": row.external_id,
        "content_sha256": row.content_sha256,
        "said_sha256": _digest(said),
        "labels_sha256": _digest(sorted(labels)),
    }


def _digest(value: list[Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
