"""Versions of data sets and models as values, and how they are named."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.errors import InvalidRecordError
from storage.words import UNSTORABLE

ModelKind = Literal["embedder", "generator", "reranker", "reward", "synthetic"]
ModelState = Literal["kept", "active", "retired"]
ModelStorage = Literal["blob", "file", "link"]
DatasetRole = Literal["trained_on", "evaluated_on"]
Action = Literal["activate", "rollback", "retire"]

REFERENCE_PREFIX = "version:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_LARGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a model."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """One version of a named data set, without what is in it."""

    dataset_id: int
    name: str
    version: int
    kind: str
    sha256: str
    manifest: Mapping[str, Any]
    location: str | None
    metadata: Mapping[str, Any]
    has_members: bool
    """Whether it is on record what is in it."""
    created_at: datetime

    @property
    def reference(self) -> str:
        """NAME@N"""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a named model, without its files."""

    model_id: int
    name: str
    version: int
    kind: ModelKind
    base: str | None
    storage: ModelStorage
    location: str | None
    """The link; None where the files are ours."""
    files: Mapping[str, StoredFile]
    """By path."""
    sha256: str
    """Over all files."""
    weights_sha256: str
    """Over the files of weights, as the history names it."""
    datasets: tuple[tuple[DatasetRole, str], ...]
    """Data sets as NAME@N, with what each was used for; of each use the newest first. There are
    several where the same came of them."""
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    seed: int | None
    code_version: str
    state: ModelState
    created_at: datetime

    @property
    def reference(self) -> str:
        """version:NAME@N, as settings and the history name it."""
        return f"{REFERENCE_PREFIX}{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """That a version became the active one of its name."""

    name: str
    version: int | None
    """None: since then no version is active."""
    action: Action
    user: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A name, and which version of it; None: the active one of models, the newest of data sets."""

    name: str
    version: int | None

    @classmethod
    def of(cls, text: str) -> "VersionReference":
        """Read NAME or NAME@N, also after `version:`. Raises `InvalidRecordError`."""
        name, at, number = text.removeprefix(REFERENCE_PREFIX).partition("@")
        if at and not _NUMBER.fullmatch(number):
            raise InvalidRecordError(
                f"{text[:120]!r} names no version; give NAME or NAME@N, such as {name[:60]}@1"
            )
        return cls(checked_name(name), int(number) if at else None)


def checked_name(name: str) -> str:
    """`name`, if versions can have it: it is also that of a folder. Raises `InvalidRecordError`."""
    if not _NAME.fullmatch(name):
        raise InvalidRecordError(
            f"{name[:120]!r} can't name versions; use up to 100 letters, digits, '.', '_' and '-',"
            " beginning with a letter or digit"
        )
    return name


def checked_text(what: str, given: str | None) -> str | None:
    """`given`, if every database can keep it. Raises `InvalidRecordError`."""
    if given is not None and UNSTORABLE.search(given):
        raise InvalidRecordError(f"the {what} {given[:80]!r} can't be stored; leave out NUL")
    return given


def checked_json(what: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """`given` as a database gives it back. Raises `InvalidRecordError` for what JSON has not."""
    try:
        written = json.dumps(given or {}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRecordError(
            f"the {what} can't be stored as JSON: {error}; give texts, truth values, finite"
            " numbers, lists and objects of them"
        ) from error
    read: dict[str, Any] = json.loads(written)
    if UNSTORABLE.search(json.dumps(read, ensure_ascii=False)) or "\\u0000" in written:
        raise InvalidRecordError(f"the {what} have a text with NUL or half a character in it")
    return read


def checked_seed(seed: int | None) -> int | None:
    """Raises `InvalidRecordError` for one of more than 64 bits."""
    if seed is not None and not -_LARGEST <= seed < _LARGEST:
        raise InvalidRecordError(f"the seed {seed} is out of range; give one of 64 bits")
    return seed
