"""Artifacts: bytes that are kept in the database, in a file, or elsewhere behind a link.

Wherever the bytes are, the database knows their SHA-256, and nothing is handed out that differs.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

from sqlalchemy import Connection, RowMapping, func, insert, select

from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError, SealError
from storage.models.artifacts import ArtifactRow

_BLOCK = 1 << 20
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One version of a named artifact."""

    name: str
    version: int
    media_type: str
    sha256: str
    size_bytes: int
    storage: Literal["blob", "file", "link"]
    location: str | None
    """The file's path or the link; None for a blob."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Artifacts:
    """All artifacts; putting under a name that is taken makes its next version."""

    database: Database

    def put_blob(self, name: str, content: bytes, *, media_type: str) -> Artifact:
        """Keep `content` in the database."""
        with self.database.write() as connection:
            return _by_id(connection, add_blob(connection, name, content, media_type=media_type))

    def put_file(self, name: str, path: Path, *, media_type: str) -> Artifact:
        """Record a file that stays where it is. Raises `NotFoundError` if it can't be read."""
        with self.database.write() as connection:
            return _by_id(connection, add_file(connection, name, path, media_type=media_type))

    def put_link(
        self, name: str, link: str, *, sha256: str, size_bytes: int, media_type: str
    ) -> Artifact:
        """Record bytes that a registry keeps, by the hash that they must have."""
        if len(sha256) != _SHA256_DIGITS or not set(sha256) <= set("0123456789abcdef"):
            raise InvalidRecordError(f"{sha256!r} is no SHA-256; give 64 hexadecimal digits")
        with self.database.write() as connection:
            artifact_id = _add(
                connection,
                name,
                storage="link",
                location=link,
                sha256=sha256,
                size_bytes=size_bytes,
                media_type=media_type,
            )
            return _by_id(connection, artifact_id)

    def find(self, name: str, *, version: int | None = None) -> Artifact:
        """That version, or the newest. Raises `NotFoundError`."""
        with self.database.read() as connection:
            return _artifact(_row(connection, name, version))

    def read(self, name: str, *, version: int | None = None) -> bytes:
        """The checked bytes of a blob or file. Raises `SealError` if they are not what was put."""
        with self.database.read() as connection:
            row = _row(connection, name, version)
        if row["storage"] == "link":
            raise NotFoundError(f"{name!r} is kept at {row['location']}; fetch it from there")
        return checked_content(row)


def add_blob(connection: Connection, name: str, content: bytes, *, media_type: str) -> int:
    """Keep `content` in the database; its key."""
    return _add(
        connection,
        name,
        storage="blob",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        media_type=media_type,
    )


def add_file(connection: Connection, name: str, path: Path, *, media_type: str) -> int:
    """Record a file that stays where it is; its key. Raises `NotFoundError`."""
    size_bytes, digest = 0, hashlib.sha256()
    for block in _blocks(path):
        size_bytes += len(block)
        digest.update(block)
    return _add(
        connection,
        name,
        storage="file",
        location=str(path.resolve()),
        sha256=digest.hexdigest(),
        size_bytes=size_bytes,
        media_type=media_type,
    )


def checked_content(row: RowMapping) -> bytes:
    """The bytes of a blob or file. Raises `SealError` if they are not what was put."""
    if row["storage"] == "blob":
        content = bytes(row["content"])
    else:
        content = b"".join(_blocks(Path(row["location"])))
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        where = row["location"] or "the database"
        raise SealError(f"artifact {row['name']!r} in {where} was changed; put it again")
    return content


def _add(connection: Connection, name: str, **values: object) -> int:
    if not name.strip():
        raise InvalidRecordError("an artifact needs a name")
    latest = select(func.coalesce(func.max(ArtifactRow.version), 0)).filter_by(name=name)
    version = connection.execute(latest).scalar_one() + 1
    new = insert(ArtifactRow).values(name=name, version=version, created_at=now(), **values)
    artifact_id: int = connection.execute(new.returning(ArtifactRow.artifact_id)).scalar_one()
    return artifact_id


def _by_id(connection: Connection, artifact_id: int) -> Artifact:
    statement = select(ArtifactRow.__table__).filter_by(artifact_id=artifact_id)
    return _artifact(connection.execute(statement).mappings().one())


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise NotFoundError(f"the file {path} can't be read: {error.strerror}") from error


def _row(connection: Connection, name: str, version: int | None) -> RowMapping:
    statement = select(ArtifactRow.__table__).filter_by(name=name)
    if version is not None:
        statement = statement.filter_by(version=version)
    newest = statement.order_by(ArtifactRow.version.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    if row is None:
        shown = name if version is None else f"{name} version {version}"
        raise NotFoundError(f"there is no artifact {shown!r}")
    return row


def _artifact(row: RowMapping) -> Artifact:
    return Artifact(
        name=row["name"],
        version=row["version"],
        media_type=row["media_type"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        storage=cast(Literal["blob", "file", "link"], row["storage"]),
        location=row["location"],
        created_at=row["created_at"],
    )
