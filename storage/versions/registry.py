"""Versions of data sets and models: registered, found, activated, rolled back.

A version is registered whole or not at all, and the same content only once. Its files are kept in
the home (`models/NAME/VERSION/`), in the database, or behind a link; wherever they are, their
SHA-256 is here, and nothing is used that differs.
"""

import getpass
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, text

from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.versions import datasets as dataset_versions
from storage.versions import models as model_versions
from storage.versions.blob_pieces import pieces_of, put_blob, remove_blob
from storage.versions.datasets import Member
from storage.versions.files import copied, over_all, over_weights, put_in_place
from storage.versions.folders import ModelFolders
from storage.versions.values import (
    REFERENCE_PREFIX,
    Activation,
    DatasetRole,
    DatasetVersion,
    ModelKind,
    ModelVersion,
    StoredFile,
    VersionReference,
    checked_json,
    checked_name,
    checked_seed,
    checked_text,
)

_LOCK_SPACE = 0x76657273
_MAX_USER = 200
_PROGRAM = "rag-pipeline-service"
Reference = str | VersionReference
Datasets = Sequence[tuple[DatasetRole, int]]


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions that a database knows; `home` is where the files of models are kept.

    A program takes `Composition.versions`, which has both.
    """

    database: Database
    home: Path | None = None

    def add_dataset(
        self,
        name: str,
        *,
        kind: str,
        manifest: Mapping[str, Any],
        sha256: str,
        location: str | Path | None = None,
        metadata: Mapping[str, Any] | None = None,
        members: Iterable[Member] | None = None,
    ) -> DatasetVersion:
        """Register a data set; the version that is there, if its kind and SHA-256 are the same.

        `members` name what is in it, one JSON object each, such as `{"prompt_id": …}`. Raises
        `InvalidRecordError` for a name that no version can have.
        """
        values = {
            "name": checked_name(name),
            "kind": checked_name(kind),
            "sha256": dataset_versions.checked_sha256(sha256),
            "manifest": checked_json("manifest", manifest),
            "location": checked_text("location", None if location is None else str(location)),
            "about": checked_json("metadata", metadata),
        }
        with self._holding("dataset", name) as connection:
            return dataset_versions.add_dataset(connection, values, members)

    def dataset(self, reference: Reference) -> DatasetVersion:
        """NAME@N, or the newest of NAME. Raises `NotFoundError`, `InvalidRecordError`."""
        with self.database.read() as connection:
            return dataset_versions.find_dataset(connection, _read(reference))

    def datasets(self, *, name: str | None = None, kind: str | None = None) -> list[DatasetVersion]:
        """Newest first."""
        with self.database.read() as connection:
            return dataset_versions.list_datasets(connection, name=name, kind=kind)

    def members(self, reference: Reference) -> list[Member] | None:
        """What is in a data set, in its order; None where that was not recorded.

        Raises `NotFoundError`, `SealError`.
        """
        with self.database.read() as connection:
            found = dataset_versions.read_members(connection, _read(reference))
            return None if found is None else list(found)

    def datasets_holding(self, field: str, values: Collection[str]) -> list[DatasetVersion]:
        """Those with a member whose `field`, such as `prompt_id`, is one of `values`."""
        wanted = frozenset(values)
        return [
            dataset
            for dataset in self.datasets()
            if any(member.get(field) in wanted for member in self.members(dataset.reference) or ())
        ]

    def take_out(self, reference: Reference, field: str, values: Collection[str]) -> int:
        """Forget the members whose `field` is one of `values`; how many it was.

        The data set's own SHA-256 stays, and its metadata then says how many were `erased`. Its
        file, if it has one, is the caller's to rewrite or remove.
        """
        wanted, unwanted = _read(reference), frozenset(values)
        with self._holding("dataset", wanted.name) as connection:
            return dataset_versions.take_out(
                connection, wanted, lambda member: member.get(field) in unwanted
            )

    def add_model(
        self,
        name: str,
        *,
        kind: ModelKind,
        folder: Path,
        keep: Literal["file", "blob"] = "file",
        link: str | None = None,
        sha256: str | None = None,
        base: str | None = None,
        dataset: DatasetVersion | None = None,
        evaluated_on: DatasetVersion | None = None,
        parameters: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> ModelVersion:
        """Register the model in `folder` (or in one file), kept but not active; the version that
        is there, if its files are the same: it is then one of these data sets, too.

        The files are copied: into the home, or with `keep="blob"` into the database. With a `link`
        `folder` is what was fetched from there, which the home then only holds a copy of. `sha256`,
        if given, is that of the weights, or of all files, as they must be.

        Raises `InvalidRecordError` for a pickle, a foreign file or another hash, `NotFoundError`,
        and `StorageError` where the disk is full; then nothing is registered.
        """
        given = {
            "name": checked_name(name),
            "kind": kind,
            "base": None if base is None else self._exact(base),
            "storage": keep if link is None else "link",
            "location": checked_text("link", link),
            "parameters": checked_json("parameters", parameters),
            "metrics": checked_json("metrics", metrics),
            "seed": checked_seed(seed),
            "code_version": code_version(),
        }
        datasets = _roles(dataset, evaluated_on)
        with copied(folder, self.folders.root) as (copy, files):
            _check_expected(sha256, over_all(files), over_weights(files))
            with self._holding("model", name) as connection:
                known = model_versions.same_model(connection, name, over_all(files))
                if known is not None:
                    return model_versions.also_of(connection, known, datasets)
                return self._insert(connection, given, datasets, copy, files)

    def _insert(
        self,
        connection: Connection,
        given: Mapping[str, Any],
        datasets: Datasets,
        copy: Path,
        files: Mapping[str, StoredFile],
    ) -> ModelVersion:
        number = model_versions.next_version(connection, given["name"], given["kind"])
        added = model_versions.insert_model(
            connection,
            {
                **given,
                "version": number,
                "files": {path: [file.sha256, file.size_bytes] for path, file in files.items()},
                "sha256": over_all(files),
                "weights_sha256": over_weights(files),
            },
            datasets,
        )
        if added.storage == "blob":
            _keep_blobs(connection, copy, files)
        else:
            put_in_place(copy, self.folders.of(added))
        return added

    def model(self, reference: Reference) -> ModelVersion:
        """NAME@N, or the active one of NAME. Raises `NotFoundError`, `InvalidRecordError`."""
        with self.database.read() as connection:
            return model_versions.find_model(connection, _read(reference))

    def models(self, *, name: str | None = None, kind: str | None = None) -> list[ModelVersion]:
        """Newest first."""
        with self.database.read() as connection:
            return model_versions.list_models(connection, name=name, kind=kind)

    def active(self, name: str) -> ModelVersion | None:
        """The active version of a name, if any is."""
        with self.database.read() as connection:
            return model_versions.active_model(connection, checked_name(name))

    def activations(self, name: str) -> list[Activation]:
        """Which version was made active when, by whom and why, newest first."""
        with self.database.read() as connection:
            return model_versions.activations(connection, checked_name(name))

    def activate(
        self, name: str, version: int, *, reason: str = "", user: str | None = None
    ) -> ModelVersion:
        """Make it the one that `version:NAME` means.

        Its files are checked first: raises `SealError` for damaged ones, `NotFoundError`,
        `InvalidRecordError` for a retired one; then the one that was active stays so.
        """
        wanted = VersionReference(checked_name(name), version)
        self.folders.checked(self.model(wanted))
        with self._holding("model", name) as connection:
            model_versions.make_active(connection, wanted, user_name(user), _reason(reason))
            return model_versions.find_model(connection, wanted)

    def rollback(self, name: str, *, reason: str = "", user: str | None = None) -> ModelVersion:
        """Make the version active that was before the one that is; again: the one before that.

        Raises `NotFoundError` where there is none, `SealError` for damaged files.
        """
        target = self.before(name)
        self.folders.checked(target)
        with self._holding("model", name) as connection:
            model_versions.roll_back(connection, name, target, user_name(user), _reason(reason))
            return model_versions.find_model(connection, VersionReference(name, target.version))

    def before(self, name: str) -> ModelVersion:
        """The version that a rollback goes to. Raises `NotFoundError` where there is none."""
        with self.database.read() as connection:
            return model_versions.target_of_rollback(connection, checked_name(name))

    def retire(
        self, name: str, version: int, *, reason: str = "", user: str | None = None
    ) -> ModelVersion:
        """Never use a version again; it stays on record. If it is active, none is then."""
        wanted = VersionReference(checked_name(name), version)
        with self._holding("model", name) as connection:
            model_versions.retire(connection, wanted, user_name(user), _reason(reason))
            return model_versions.find_model(connection, wanted)

    def discard(
        self, name: str, version: int, *, reason: str = "", user: str | None = None
    ) -> ModelVersion:
        """Retire a version and remove its files; that it was there stays on record.

        Raises `NotFoundError`, and `StorageError` where files can't be removed: then it is retired.
        """
        retired = self.retire(name, version, reason=reason, user=user)
        with self._holding("model", name) as connection:
            kept = model_versions.blobs_but(connection, retired)
            for sha256 in {file.sha256 for file in retired.files.values()} - kept:
                remove_blob(connection, sha256)
        self.folders.remove(retired)
        return retired

    @property
    def folders(self) -> ModelFolders:
        """Where the files of models are on this machine."""
        return ModelFolders(self.database, self.home)

    def _exact(self, base: str) -> str:
        """`base` with the version that its name means now."""
        if base.startswith(REFERENCE_PREFIX):
            return self.model(base).reference
        checked_text("base", base)
        return base

    @contextmanager
    def _holding(self, kind: str, name: str) -> Iterator[Connection]:
        """A transaction that nobody else changes versions of this name in."""
        with self.database.write() as connection:
            hold_name(connection, kind, name)
            yield connection


def hold_name(connection: Connection, kind: str, name: str) -> None:
    """Let nobody else change versions of this name until the transaction ends."""
    if connection.dialect.name != "sqlite":
        key = hashlib.sha256(f"{kind}/{name}".encode()).digest()[:4]
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:space, :key)"),
            {"space": _LOCK_SPACE, "key": int.from_bytes(key, "big", signed=True)},
        )


def _read(reference: Reference) -> VersionReference:
    return VersionReference.of(reference) if isinstance(reference, str) else reference


def _roles(dataset: DatasetVersion | None, evaluated_on: DatasetVersion | None) -> Datasets:
    """Each data set by its key, with what it was used for."""
    roles: tuple[tuple[DatasetRole, DatasetVersion | None], ...] = (
        ("trained_on", dataset),
        ("evaluated_on", evaluated_on),
    )
    return [(role, given.dataset_id) for role, given in roles if given is not None]


def _keep_blobs(connection: Connection, folder: Path, files: Mapping[str, StoredFile]) -> None:
    for name, file in files.items():
        put_blob(connection, file.sha256, pieces_of(folder / name))


def _check_expected(expected: str | None, *found: str) -> None:
    if expected is not None and expected not in found:
        raise InvalidRecordError(
            f"the files have the SHA-256 {found[0]}, not {expected[:80]}; fetch them again, or"
            " register them as what they are"
        )


def code_version() -> str:
    """Of this program."""
    try:
        return version(_PROGRAM)
    except PackageNotFoundError:
        return "unknown"


def _reason(given: str) -> str:
    checked_text("reason", given)
    return given


def user_name(given: str | None) -> str:
    """Who did it: the name that is given, else that of the account."""
    if given is not None:
        if not given.strip() or len(given) > _MAX_USER or not given.isprintable():
            raise InvalidRecordError(
                f"{given[:60]!r} can't name a user; use 1 to {_MAX_USER} printable characters"
            )
        return given
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "owner"
