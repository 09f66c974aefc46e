"""Compares sets of records with what is said of them: says what differs, changes nothing."""

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, exists, func, select

from storage.models.record_sets import (
    RecordBatchImageRow,
    RecordBatchRow,
    RecordImageRow,
    RecordRow,
    RecordSetRow,
)
from storage.record_sets.spool import as_line, content_digest

_ROWS_AT_ONCE = 2_000


def record_differences(connection: Connection) -> Iterator[str]:
    """Batches that are not what came, and images that are not what records show."""
    yield from _changed_batches(connection)
    yield from _unshown_images(connection)
    yield from _changed_images(connection)


def _changed_batches(connection: Connection) -> Iterator[str]:
    batches = select(
        RecordBatchRow.batch_id,
        RecordBatchRow.records,
        RecordBatchRow.sha256,
        RecordBatchRow.verdict,
        RecordSetRow.columns,
    ).join(RecordSetRow, RecordSetRow.set_id == RecordBatchRow.set_id)
    for batch in connection.execute(batches.order_by(RecordBatchRow.batch_id)).all():
        digest, count = content_digest(batch.columns), 0
        contents = (
            select(RecordRow.content)
            .where(RecordRow.batch_id == batch.batch_id)
            .order_by(RecordRow.position)
            .execution_options(yield_per=_ROWS_AT_ONCE)
        )
        for content in connection.execute(contents).scalars():
            digest.update(as_line(content))
            count += 1
        if count != batch.records:
            yield f"batch {batch.batch_id} of records: {count} are there, not {batch.records}"
        elif batch.verdict != "refused" and digest.hexdigest() != batch.sha256:
            yield f"batch {batch.batch_id} of records: they are not what came"


def _unshown_images(connection: Connection) -> Iterator[str]:
    is_shown = exists().where(RecordBatchImageRow.sha256 == RecordImageRow.sha256)
    unshown = select(func.count()).select_from(RecordImageRow).where(~is_shown)
    if count := connection.execute(unshown).scalar_one():
        yield f"{count} images of records: no record shows them"


def _changed_images(connection: Connection) -> Iterator[str]:
    images = select(RecordImageRow.sha256, RecordImageRow.content)
    for row in connection.execute(images.execution_options(yield_per=50)):
        if hashlib.sha256(row.content).hexdigest() != row.sha256:
            yield f"image {row.sha256[:12]}… of records: it was changed"
