"""Models on record: what each version is made of, what it comes from, and which one is used.

At any moment one version of a name is active, or none. Who became active, and instead of which, is
a log that is only added to: an activation names the one that a rollback from it goes back to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from storage.clock import now
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.versions import (
    DatasetVersionRow,
    ModelActivationRow,
    ModelDatasetRow,
    ModelVersionRow,
)
from storage.versions.values import (
    Action,
    Activation,
    DatasetRole,
    ModelKind,
    ModelState,
    ModelStorage,
    ModelVersion,
    StoredFile,
    VersionReference,
)


def same_model(connection: Connection, name: str, sha256: str) -> ModelVersion | None:
    """The version of that name with the same files, if there is one."""
    statement = _models().filter_by(name=name, sha256=sha256)
    row = connection.execute(statement).mappings().first()
    return None if row is None else _model_version(connection, row)


def next_version(connection: Connection, name: str, kind: ModelKind) -> int:
    """Raises `InvalidRecordError` for a name that models of another kind have."""
    statement = (
        select(ModelVersionRow.kind, func.max(ModelVersionRow.version))
        .where(ModelVersionRow.name == name)
        .group_by(ModelVersionRow.kind)
    )
    found = connection.execute(statement).first()
    if found is None:
        return 1
    if found[0] != kind:
        raise InvalidRecordError(f"{name!r} names versions of a {found[0]}; give another name")
    return int(found[1]) + 1


def insert_model(
    connection: Connection,
    values: Mapping[str, Any],
    datasets: Sequence[tuple[DatasetRole, int]],
) -> ModelVersion:
    """Put a version on record; the caller holds the name."""
    connection.execute(insert(ModelVersionRow).values(state="kept", created_at=now(), **values))
    wanted = VersionReference(values["name"], values["version"])
    model_id = _row(connection, wanted)["model_id"]
    _relate(connection, model_id, datasets)
    return find_model(connection, wanted)


def also_of(
    connection: Connection, known: ModelVersion, datasets: Sequence[tuple[DatasetRole, int]]
) -> ModelVersion:
    """The version that is there already, which the same came of from these; the caller holds the
    name."""
    statement = select(ModelDatasetRow.role, ModelDatasetRow.dataset_id)
    rows = connection.execute(statement.filter_by(model_id=known.model_id)).all()
    there = {(row.role, row.dataset_id) for row in rows}
    _relate(connection, known.model_id, [one for one in datasets if one not in there])
    return find_model(connection, VersionReference(known.name, known.version))


def _relate(
    connection: Connection, model_id: int, datasets: Sequence[tuple[DatasetRole, int]]
) -> None:
    for role, dataset_id in datasets:
        connection.execute(
            insert(ModelDatasetRow).values(model_id=model_id, dataset_id=dataset_id, role=role)
        )


def find_model(connection: Connection, wanted: VersionReference) -> ModelVersion:
    """That version, or the active one. Raises `NotFoundError`, also where none is active."""
    if wanted.version is None:
        return _active(connection, wanted.name)
    return _model_version(connection, _row(connection, wanted))


def active_model(connection: Connection, name: str) -> ModelVersion | None:
    """The active version of a name, if any is."""
    statement = _models().filter_by(name=name, state="active")
    row = connection.execute(statement).mappings().first()
    return None if row is None else _model_version(connection, row)


def list_models(
    connection: Connection, *, name: str | None, kind: str | None
) -> list[ModelVersion]:
    """Newest first."""
    given = {"name": name, "kind": kind}
    statement = (
        _models()
        .filter_by(**{key: value for key, value in given.items() if value is not None})
        .order_by(ModelVersionRow.model_id.desc())
    )
    found = connection.execute(statement).mappings().all()
    return [_model_version(connection, row) for row in found]


def make_active(connection: Connection, wanted: VersionReference, user: str, reason: str) -> None:
    """The caller holds the name and has checked the files. Nothing happens if it is active."""
    row = _row(connection, wanted)
    if row["state"] == "retired":
        raise InvalidRecordError(f"{wanted.name}@{wanted.version} is retired; activate another")
    if row["state"] == "active":
        return
    now_in_force = _newest_activation(connection, wanted.name)
    _switch(connection, wanted.name, row["model_id"])
    before = None if now_in_force is None else now_in_force["activation_id"]
    _log(connection, wanted.name, row["model_id"], before, "activate", user, reason)


def target_of_rollback(connection: Connection, name: str) -> ModelVersion:
    """The version that was active before the one that is, passing over what was retired since.

    Raises `NotFoundError` where there is none.
    """
    return _model_version(connection, _before(connection, name)[1])


def roll_back(connection: Connection, name: str, to: ModelVersion, user: str, reason: str) -> None:
    """Make `to` active, as `target_of_rollback` gave it; the caller holds the name.

    Raises `InvalidRecordError` where another version became active in between.
    """
    activation, row = _before(connection, name)
    if row["model_id"] != to.model_id:
        raise InvalidRecordError(f"another version of {name!r} became active meanwhile; try again")
    _switch(connection, name, row["model_id"])
    _log(connection, name, row["model_id"], activation["before_id"], "rollback", user, reason)


def retire(connection: Connection, wanted: VersionReference, user: str, reason: str) -> None:
    """Never use a version again; if it is active, none is then. The caller holds the name."""
    row = _row(connection, wanted)
    if row["state"] == "retired":
        return
    connection.execute(
        update(ModelVersionRow)
        .where(ModelVersionRow.model_id == row["model_id"])
        .values(state="retired")
    )
    if row["state"] == "active":
        in_force = _newest_activation(connection, wanted.name)
        before = None if in_force is None else in_force["before_id"]
        _log(connection, wanted.name, None, before, "retire", user, reason)


def blobs_but(connection: Connection, model: ModelVersion) -> frozenset[str]:
    """The SHA-256 of all files in the database that another version needs."""
    return frozenset(
        file.sha256
        for other in list_models(connection, name=None, kind=None)
        if other.model_id != model.model_id and other.storage == "blob" and other.state != "retired"
        for file in other.files.values()
    )


def activations(connection: Connection, name: str) -> list[Activation]:
    """What was active when, newest first."""
    statement = (
        select(ModelActivationRow.__table__, ModelVersionRow.version)
        .outerjoin(ModelVersionRow, ModelVersionRow.model_id == ModelActivationRow.model_id)
        .where(ModelActivationRow.name == name)
        .order_by(ModelActivationRow.activation_id.desc())
    )
    return [
        Activation(
            name=name,
            version=row["version"],
            action=cast(Action, row["action"]),
            user=row["user_name"],
            reason=row["reason"],
            created_at=row["created_at"],
        )
        for row in connection.execute(statement).mappings()
    ]


def _before(connection: Connection, name: str) -> tuple[RowMapping, RowMapping]:
    """The activation to go back to, and its version."""
    in_force = _newest_activation(connection, name)
    key = None if in_force is None else in_force["before_id"]
    while key is not None:
        activation = _activation(connection, key)
        row = _by_id(connection, activation["model_id"])
        if row is not None and row["state"] == "kept":
            return activation, row
        key = activation["before_id"]
    raise NotFoundError(
        f"no version of {name!r} was active before; activate another, or name another model in the"
        " settings"
    )


def _switch(connection: Connection, name: str, model_id: int) -> None:
    connection.execute(
        update(ModelVersionRow).filter_by(name=name, state="active").values(state="kept")
    )
    connection.execute(update(ModelVersionRow).filter_by(model_id=model_id).values(state="active"))


def _log(
    connection: Connection,
    name: str,
    model_id: int | None,
    before_id: int | None,
    action: Action,
    user: str,
    reason: str,
) -> None:
    connection.execute(
        insert(ModelActivationRow).values(
            name=name,
            model_id=model_id,
            before_id=before_id,
            action=action,
            user_name=user,
            reason=reason,
            created_at=now(),
        )
    )


def _newest_activation(connection: Connection, name: str) -> RowMapping | None:
    key = ModelActivationRow.activation_id
    statement = select(ModelActivationRow.__table__).filter_by(name=name).order_by(key.desc())
    return connection.execute(statement.limit(1)).mappings().first()


def _activation(connection: Connection, key: int) -> RowMapping:
    statement = select(ModelActivationRow.__table__).filter_by(activation_id=key)
    return connection.execute(statement).mappings().one()


def _by_id(connection: Connection, model_id: int | None) -> RowMapping | None:
    statement = _models().filter_by(model_id=model_id)
    return connection.execute(statement).mappings().first()


def _models() -> Select[*tuple[Any, ...]]:
    return select(ModelVersionRow.__table__)


def _row(connection: Connection, wanted: VersionReference) -> RowMapping:
    statement = _models().filter_by(name=wanted.name, version=wanted.version)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise NotFoundError(
            f"there is no model version {wanted.name}@{wanted.version}; `rag models versions` shows"
            " what is"
        )
    return row


def _active(connection: Connection, name: str) -> ModelVersion:
    found = active_model(connection, name)
    if found is not None:
        return found
    is_known = connection.execute(_models().filter_by(name=name).limit(1)).first() is not None
    if is_known:
        raise NotFoundError(
            f"no version of {name!r} is active; activate one with `rag models activate {name}@1`,"
            f" or name it: version:{name}@1"
        )
    raise NotFoundError(
        f"there is no model {name!r} with versions; `rag models versions` shows what is"
    )


def _model_version(connection: Connection, row: RowMapping) -> ModelVersion:
    return ModelVersion(
        model_id=row["model_id"],
        name=row["name"],
        version=row["version"],
        kind=cast(ModelKind, row["kind"]),
        base=row["base"],
        storage=cast(ModelStorage, row["storage"]),
        location=row["location"],
        files={
            name: StoredFile(sha256=sha256, size_bytes=size)
            for name, (sha256, size) in sorted(row["files"].items())
        },
        sha256=row["sha256"],
        weights_sha256=row["weights_sha256"],
        datasets=_datasets_of(connection, row["model_id"]),
        parameters=row["parameters"],
        metrics=row["metrics"],
        seed=row["seed"],
        code_version=row["code_version"],
        state=cast(ModelState, row["state"]),
        created_at=row["created_at"],
    )


def _datasets_of(connection: Connection, model_id: int) -> tuple[tuple[DatasetRole, str], ...]:
    statement = (
        select(ModelDatasetRow.role, DatasetVersionRow.name, DatasetVersionRow.version)
        .join(DatasetVersionRow, DatasetVersionRow.dataset_id == ModelDatasetRow.dataset_id)
        .where(ModelDatasetRow.model_id == model_id)
        .order_by(ModelDatasetRow.role.desc(), ModelDatasetRow.dataset_id.desc())
    )
    return tuple(
        (cast(DatasetRole, role), f"{name}@{version}")
        for role, name, version in connection.execute(statement)
    )
