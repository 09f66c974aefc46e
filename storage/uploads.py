"""Files that were uploaded: bytes among the artifacts, and what is said of them.

A file is two artifacts: its bytes, and a small JSON beside them with its name and purpose. The
names of both tell who put them there, so that what may be read is said in the statement.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from storage.artifacts import Artifacts
from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.artifacts import ArtifactRow
from storage.records import Principal
from storage.words import UNSTORABLE

MAX_PAGE = 100_000
MAX_FILENAME = 255
_ABOUT = "upload-about/"
_CONTENT = "upload/"
_OWNER_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An uploaded file, without its bytes."""

    file_id: str
    filename: str
    purpose: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Uploads:
    """The files of one principal; the owner's are everybody's."""

    database: Database
    principal: Principal

    def put(self, filename: str, content: bytes, *, purpose: str, media_type: str) -> Upload:
        """Keep a file. Raises `InvalidRecordError` for a name that none can have."""
        if not filename or len(filename) > MAX_FILENAME or UNSTORABLE.search(filename):
            raise InvalidRecordError(
                f"{filename[:60]!r} can't name a file; use 1 to {MAX_FILENAME} characters"
            )
        file_id = _new_file_id()
        about = {"filename": filename, "purpose": purpose, "size_bytes": len(content)}
        place = f"{_owner(self.principal)}/{file_id}"
        artifacts = Artifacts(self.database)
        # A file is known by what is said of it, which therefore comes last.
        artifacts.put_blob(_CONTENT + place, content, media_type=media_type)
        said = artifacts.put_blob(
            _ABOUT + place, json.dumps(about).encode(), media_type="application/json"
        )
        return _upload(file_id, json.dumps(about).encode(), said.created_at)

    def page(
        self,
        *,
        limit: int,
        after: str | None = None,
        purpose: str | None = None,
        newest_first: bool = True,
    ) -> list[Upload]:
        """The `limit` files that stand behind the file `after`. Raises `InvalidRecordError`."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_PAGE}")
        order = ArtifactRow.artifact_id.desc() if newest_first else ArtifactRow.artifact_id
        statement = _abouts().where(self._readable(_ABOUT)).order_by(order)
        if after is not None:
            place = self._about(after).artifact_id
            key = ArtifactRow.artifact_id
            statement = statement.where(key < place if newest_first else key > place)
        with self.database.read() as connection:
            found: list[Upload] = []
            for row in connection.execute(statement):
                upload = _upload(_file_id(row.name), bytes(row.content), row.created_at)
                if purpose is None or upload.purpose == purpose:
                    found.append(upload)
                if len(found) == limit:
                    break
            return found

    def find(self, file_id: str) -> Upload:
        """One file. Raises `NotFoundError`, missing or somebody else's."""
        row = self._about(file_id)
        return _upload(file_id, bytes(row.content), row.created_at)

    def read(self, file_id: str) -> bytes:
        """Its bytes. Raises `NotFoundError`, and `SealError` if they are not what was put."""
        name: str = self._about(file_id).name
        return Artifacts(self.database).read(_CONTENT + name.removeprefix(_ABOUT))

    def remove(self, file_id: str) -> None:
        """Forget the bytes and the name. Raises `NotFoundError`."""
        place = self._about(file_id).name.removeprefix(_ABOUT)
        names = [_CONTENT + place, _ABOUT + place]
        with self.database.write() as connection:
            connection.execute(delete(ArtifactRow).where(ArtifactRow.name.in_(names)))

    def _about(self, file_id: str) -> Any:
        missing = NotFoundError(f"there is no file {file_id[:60]!r}")
        if not _is_file_id(file_id):
            raise missing
        statement = _abouts().where(
            self._readable(_ABOUT), ArtifactRow.name.endswith(f"/{file_id}", autoescape=True)
        )
        with self.database.read() as connection:
            row = connection.execute(statement.limit(1)).first()
        if row is None:
            raise missing
        return row

    def _readable(self, kind: str) -> ColumnElement[bool]:
        prefix = kind if self.principal.is_owner else f"{kind}{_owner(self.principal)}/"
        return ArtifactRow.name.startswith(prefix, autoescape=True)


def _abouts() -> Any:
    return select(
        ArtifactRow.artifact_id, ArtifactRow.name, ArtifactRow.content, ArtifactRow.created_at
    )


def _new_file_id() -> str:
    """Sortable by time: twelve hexadecimal digits of milliseconds, then chance."""
    return f"file-{int(now().timestamp() * 1000):012x}{secrets.token_hex(8)}"


def _is_file_id(text: str) -> bool:
    digits = text.removeprefix("file-")
    return len(digits) == 28 and digits != text and set(digits) <= set("0123456789abcdef")


def _file_id(name: str) -> str:
    return name.rpartition("/")[2]


def _owner(principal: Principal) -> str:
    """One name for all owners, and one for each other principal, of letters that need no care."""
    if principal.is_owner:
        return "owner"
    return _digest(principal.name)


def owner_prefixes(name: str) -> tuple[str, ...]:
    """How the names of all artifacts begin that hold what a user of this name uploaded."""
    digest = _digest(name)
    return tuple(f"{kind}{digest}/" for kind in (_CONTENT, _ABOUT))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_OWNER_DIGITS]


def _upload(file_id: str, about: bytes, created_at: datetime) -> Upload:
    said = json.loads(about)
    return Upload(
        file_id=file_id,
        filename=said["filename"],
        purpose=said["purpose"],
        size_bytes=said["size_bytes"],
        created_at=created_at,
    )
