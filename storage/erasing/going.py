"""What of the corpus goes when a document or a source is forgotten.

A text goes when no live source but those that are forgotten has it; with all its versions, however
they were cut, with the sources that had it once, and with its vectors. A text that another source
still has stays, without a word of the one that is forgotten.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from storage.bulk import rows_where
from storage.erasing.needles import (
    Hashes,
    window_of_name,
    windows_of_text,
    windows_of_vector,
)
from storage.models.corpus import (
    ChunkRow,
    CollectionRow,
    DocumentRow,
    SourceRow,
    SourceValueRow,
)
from storage.models.entities import EntityMentionRow

ALL_SOURCES = select(SourceRow.__table__)
_CONTENT = select(
    DocumentRow.document_id,
    DocumentRow.collection_id,
    DocumentRow.content_sha256,
    DocumentRow.to_generation,
)


_KEY = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """Keys of what goes; they name nothing to whoever has not the rows."""

    sources: tuple[int, ...] = ()
    """Those that were named, in all their versions."""
    documents: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    collections: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Sequence[int]]) -> "Going":
        """What `as_json` gave."""
        return cls(**{name: tuple(keys) for name, keys in stored.items()})

    def as_json(self) -> dict[str, list[int]]:
        return {
            "sources": [*self.sources],
            "documents": [*self.documents],
            "chunks": [*self.chunks],
            "collections": [*self.collections],
        }


def sources_of_document(
    connection: Connection, external_id: str, collection_id: int | None, *, everywhere: bool
) -> list[int]:
    """The versions of all sources with this id or, where there is none, of the text with this key;
    if `everywhere`, also of those that have the same texts."""
    named: ColumnElement[bool] = SourceRow.external_id == external_id
    found = _versions(connection, named, collection_id, everywhere=everywhere)
    if found or not _KEY.fullmatch(external_id):
        return found
    named = SourceRow.document_id == int(external_id)
    return _versions(connection, named, collection_id, everywhere=everywhere)


def sources_at(connection: Connection, uri: str, collection_id: int | None) -> list[int]:
    """The versions of all that was found at this place."""
    return _versions(connection, SourceRow.uri == uri, collection_id, everywhere=False)


def _versions(
    connection: Connection,
    named: ColumnElement[bool],
    collection_id: int | None,
    *,
    everywhere: bool,
) -> list[int]:
    conditions = [named]
    if collection_id is not None:
        conditions.append(SourceRow.collection_id == collection_id)
    found = connection.execute(ALL_SOURCES.where(*conditions)).all()
    if everywhere:
        contents = contents_of(connection, {row.document_id for row in found})
        same = rows_where(connection, _CONTENT, DocumentRow.content_sha256, sorted(contents))
        holders = [
            row.document_id for row in same if row.collection_id in {r.collection_id for r in found}
        ]
        found = list(rows_where(connection, ALL_SOURCES, SourceRow.document_id, sorted(holders)))
    return all_versions(connection, [row.source_id for row in found])


def all_versions(connection: Connection, sources: Sequence[int]) -> list[int]:
    """`sources` and every other version of the same places."""
    rows = rows_where(connection, ALL_SOURCES, SourceRow.source_id, sources)
    places = {(row.collection_id, row.place_sha256) for row in rows}
    found = rows_where(
        connection, ALL_SOURCES, SourceRow.place_sha256, sorted({p for _, p in places})
    )
    return sorted(row.source_id for row in found if (row.collection_id, row.place_sha256) in places)


def live_by_collection(connection: Connection, sources: Sequence[int]) -> dict[str, list[int]]:
    """Those of `sources` that are live, by the name of their collection."""
    statement = select(SourceRow.source_id, CollectionRow.name).join(
        CollectionRow, CollectionRow.collection_id == SourceRow.collection_id
    )
    live = statement.where(SourceRow.to_generation.is_(None))
    found: dict[str, list[int]] = {}
    for row in rows_where(connection, live, SourceRow.source_id, sources):
        found.setdefault(row.name, []).append(row.source_id)
    return found


def going_with(connection: Connection, sources: Sequence[int]) -> Going:
    """All that goes with `sources`, none of which is live any more."""
    versions = all_versions(connection, sources)
    rows = list(rows_where(connection, ALL_SOURCES, SourceRow.source_id, versions))
    named = {row.document_id for row in rows}
    contents = contents_of(connection, named)
    same = [
        row
        for row in rows_where(connection, _CONTENT, DocumentRow.content_sha256, sorted(contents))
        if row.collection_id in contents[row.content_sha256]
    ]
    live = {(r.collection_id, r.content_sha256) for r in same if r.to_generation is None}
    gone = {r.document_id for r in same if (r.collection_id, r.content_sha256) not in live}
    gone |= _left_alone(connection, named - gone, versions)
    chunks = rows_where(connection, select(ChunkRow.chunk_id), ChunkRow.document_id, sorted(gone))
    return Going(
        sources=tuple(versions),
        documents=tuple(sorted(gone)),
        chunks=tuple(sorted(row.chunk_id for row in chunks)),
        collections=tuple(sorted({row.collection_id for row in rows})),
    )


def contents_of(connection: Connection, documents: set[int]) -> dict[str, set[int]]:
    """The hashes of the texts of `documents`, each with its collections."""
    found: dict[str, set[int]] = {}
    for row in rows_where(connection, _CONTENT, DocumentRow.document_id, sorted(documents)):
        found.setdefault(row.content_sha256, set()).add(row.collection_id)
    return found


def _left_alone(connection: Connection, documents: set[int], sources: Sequence[int]) -> set[int]:
    """Earlier versions among `documents` that no other source ever had: they were made with the
    title that a forgotten source gave them."""
    own = frozenset(sources)
    rows = rows_where(connection, ALL_SOURCES, SourceRow.document_id, sorted(documents))
    held = {row.document_id for row in rows if row.source_id not in own}
    closed = rows_where(connection, _CONTENT, DocumentRow.document_id, sorted(documents - held))
    return {row.document_id for row in closed if row.to_generation is not None}


def windows(connection: Connection, going: Going, salt: str) -> Iterator[tuple[int, Hashes]]:
    """All that stands in the texts and vectors that go."""
    texts = select(DocumentRow.document_id, DocumentRow.text)
    for row in rows_where(connection, texts, DocumentRow.document_id, going.documents):
        yield from windows_of_text(row.text, salt)
    vectors = select(ChunkRow.chunk_id, ChunkRow.vector)
    for row in rows_where(connection, vectors, ChunkRow.chunk_id, going.chunks):
        yield from windows_of_vector(row.vector, salt)


def names(connection: Connection, going: Going, salt: str) -> Iterator[tuple[int, Hashes]]:
    """What the sources that go call themselves and say of themselves."""
    for row in rows_where(connection, ALL_SOURCES, SourceRow.source_id, going.sources):
        for name in (row.uri, row.external_id, row.title, *texts_in(row.source_metadata)):
            yield from window_of_name(name, salt)


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from texts_in(one)
        case list():
            for one in value:
                yield from texts_in(one)


def staying(going: Going) -> dict[str, ColumnElement[bool] | None]:
    """The rows of the corpus's tables that stay."""
    return {
        "documents": DocumentRow.document_id.not_in(going.documents),
        "chunks": ChunkRow.chunk_id.not_in(going.chunks),
        "sources": _stays(SourceRow, going),
        "source_values": SourceValueRow.source_id.in_(
            select(SourceRow.source_id).where(_stays(SourceRow, going))
        ),
        "entity_mentions": EntityMentionRow.document_id.not_in(going.documents),
        "entities": None,
        "index_records": None,
        "ingest_runs": None,
        "artifacts": None,
        "dataset_versions": None,
    }


def _stays(table: type[SourceRow], going: Going) -> ColumnElement[bool]:
    return table.source_id.not_in(going.sources) & table.document_id.not_in(going.documents)


def places_of(connection: Connection, going: Going) -> frozenset[tuple[str, str]]:
    """Uri and external id of each source that is forgotten."""
    rows = rows_where(connection, ALL_SOURCES, SourceRow.source_id, going.sources)
    return frozenset((row.uri, row.external_id) for row in rows)


def counted(connection: Connection, sources: Sequence[int]) -> dict[str, int]:
    """How much would go with `sources`, if they were withdrawn now."""
    versions = all_versions(connection, sources)
    rows = list(rows_where(connection, ALL_SOURCES, SourceRow.source_id, versions))
    live = [row for row in rows if row.to_generation is None]
    documents = sorted({row.document_id for row in rows})
    own = frozenset(versions)
    held = {
        row.document_id
        for row in rows_where(connection, ALL_SOURCES, SourceRow.document_id, documents)
        if row.source_id not in own and row.to_generation is None
    }
    gone = sorted({*documents} - held)
    chunks = list(rows_where(connection, select(ChunkRow.chunk_id), ChunkRow.document_id, gone))
    return {
        "sources": len(live),
        "versions_of_sources": len(versions),
        "versions_of_texts": len(gone),
        "texts_that_others_keep": len(held),
        "chunks": len(chunks),
    }
