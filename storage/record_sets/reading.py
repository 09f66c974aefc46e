"""Sets, batches and records as they are read: record by record, memory does not grow."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Select, and_, case, func, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import NotFoundError
from storage.models.base import aliased
from storage.models.record_sets import RecordBatchRow, RecordImageRow, RecordRow, RecordSetRow
from storage.models.versions import DatasetVersionRow, ModelDatasetRow, ModelVersionRow
from storage.record_sets.coding import RowCoding
from storage.record_sets.values import (
    DRAWERS,
    RecordBatch,
    RecordOrigin,
    RecordSet,
    Split,
    StoredRecord,
    Verdict,
    split_of,
)
from storage.versions.values import REFERENCE_PREFIX

_LEARNT = aliased(DatasetVersionRow)
_ROWS_AT_ONCE = 1_000
_IMAGES_AT_ONCE = 50
"""Records with images, each of which may have megabytes."""


def read_sets(connection: Connection, name: str | None = None) -> list[RecordSet]:
    """All sets by name, or the one of that name."""
    counted = (
        select(
            RecordBatchRow.set_id,
            *(
                func.sum(case((RecordBatchRow.origin == origin, RecordBatchRow.records), else_=0))
                .cast(RecordSetRow.set_id.type)
                .label(origin)
                for origin in ("real", "synthetic")
            ),
        )
        .group_by(RecordBatchRow.set_id)
        .subquery()
    )
    statement = (
        select(
            RecordSetRow.__table__,
            func.coalesce(counted.c.real, 0).label("real"),
            func.coalesce(counted.c.synthetic, 0).label("synthetic"),
        )
        .outerjoin(counted, counted.c.set_id == RecordSetRow.set_id)
        .order_by(RecordSetRow.name)
    )
    if name is not None:
        statement = statement.where(RecordSetRow.name == name)
    return [_record_set(row) for row in connection.execute(statement).mappings()]


def read_set(connection: Connection, name: str) -> RecordSet:
    """Raises `NotFoundError`."""
    found = read_sets(connection, name)
    if not found:
        raise NotFoundError(f"there is no set of records {name[:120]!r}; create it, or correct it")
    return found[0]


def read_batches(connection: Connection, set_id: int) -> list[RecordBatch]:
    """In the order in which they came."""
    statement = _batches().where(RecordBatchRow.set_id == set_id)
    rows = connection.execute(statement.order_by(RecordBatchRow.batch_id)).mappings()
    return [_record_batch(row) for row in rows]


def read_batch(connection: Connection, batch_id: int) -> RecordBatch:
    """Raises `NotFoundError`."""
    statement = _batches().where(RecordBatchRow.batch_id == batch_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no batch of records {batch_id}; correct its number")
    return _record_batch(row)


def load_there(connection: Connection, set_id: int, sha256: str) -> RecordBatch | None:
    """The batch of real records with just this content, if there is one."""
    statement = _batches().where(
        RecordBatchRow.set_id == set_id,
        RecordBatchRow.origin == "real",
        RecordBatchRow.sha256 == sha256,
    )
    row = connection.execute(statement).mappings().first()
    return None if row is None else _record_batch(row)


def stored_records(
    database: Database, found: RecordSet, wanted: Sequence[RecordBatch], split: Split | None
) -> Iterator[StoredRecord]:
    """The records of these batches, in their order.

    Raises `NotFoundError` for a batch that is deleted while it is read.
    """
    coding = RowCoding(found.schema)
    holdout = round(found.holdout * DRAWERS)
    step = _IMAGES_AT_ONCE if coding.has_images else _ROWS_AT_ONCE
    for batch in wanted:
        for start in range(0, batch.records, step):
            stop = min(start + step, batch.records)
            for record in _page(database, coding, batch, range(start, stop), holdout):
                if split in (None, record.split):
                    yield record


def _page(
    database: Database, coding: RowCoding, batch: RecordBatch, places: range, holdout: int
) -> list[StoredRecord]:
    statement = (
        select(RecordRow.__table__)
        .where(
            RecordRow.batch_id == batch.batch_id,
            RecordRow.position >= places.start,
            RecordRow.position < places.stop,
        )
        .order_by(RecordRow.position)
    )
    with database.read() as connection:
        rows = connection.execute(statement).mappings().all()
        images = _images(connection, coding, rows)
    if len(rows) != len(places):
        raise NotFoundError(f"batch {batch.batch_id} was deleted while it was read; read anew")
    return [
        StoredRecord(
            values=coding.values(row["content"], images),
            origin=cast(RecordOrigin, row["origin"]),
            generator_id=row["generator_id"],
            batch_id=row["batch_id"],
            seed=row["seed"],
            position=row["position"],
            split=split_of(row["drawer"], holdout),
        )
        for row in rows
    ]


def _images(
    connection: Connection, coding: RowCoding, rows: Sequence[RowMapping]
) -> dict[str, bytes]:
    if not coding.has_images:
        return {}
    keys = {key for row in rows for key in coding.images_of(row["content"])}
    statement = select(RecordImageRow.sha256, RecordImageRow.content)
    found = rows_where(connection, statement, RecordImageRow.sha256, sorted(keys))
    return {row.sha256: bytes(row.content) for row in found}


def _batches() -> Select[*tuple[Any, ...]]:
    return (
        select(
            RecordBatchRow.__table__,
            RecordSetRow.name.label("set_name"),
            DatasetVersionRow.name.label("dataset_name"),
            DatasetVersionRow.version.label("dataset_version"),
            ModelVersionRow.name.label("model_name"),
            ModelVersionRow.version.label("model_version"),
            _LEARNT.name.label("learnt_name"),
            _LEARNT.version.label("learnt_version"),
        )
        .join(RecordSetRow, RecordSetRow.set_id == RecordBatchRow.set_id)
        .outerjoin(DatasetVersionRow, DatasetVersionRow.dataset_id == RecordBatchRow.dataset_id)
        .outerjoin(ModelVersionRow, ModelVersionRow.model_id == RecordBatchRow.model_id)
        .outerjoin(
            _LEARNT,
            and_(
                _LEARNT.sha256 == RecordBatchRow.source_sha256,
                _LEARNT.dataset_id.in_(
                    select(ModelDatasetRow.dataset_id).where(
                        ModelDatasetRow.model_id == RecordBatchRow.model_id,
                        ModelDatasetRow.role == "trained_on",
                    )
                ),
            ),
        )
    )


def _record_set(row: RowMapping) -> RecordSet:
    return RecordSet(
        set_id=row["set_id"],
        name=row["name"],
        schema=row["columns"],
        constraints=row["constraints"],
        about=row["about"],
        holdout=row["holdout"] / DRAWERS,
        real=int(row["real"]),
        synthetic=int(row["synthetic"]),
        created_at=row["created_at"],
    )


def _record_batch(row: RowMapping) -> RecordBatch:
    dataset, model, learnt = row["dataset_name"], row["model_name"], row["learnt_name"]
    return RecordBatch(
        batch_id=row["batch_id"],
        set_name=row["set_name"],
        origin=cast(RecordOrigin, row["origin"]),
        records=row["records"],
        sha256=row["sha256"],
        source=row["source"],
        dataset=dataset and f"{dataset}@{row['dataset_version']}",
        generator_id=row["generator_id"],
        model_id=row["model_id"],
        model=model and f"{REFERENCE_PREFIX}{model}@{row['model_version']}",
        weights_sha256=row["weights_sha256"],
        learnt_from=learnt and f"{learnt}@{row['learnt_version']}",
        source_sha256=row["source_sha256"],
        seed=row["seed"],
        conditions=row["conditions"] or {},
        sampling=row["sampling"] or {},
        verdict=cast(Verdict | None, row["verdict"]),
        thresholds=row["thresholds"] or {},
        report=row["report"] or {},
        code_version=row["code_version"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )
