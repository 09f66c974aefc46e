"""Batches of records as they are written and deleted: each in the caller's transaction, whole."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select

from storage.bulk import batches, rows_where
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.record_sets import (
    RecordBatchImageRow,
    RecordBatchRow,
    RecordImageRow,
    RecordRow,
)
from storage.models.versions import DatasetVersionRow, ModelDatasetRow, ModelVersionRow
from storage.record_sets.coding import CodedRow, Columns, schema_sha256
from storage.record_sets.spool import Spool
from storage.versions.datasets import add_dataset
from storage.versions.values import DatasetVersion

DATASET_KIND = "records"
_ROWS_AT_ONCE = 2_000
_IMAGE_BYTES_AT_ONCE = 8 << 20


def insert_batch(connection: Connection, batch: Mapping[str, Any], spool: Spool) -> int:
    """Write a batch with its records and images; its key. Raises `InvalidRecordError` for a key
    that a record of the set has already."""
    given = {**batch, "records": spool.records, "sha256": spool.sha256}
    new = insert(RecordBatchRow).values(given).returning(RecordBatchRow.batch_id)
    batch_id: int = connection.execute(new).scalar_one()
    _insert_images(connection, batch_id, spool)
    shared = {name: batch.get(name) for name in ("set_id", "origin", "generator_id", "seed")}
    position = 0
    for some in batches(spool, _ROWS_AT_ONCE):
        _check_keys(connection, batch["set_id"], some, position)
        connection.execute(
            insert(RecordRow),
            [
                {
                    **shared,
                    "batch_id": batch_id,
                    "position": at,
                    "drawer": row.drawer,
                    "key_sha256": row.key_sha256,
                    "content": row.content,
                }
                for at, row in enumerate(some, start=position)
            ],
        )
        position += len(some)
    return batch_id


def dataset_of_real(
    connection: Connection, name: str, set_id: int, schema: Columns, added: Spool | None = None
) -> int:
    """The data set version of all that is real in a set, once `added` is in it; its key.

    The caller holds the name of the data set.
    """
    before = connection.execute(
        select(RecordBatchRow.sha256, RecordBatchRow.records)
        .where(RecordBatchRow.set_id == set_id, RecordBatchRow.origin == "real")
        .order_by(RecordBatchRow.batch_id)
    ).mappings()
    members = [dict(row) for row in before]
    if added is not None:
        members.append({"sha256": added.sha256, "records": added.records})
    return add_version_of_real(connection, name, schema, members).dataset_id


def add_version_of_real(
    connection: Connection, name: str, schema: Columns, members: Sequence[Mapping[str, Any]]
) -> DatasetVersion:
    """The data set version of these batches, each by `sha256` and `records`; the one that is there
    if it has been registered.

    The caller holds the name of the data set.
    """
    digest = schema_sha256(schema)
    digests = "\n".join([digest, *(member["sha256"] for member in members)])
    return add_dataset(
        connection,
        {
            "name": name,
            "kind": DATASET_KIND,
            "sha256": hashlib.sha256(digests.encode()).hexdigest(),
            "manifest": {
                "record_set": name,
                "records": sum(member["records"] for member in members),
                "loads": len(members),
                "schema_sha256": digest,
            },
            "location": None,
            "about": {},
        },
        members,
    )


def check_name_is_free(connection: Connection, name: str) -> None:
    """Raise `InvalidRecordError` where data sets of another kind have this name."""
    statement = select(DatasetVersionRow.kind).where(
        DatasetVersionRow.name == name, DatasetVersionRow.kind != DATASET_KIND
    )
    kind = connection.execute(statement.limit(1)).scalar()
    if kind is not None:
        raise InvalidRecordError(f"{name!r} is a data set of the kind {kind}; take another name")


def model_facts(connection: Connection, model_id: int) -> dict[str, str]:
    """The hashes of a model's weights and of the data set that it learnt from.

    Raises `NotFoundError`, and `InvalidRecordError` for a model that draws no records, or of which
    nothing says what it learnt from.
    """
    model = connection.execute(
        select(ModelVersionRow.kind, ModelVersionRow.weights_sha256).filter_by(model_id=model_id)
    ).first()
    if model is None:
        raise NotFoundError(f"there is no model version with the key {model_id}; register it first")
    if model.kind != "synthetic":
        raise InvalidRecordError(
            f"the model version with the key {model_id} is of the kind {model.kind}, which draws no"
            " records; name one of the kind synthetic"
        )
    source = connection.execute(
        select(DatasetVersionRow.sha256)
        .join(ModelDatasetRow, ModelDatasetRow.dataset_id == DatasetVersionRow.dataset_id)
        .where(ModelDatasetRow.model_id == model_id, ModelDatasetRow.role == "trained_on")
        .order_by(DatasetVersionRow.dataset_id.desc())
    ).scalar()
    if source is None:
        raise InvalidRecordError(
            f"nothing says what the model version with the key {model_id} learnt from; register it"
            " with its data set"
        )
    return {"weights_sha256": model.weights_sha256, "source_sha256": source}


def delete_batches(connection: Connection, batch_ids: Sequence[int]) -> int:
    """Remove batches with their records, and images that no other batch shows; how many records."""
    records = 0
    for batch_id in batch_ids:
        link = RecordBatchImageRow.batch_id == batch_id
        shown = connection.execute(select(RecordBatchImageRow.sha256).where(link)).scalars().all()
        records += connection.execute(delete(RecordRow).filter_by(batch_id=batch_id)).rowcount
        connection.execute(delete(RecordBatchImageRow).where(link))
        connection.execute(delete(RecordBatchRow).filter_by(batch_id=batch_id))
        _delete_unshown(connection, shown)
    return records


def _delete_unshown(connection: Connection, images: Sequence[str]) -> None:
    is_shown = exists().where(RecordBatchImageRow.sha256 == RecordImageRow.sha256)
    for some in batches(images, 500):
        connection.execute(delete(RecordImageRow).where(RecordImageRow.sha256.in_(some), ~is_shown))


def _check_keys(connection: Connection, set_id: int, rows: Sequence[CodedRow], first: int) -> None:
    """Raise `InvalidRecordError` for a key that is there twice, naming the record."""
    places: dict[str, int] = {}
    for at, row in enumerate(rows, start=first + 1):
        if row.key_sha256 is None:
            return
        if row.key_sha256 in places:
            raise _same_key(at, f"as record {places[row.key_sha256]} has")
        places[row.key_sha256] = at
    statement = select(RecordRow.key_sha256).where(RecordRow.set_id == set_id)
    for there in rows_where(connection, statement, RecordRow.key_sha256, [*places]):
        raise _same_key(places[there.key_sha256], "as a record that was there before")


def _same_key(number: int, other: str) -> InvalidRecordError:
    return InvalidRecordError(
        f"record {number} has the same key {other}; keys tell records apart: leave it out, or"
        " declare the column as no key"
    )


def _insert_images(connection: Connection, batch_id: int, spool: Spool) -> None:
    for some in _by_bytes(spool.images()):
        keys = [sha256 for sha256, _ in some]
        there = {
            row.sha256
            for row in rows_where(
                connection, select(RecordImageRow.sha256), RecordImageRow.sha256, keys
            )
        }
        new = [{"sha256": key, "content": png} for key, png in some if key not in there]
        if new:
            connection.execute(insert(RecordImageRow), new)
        connection.execute(
            insert(RecordBatchImageRow), [{"batch_id": batch_id, "sha256": key} for key in keys]
        )


def _by_bytes(images: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """In portions that memory has room for."""
    some: list[tuple[str, bytes]] = []
    size = 0
    for sha256, content in images:
        some.append((sha256, content))
        size += len(content)
        if size >= _IMAGE_BYTES_AT_ONCE or len(some) >= _ROWS_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some
