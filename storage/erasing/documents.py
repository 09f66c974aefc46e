"""Removes what goes of the corpus, and what is remembered of it elsewhere."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.erasing.editing import edited_json, whole
from storage.erasing.going import ALL_SOURCES, Going, contents_of, texts_in
from storage.erasing.marks import FORGOTTEN
from storage.generation import pass_generation
from storage.models.artifacts import ArtifactRow
from storage.models.corpus import (
    ChunkRow,
    DocumentRow,
    ResourceRow,
    RunRow,
    SourceLabelRow,
    SourceRow,
    SourceValueRow,
    TextKeyRow,
)
from storage.models.entities import EntityMentionRow
from storage.models.erasure import ErasureRow
from storage.models.indexing import IndexRecordRow
from storage.places import uri_sha256

_FILE_ID = re.compile(r"file-[0-9a-f]{28}(?![0-9a-f])")


def remove_rows(connection: Connection, going: Going) -> dict[str, int]:
    """Remove what goes, and what hangs on it; how many rows, by table."""
    former = rows_where(connection, ALL_SOURCES, SourceRow.document_id, going.documents)
    sources = sorted({*going.sources, *(row.source_id for row in former)})
    rows = list(rows_where(connection, ALL_SOURCES, SourceRow.source_id, sources))
    counts = _remove_memories(connection, rows)
    contents = contents_of(connection, {*going.documents})
    for table, key, keys in (
        (SourceLabelRow, SourceLabelRow.source_id, sources),
        (SourceValueRow, SourceValueRow.source_id, sources),
        (SourceRow, SourceRow.source_id, sources),
        (EntityMentionRow, EntityMentionRow.document_id, going.documents),
        (ChunkRow, ChunkRow.document_id, going.documents),
        (DocumentRow, DocumentRow.document_id, going.documents),
    ):
        for batch in batches(keys):
            gone = connection.execute(delete(table).where(key.in_(batch))).rowcount
            counts[table.__tablename__] = counts.get(table.__tablename__, 0) + gone
    counts["text_keys"] = _remove_text_keys(connection, going)
    counts["artifacts"] = _remove_uploads(connection, rows)
    _unlike(connection, contents)
    _retitle(connection, rows)
    return {table: count for table, count in counts.items() if count}


def _remove_text_keys(connection: Connection, going: Going) -> int:
    gone = 0
    for batch in batches(going.documents):
        gone += connection.execute(
            delete(TextKeyRow).where(
                TextKeyRow.collection_id.in_(going.collections), TextKeyRow.document_id.in_(batch)
            )
        ).rowcount
    return gone


def _remove_uploads(connection: Connection, rows: Sequence[Any]) -> int:
    """Remove the uploaded files that these sources, and no others, were read from."""
    said = (text for row in rows for text in (row.uri, *texts_in(row.source_metadata)))
    files = sorted({file_id for text in said for file_id in _FILE_ID.findall(text)})
    removed = 0
    for file_id in files:
        held = select(SourceRow.source_id).where(SourceRow.uri.contains(file_id, autoescape=True))
        if connection.execute(held.limit(1)).first() is None:
            gone = delete(ArtifactRow).where(
                ArtifactRow.name.startswith("upload"), ArtifactRow.name.endswith(f"/{file_id}")
            )
            removed += connection.execute(gone).rowcount
    return removed


def _unlike(connection: Connection, contents: dict[str, set[int]]) -> None:
    """What was nearly the same as a text that is gone is so no more."""
    for batch in batches(sorted(contents)):
        connection.execute(
            update(DocumentRow)
            .where(DocumentRow.near_sha256.in_(batch), DocumentRow.to_generation.is_not(None))
            .values(near_sha256=None, similarity=None, is_held_back=False)
        )


def _retitle(connection: Connection, rows: Sequence[Any]) -> None:
    """Earlier versions of texts that stay are called as a source that stays calls them."""
    titles = {row.document_id: row.title for row in rows if row.title}
    stay = rows_where(connection, ALL_SOURCES, SourceRow.document_id, sorted(titles))
    called: dict[int, list[str]] = {}
    for row in stay:
        called.setdefault(row.document_id, []).append(row.title)
    for document, names in called.items():
        if titles[document] not in names:
            connection.execute(
                update(DocumentRow)
                .where(DocumentRow.document_id == document, DocumentRow.title == titles[document])
                .values(title=names[0])
            )


def _remove_memories(connection: Connection, rows: Sequence[Any]) -> dict[str, int]:
    """What programs remember of the places of these sources."""
    uris = sorted({row.uri for row in rows})
    names = sorted({*uris, *(row.external_id for row in rows)})
    held = rows_where(connection, ALL_SOURCES, SourceRow.uri, uris)
    own = {row.source_id for row in rows}
    shared = {row.uri for row in held if row.source_id not in own}
    hashes = [uri_sha256(uri) for uri in uris if uri not in shared]
    counts = {"resources": 0, "index_records": 0}
    for batch in batches(hashes):
        gone = delete(ResourceRow).where(ResourceRow.uri_sha256.in_(batch))
        counts["resources"] += connection.execute(gone).rowcount
    for batch in batches(sorted({*names} - shared)):
        gone = delete(IndexRecordRow).where(
            or_(IndexRecordRow.group_id.in_(batch), IndexRecordRow.key.in_(batch))
        )
        counts["index_records"] += connection.execute(gone).rowcount
    return counts


def erase(database: Database, erasure_id: int, going: Going, fence: int) -> dict[str, int]:
    """Remove what goes in one transaction, which is a generation of its own: an index that comes
    past it keeps nothing of what it has dropped. Raises `LeaseLostError`."""
    with database.write() as connection:
        position = pass_generation(connection, fence)
        counts = remove_rows(connection, going)
        connection.execute(
            update(ErasureRow)
            .where(ErasureRow.erasure_id == erasure_id)
            .values(generation=position.generation)
        )
    return counts


def names_in_reports(database: Database, names: Collection[str]) -> int:
    """Put a mark in the place of `names` in what ingestion reported."""
    changed = 0
    with database.write() as connection:
        runs = connection.execute(select(RunRow.run_id, RunRow.report)).all()
        for run_id, report in runs:
            edited = edited_json(
                report, lambda text: whole(text, FORGOTTEN) if text in names else None
            )
            if edited != report:
                changed += 1
                connection.execute(
                    update(RunRow).where(RunRow.run_id == run_id).values(report=edited)
                )
    return changed
