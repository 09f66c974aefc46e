"""Collections: documents that are searched together, in one embedding space."""

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError, SpaceMismatchError
from storage.models.corpus import CollectionLabelRow, CollectionRow
from storage.records import Collection, CollectionId, EmbeddingSpace

MAX_COLLECTION_NAME = 200
MAX_LABEL = 200
_BY_NAME = select(CollectionRow.__table__).order_by(CollectionRow.name)


def open_collection(database: Database, name: str) -> Collection:
    """The collection of that name, created if there is none. Raises `InvalidRecordError`."""
    if not name.strip() or len(name) > MAX_COLLECTION_NAME or not name.isprintable():
        raise InvalidRecordError(
            f"{name!r} can't name a collection; use 1 to {MAX_COLLECTION_NAME} printable characters"
        )
    with database.write() as connection:
        found = find_collection(connection, name)
        if found is None:
            connection.execute(insert(CollectionRow).values(name=name, created_at=now()))
            found = find_collection(connection, name)
    assert found is not None
    return found


def find_collection(connection: Connection, name: str) -> Collection | None:
    """The collection of that name, if there is one."""
    row = connection.execute(select(CollectionRow.__table__).filter_by(name=name)).first()
    return None if row is None else _collection(row._mapping)


def all_collections(connection: Connection) -> list[Collection]:
    """All collections, by name."""
    rows = connection.execute(_BY_NAME)
    return [_collection(row._mapping) for row in rows]


def times_created(connection: Connection) -> dict[str, datetime]:
    """When each collection was made, by its name."""
    rows = connection.execute(select(CollectionRow.name, CollectionRow.created_at))
    return {row.name: row.created_at for row in rows}


def check_space(collection: Collection, space: EmbeddingSpace) -> None:
    """Raise `SpaceMismatchError` unless vectors of `space` fit what the collection holds."""
    if collection.space not in (None, space):
        raise SpaceMismatchError(
            f"collection {collection.name!r} holds vectors of {_shown(collection.space)}, not of"
            f" {_shown(space)}; use that embedder, or ingest into another collection"
        )


def claim_space(database: Database, collection: Collection, space: EmbeddingSpace) -> None:
    """Make `space` the collection's, if it has none yet; raise unless it is the same by then."""
    with database.write() as connection:
        connection.execute(
            update(CollectionRow)
            .where(
                CollectionRow.collection_id == collection.collection_id,
                CollectionRow.space_model.is_(None),
            )
            .values(
                space_model=space.model,
                space_weights_sha256=space.weights_sha256,
                space_dimension=space.dimension,
                space_normalised=space.normalised,
            )
        )
        found = find_collection(connection, collection.name)
    assert found is not None
    check_space(found, space)


def read_labels(database: Database, collection: Collection) -> frozenset[str]:
    """The labels that a reader must carry one of; none: anybody may read."""
    statement = select(CollectionLabelRow.label).filter_by(collection_id=collection.collection_id)
    with database.read() as connection:
        return frozenset(connection.execute(statement).scalars())


def set_read_labels(database: Database, collection: Collection, labels: Set[str]) -> None:
    """From now on a reader must carry one of `labels` to know of the collection, at whatever
    generation it is looked at; an empty set opens it to all. Raises `InvalidRecordError`."""
    for label in labels:
        if not 1 <= len(label) <= MAX_LABEL or not label.isprintable():
            raise InvalidRecordError(
                f"{label!r} can't be a label; use 1 to {MAX_LABEL} printable characters"
            )
    rows = [{"collection_id": collection.collection_id, "label": label} for label in sorted(labels)]
    with database.write() as connection:
        connection.execute(
            delete(CollectionLabelRow).filter_by(collection_id=collection.collection_id)
        )
        if rows:
            connection.execute(insert(CollectionLabelRow), rows)


def retrieval_settings(database: Database, collection: Collection) -> Mapping[str, Any] | None:
    """The settings of retrieval that were fitted to the collection; None if none were."""
    statement = select(CollectionRow.retrieval).filter_by(collection_id=collection.collection_id)
    with database.read() as connection:
        return connection.execute(statement).scalar()


def set_retrieval_settings(
    database: Database, collection: Collection, settings: Mapping[str, Any] | None
) -> None:
    """Keep fitted settings, JSON values, with the collection; None goes back to the defaults."""
    with database.write() as connection:
        connection.execute(
            update(CollectionRow)
            .where(CollectionRow.collection_id == collection.collection_id)
            .values(retrieval=None if settings is None else dict(settings))
        )


def set_answering(
    database: Database, collection: Collection, measured: Mapping[str, Any] | None
) -> None:
    """Keep with the collection how far its answers can be trusted, JSON values; None: the
    defaults."""
    with database.write() as connection:
        connection.execute(
            update(CollectionRow)
            .where(CollectionRow.collection_id == collection.collection_id)
            .values(answering=None if measured is None else dict(measured))
        )


def _collection(row: RowMapping) -> Collection:
    space = None
    if row["space_model"] is not None:
        space = EmbeddingSpace(
            model=row["space_model"],
            weights_sha256=row["space_weights_sha256"],
            dimension=row["space_dimension"],
            normalised=row["space_normalised"],
        )
    return Collection(
        collection_id=CollectionId(row["collection_id"]),
        name=row["name"],
        space=space,
        retrieval=row["retrieval"],
        answering=row["answering"],
    )


def _shown(space: EmbeddingSpace | None) -> str:
    if space is None:
        return "nothing"
    return f"{space.model} ({space.dimension} dimensions, weights {space.weights_sha256[:12]}…)"
