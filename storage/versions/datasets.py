"""Data sets on record: what each version is, how it was made, and what is in it.

What is in a data set is a list of members: JSON values that name a prompt, a document or a text.
It is kept compressed; `storage.versions.registry` says who may be looked for in it.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from storage.clock import now
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.versions import DatasetVersionRow
from storage.versions.blob_pieces import PIECE_BYTES, blob_pieces, put_blob, remove_blob
from storage.versions.values import DatasetVersion, VersionReference

Member = Mapping[str, Any]
"""What names one thing that is in a data set: `{prompt_id}`, or `{external_id, source, …}`."""
_SHA256_DIGITS = 64
_HEX = frozenset("0123456789abcdef")


def add_dataset(
    connection: Connection, values: Mapping[str, Any], members: Iterable[Member] | None
) -> DatasetVersion:
    """Register a version; the one that is there, if it is of the same kind and bytes, with the
    place where those were written last.

    The caller holds the name.
    """
    same = {key: values[key] for key in ("name", "kind", "sha256")}
    row = connection.execute(_datasets().filter_by(**same)).mappings().first()
    if row is not None:
        return _moved(connection, row, values)
    newest = select(func.coalesce(func.max(DatasetVersionRow.version), 0))
    version = connection.execute(newest.filter_by(name=values["name"])).scalar_one() + 1
    connection.execute(
        insert(DatasetVersionRow).values(
            version=version,
            members_sha256=None if members is None else _keep(connection, members),
            created_at=now(),
            **values,
        )
    )
    return find_dataset(connection, VersionReference(values["name"], version))


def _moved(connection: Connection, row: RowMapping, values: Mapping[str, Any]) -> DatasetVersion:
    """The version as it is; its file is where the same bytes were written last."""
    wanted = VersionReference(row["name"], row["version"])
    if values["location"] not in (None, row["location"]):
        names = {key: values["manifest"][key] for key in ("files",) if key in values["manifest"]}
        connection.execute(
            update(DatasetVersionRow)
            .where(DatasetVersionRow.dataset_id == row["dataset_id"])
            .values(location=values["location"], manifest={**row["manifest"], **names})
        )
    return find_dataset(connection, wanted)


def checked_sha256(sha256: str) -> str:
    """Raises `InvalidRecordError` for what is none."""
    if len(sha256) != _SHA256_DIGITS or not set(sha256) <= _HEX:
        raise InvalidRecordError(f"{sha256[:80]!r} is no SHA-256; give 64 hexadecimal digits")
    return sha256


def find_dataset(connection: Connection, wanted: VersionReference) -> DatasetVersion:
    """That version, or the newest of the name. Raises `NotFoundError`."""
    return dataset_version(_row(connection, wanted))


def list_datasets(
    connection: Connection, *, name: str | None, kind: str | None
) -> list[DatasetVersion]:
    """Newest first."""
    given = {"name": name, "kind": kind}
    statement = (
        _datasets()
        .filter_by(**{key: value for key, value in given.items() if value is not None})
        .order_by(DatasetVersionRow.dataset_id.desc())
    )
    return [dataset_version(row) for row in connection.execute(statement).mappings()]


def read_members(connection: Connection, wanted: VersionReference) -> Iterator[Member] | None:
    """What is in it, in its order; None where that was not recorded. Raises `SealError`."""
    key = _row(connection, wanted)["members_sha256"]
    return None if key is None else _members(connection, key)


def take_out(
    connection: Connection, wanted: VersionReference, unwanted: Callable[[Member], bool]
) -> int:
    """Forget the members that are `unwanted`, and say in the version how many it was.

    Its SHA-256 stays: it is the name of what the data set was.
    """
    row = _row(connection, wanted)
    if row["members_sha256"] is None:
        return 0
    members = [*_members(connection, row["members_sha256"])]
    kept = [member for member in members if not unwanted(member)]
    if taken := len(members) - len(kept):
        about = {**row["about"], "erased": row["about"].get("erased", 0) + taken}
        _replace_members(connection, row, kept, about)
    return taken


def _replace_members(
    connection: Connection, row: RowMapping, kept: Sequence[Member], about: Mapping[str, Any]
) -> None:
    connection.execute(
        update(DatasetVersionRow)
        .where(DatasetVersionRow.dataset_id == row["dataset_id"])
        .values(members_sha256=_keep(connection, kept), about=dict(about))
    )
    others = select(func.count()).select_from(DatasetVersionRow)
    if not connection.execute(others.filter_by(members_sha256=row["members_sha256"])).scalar_one():
        remove_blob(connection, row["members_sha256"])


def _keep(connection: Connection, members: Iterable[Member]) -> str:
    lines = b"".join(map(member_line, members))
    content = zlib.compress(lines)
    digest = hashlib.sha256(content).hexdigest()
    put_blob(connection, digest, _cut(content))
    return digest


def member_line(member: Member) -> bytes:
    """One JSON line, the same for the same member."""
    line = json.dumps(member, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return line.encode("utf-8", "surrogatepass") + b"\n"


def _cut(content: bytes) -> Iterator[bytes]:
    for start in range(0, max(len(content), 1), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def _members(connection: Connection, key: str) -> Iterator[Member]:
    lines = zlib.decompress(b"".join(blob_pieces(connection, key)))
    for line in lines.splitlines():
        yield json.loads(line.decode("utf-8", "surrogatepass"))


def members_as_lines(connection: Connection) -> Iterator[bytes]:
    """One JSON line for each member of every data set: they are kept compressed."""
    for row in connection.execute(_datasets()).mappings().all():
        if row["members_sha256"] is not None:
            yield from map(member_line, _members(connection, row["members_sha256"]))


def _datasets() -> Select[*tuple[Any, ...]]:
    return select(DatasetVersionRow.__table__)


def _row(connection: Connection, wanted: VersionReference) -> RowMapping:
    statement = _datasets().filter_by(name=wanted.name)
    if wanted.version is not None:
        statement = statement.filter_by(version=wanted.version)
    newest = statement.order_by(DatasetVersionRow.version.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    if row is None:
        shown = wanted.name if wanted.version is None else f"{wanted.name}@{wanted.version}"
        raise NotFoundError(f"there is no data set {shown!r}; `rag datasets list` shows what is")
    return row


def dataset_version(row: RowMapping) -> DatasetVersion:
    """Of a row of the table."""
    return DatasetVersion(
        dataset_id=row["dataset_id"],
        name=row["name"],
        version=row["version"],
        kind=row["kind"],
        sha256=row["sha256"],
        manifest=row["manifest"],
        location=row["location"],
        metadata=row["about"],
        has_members=row["members_sha256"] is not None,
        created_at=row["created_at"],
    )
