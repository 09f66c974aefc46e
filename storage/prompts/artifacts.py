"""What came with a question, or was made for its answer: bytes, beside the exchange."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, insert, select

from storage.artifacts import add_blob, add_file, checked_content
from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.artifacts import ArtifactRow
from storage.models.prompts import PromptArtifactRow
from storage.names import check_name
from storage.prompts.access import resolved
from storage.records import Principal, PromptArtifact

Role = Literal["attachment", "output"]
MAX_NAME = 120
LARGEST_BLOB = 16 * 2**20
"""Bytes. What is larger stays in its file."""
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class PromptArtifacts:
    """The attachments and outputs of exchanges."""

    database: Database

    def attach(
        self,
        prompt_id: str,
        what: Path | bytes,
        *,
        principal: Principal,
        role: Role,
        name: str | None = None,
        media_type: str | None = None,
    ) -> PromptArtifact:
        """Put a file's or these bytes beside an exchange; both stay, or neither.

        The database keeps up to `LARGEST_BLOB` bytes; a larger file stays where it is, under its
        hash. A unique beginning of the id is enough. Raises `NotFoundError` for an exchange that
        the principal may not read and for a file that can't be read, `InvalidRecordError`.
        """
        called = name or (what.name if isinstance(what, Path) else role)
        check_name(called, "an artifact")
        if len(called) > MAX_NAME:
            raise InvalidRecordError(
                f"an artifact's name has at most {MAX_NAME} characters; shorten {called[:40]!r}…"
            )
        kind = media_type or mimetypes.guess_type(called)[0] or _BYTES
        check_name(kind, "a kind of media")
        stays = isinstance(what, Path) and _size(what) > LARGEST_BLOB
        content = _content(what) if not stays else b""
        with self.database.write() as connection:
            key = resolved(connection, prompt_id, principal)
            stored = f"prompts/{key}/{called}"
            if isinstance(what, Path) and stays:
                artifact_id = add_file(connection, stored, what, media_type=kind)
            else:
                artifact_id = add_blob(connection, stored, content, media_type=kind)
            connection.execute(
                insert(PromptArtifactRow).values(prompt_id=key, artifact_id=artifact_id, role=role)
            )
            return all_artifacts(connection, [key])[key][-1]

    def of(self, prompt_id: str, *, principal: Principal) -> tuple[PromptArtifact, ...]:
        """Those of one exchange, in the order in which they came. Raises `NotFoundError`."""
        with self.database.read() as connection:
            key = resolved(connection, prompt_id, principal)
            return all_artifacts(connection, [key]).get(key, ())

    def read(self, prompt_id: str, name: str, *, principal: Principal) -> bytes:
        """The checked bytes of the newest that has this name.

        Raises `NotFoundError`, and `SealError` if they are not what was put there.
        """
        with self.database.read() as connection:
            key = resolved(connection, prompt_id, principal)
            row = connection.execute(
                select(ArtifactRow.__table__)
                .join(PromptArtifactRow, PromptArtifactRow.artifact_id == ArtifactRow.artifact_id)
                .where(
                    PromptArtifactRow.prompt_id == key,
                    ArtifactRow.name == f"prompts/{key}/{name}",
                )
                .order_by(ArtifactRow.version.desc())
                .limit(1)
            ).mappings()
            found = row.first()
        if found is None:
            raise NotFoundError(f"prompt {key!r} has no artifact {name!r}")
        return checked_content(found)


def all_artifacts(
    connection: Connection, keys: Sequence[str]
) -> dict[str, tuple[PromptArtifact, ...]]:
    """Those of each of these exchanges, in the order in which they came."""
    statement = (
        select(
            PromptArtifactRow.prompt_id,
            PromptArtifactRow.role,
            ArtifactRow.name,
            ArtifactRow.media_type,
            ArtifactRow.sha256,
            ArtifactRow.size_bytes,
            ArtifactRow.storage,
            ArtifactRow.location,
        )
        .join(ArtifactRow, ArtifactRow.artifact_id == PromptArtifactRow.artifact_id)
        .order_by(ArtifactRow.artifact_id)
    )
    found: dict[str, list[PromptArtifact]] = {}
    for row in rows_where(connection, statement, PromptArtifactRow.prompt_id, keys):
        found.setdefault(row.prompt_id, []).append(
            PromptArtifact(
                name=row.name.removeprefix(f"prompts/{row.prompt_id}/"),
                role=row.role,
                media_type=row.media_type,
                sha256=row.sha256,
                size_bytes=row.size_bytes,
                storage=row.storage,
                location=row.location,
            )
        )
    return {key: tuple(several) for key, several in found.items()}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(what: Path | bytes) -> bytes:
    if isinstance(what, Path):
        try:
            return what.read_bytes()
        except OSError as error:
            raise _unreadable(what, error) from error
    if len(what) > LARGEST_BLOB:
        raise InvalidRecordError(
            f"{len(what):,} bytes are too many to keep in the database ({LARGEST_BLOB:,} are the"
            " most); write them to a file and attach that"
        )
    return what


def _unreadable(path: Path, error: OSError) -> NotFoundError:
    return NotFoundError(f"the file {path} can't be read: {error.strerror}")
