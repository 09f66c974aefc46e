"""Single records that are taken out of a set, as if they had never been loaded.

Nothing that is stored is changed: a batch that held them goes, and another with what is left of it
takes its place, under the same guards. Which records go is kept as salted hashes, so that a plan
that waits to be carried out says nothing of them, and finds them wherever they are by then.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from storage.errors import InvalidRecordError, NotFoundError
from storage.filters.corpus import dialect_of
from storage.filters.records import record_fields
from storage.filters.sql import condition
from storage.filters.text import parse
from storage.models.record_sets import RecordBatchImageRow, RecordBatchRow, RecordRow
from storage.models.versions import DatasetVersionRow
from storage.record_sets.coding import RowCoding
from storage.record_sets.reading import read_set, read_sets
from storage.record_sets.spool import as_line, content_digest
from storage.record_sets.values import RecordSet
from storage.record_sets.writing import DATASET_KIND, add_version_of_real, delete_batches
from storage.versions.datasets import list_datasets, read_members
from storage.versions.values import DatasetVersion, VersionReference

_ROWS_AT_ONCE = 2_000
_MARK_BYTES = 16
_BECAME = "became"
"""Of a data set: what its batches, by their SHA-256, became when records were taken out of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Real records of a set of which a condition is true."""

    set_name: str
    records: int
    batches: Mapping[int, int]
    """How many of them, by batch."""
    marks: frozenset[str]
    """Salted hashes of their contents."""
    datasets: tuple[str, ...]
    """Versions of the data set that held any of them, as NAME@N."""


@dataclass(slots=True)
class TakenOut:
    """What went."""

    records: int = 0
    repeated: int = 0
    """Records of batches that, without those, were others' content: these are there once."""
    batches: list[int] = field(default_factory=list)
    """Those that were written anew, or are gone."""


def matching(connection: Connection, name: str, where: str, salt: str) -> Matching:
    """The real records that fulfil `where`.

    Raises `FilterError` for what is no filter on the set's columns, `NotFoundError` where there is
    no such set or record, and `InvalidRecordError` where it is true of all.
    """
    found = read_set(connection, name)
    fulfils = condition(parse(where), record_fields(found.schema, dialect_of(connection)))
    batches = _counted(connection, found, fulfils)
    records = sum(batches.values())
    if not records:
        raise NotFoundError(f"no real record of {name!r} is as asked: correct the condition")
    if records == found.real:
        raise InvalidRecordError(
            f"that is true of all {records} real records of {name!r}: narrow it, or delete the set"
            f" by `rag synth delete {name}`"
        )
    return Matching(
        set_name=name,
        records=records,
        batches=batches,
        marks=frozenset(_marks(connection, found, fulfils, salt)),
        datasets=_datasets_with(connection, name, [*batches]),
    )


def mark(content: str, salt: str) -> str:
    """What stands for a content in a plan."""
    return hashlib.sha256(f"{salt}\n{content}".encode()).digest()[:_MARK_BYTES].hex()


def contents(
    connection: Connection, name: str, salt: str, marks: Collection[str]
) -> Iterator[tuple[bool, str]]:
    """Whether it is a real record of that set with one of these marks, and what it says: of every
    record of all sets."""
    keys = [found.set_id for found in read_sets(connection, name)]
    statement = select(RecordRow.set_id, RecordRow.origin, RecordRow.content)
    for row in connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)):
        is_of_set = row.set_id in keys and row.origin == "real"
        yield is_of_set and mark(row.content, salt) in marks, row.content


def take_out(connection: Connection, name: str, salt: str, marks: Collection[str]) -> TakenOut:
    """Remove the real records with these marks; those that are gone by then are not missed.

    The caller holds the set's name. Raises `NotFoundError` for no such set.
    """
    found = read_set(connection, name)
    coding, taken = RowCoding(found.schema), TakenOut()
    statement = select(RecordBatchRow.__table__).filter_by(set_id=found.set_id, origin="real")
    rows = connection.execute(statement.order_by(RecordBatchRow.batch_id)).mappings().all()
    left = [_Left.of(connection, dict(row), coding, salt, marks) for row in rows]
    kept = {one.sha256 for one in left if not one.gone}
    anew: list[_Left] = []
    for one in left:
        if one.gone:
            taken.records += len(one.gone)
            taken.batches.append(one.batch_id)
            if one.sha256 in kept:
                taken.repeated += one.records
            elif one.records:
                kept.add(one.sha256)
                anew.append(one)
    _note_in_datasets(connection, name, [one for one in left if one.gone])
    members = [one.member for one in left if not one.gone] + [one.member for one in anew]
    if anew:
        dataset_id = add_version_of_real(connection, found.name, found.schema, members).dataset_id
        for one in anew:
            one.write(connection, coding, dataset_id)
    delete_batches(connection, taken.batches)
    return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What is left of a batch."""

    row: Mapping[str, Any]
    gone: frozenset[int]
    """Positions of the records that go."""
    records: int
    sha256: str

    @classmethod
    def of(
        cls,
        connection: Connection,
        row: Mapping[str, Any],
        coding: RowCoding,
        salt: str,
        marks: Collection[str],
    ) -> "_Left":
        digest, gone, records = content_digest(coding.columns), set(), 0
        statement = select(RecordRow.position, RecordRow.content).filter_by(
            batch_id=row["batch_id"]
        )
        statement = statement.order_by(RecordRow.position)
        for one in connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)):
            if mark(one.content, salt) in marks:
                gone.add(one.position)
            else:
                digest.update(as_line(one.content))
                records += 1
        return cls(row=row, gone=frozenset(gone), records=records, sha256=digest.hexdigest())

    @property
    def batch_id(self) -> int:
        return int(self.row["batch_id"])

    @property
    def member(self) -> dict[str, Any]:
        """As data sets name it."""
        return {"sha256": self.sha256, "records": self.records}

    def write(self, connection: Connection, coding: RowCoding, dataset_id: int) -> None:
        """Another batch in its place, to which the records move."""
        new = {
            **self.row,
            "records": self.records,
            "sha256": self.sha256,
            "dataset_id": dataset_id,
        }
        del new["batch_id"]
        statement = insert(RecordBatchRow).values(new).returning(RecordBatchRow.batch_id)
        batch_id: int = connection.execute(statement).scalar_one()
        images: set[str] = set()
        position = 0
        for start in range(0, self.row["records"], _ROWS_AT_ONCE):
            rows = [
                {**row, "batch_id": batch_id, "position": at}
                for at, row in enumerate(self._taken_from(connection, start), start=position)
            ]
            position += len(rows)
            images.update(key for row in rows for key in coding.images_of(row["content"]))
            if rows:
                connection.execute(insert(RecordRow), rows)
        links = [{"batch_id": batch_id, "sha256": key} for key in sorted(images)]
        if links:
            connection.execute(insert(RecordBatchImageRow), links)

    def _taken_from(self, connection: Connection, start: int) -> list[dict[str, Any]]:
        """Some of what stays. A key is there once, so they go before they come again."""
        these = and_(
            RecordRow.batch_id == self.batch_id,
            RecordRow.position >= start,
            RecordRow.position < start + _ROWS_AT_ONCE,
        )
        statement = select(RecordRow.__table__).where(these).order_by(RecordRow.position)
        rows = connection.execute(statement).mappings().all()
        connection.execute(delete(RecordRow).where(these))
        return [dict(row) for row in rows if row["position"] not in self.gone]


def _of_real(found: RecordSet) -> ColumnElement[bool]:
    return and_(RecordRow.set_id == found.set_id, RecordRow.origin == "real")


def _counted(
    connection: Connection, found: RecordSet, fulfils: ColumnElement[bool]
) -> dict[int, int]:
    statement = (
        select(RecordRow.batch_id, func.count().label("records"))
        .where(_of_real(found), fulfils)
        .group_by(RecordRow.batch_id)
        .order_by(RecordRow.batch_id)
    )
    return {row.batch_id: row.records for row in connection.execute(statement)}


def _marks(
    connection: Connection, found: RecordSet, fulfils: ColumnElement[bool], salt: str
) -> Iterator[str]:
    statement = select(RecordRow.content).where(_of_real(found), fulfils)
    rows = connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE))
    return (mark(content, salt) for content in rows.scalars())


def _datasets_with(
    connection: Connection, name: str, batch_ids: Collection[int]
) -> tuple[str, ...]:
    """Versions of the data set that had these batches, or what they were before others were
    taken out of them."""
    statement = select(RecordBatchRow.sha256).where(RecordBatchRow.batch_id.in_([*batch_ids]))
    versions = list_datasets(connection, name=name, kind=DATASET_KIND)
    wanted = _with_what_they_were(versions, connection.execute(statement).scalars())
    return tuple(
        version.reference for version in versions if wanted & _batches_in(connection, version)
    )


def _with_what_they_were(versions: Sequence[DatasetVersion], batches: Iterable[str]) -> set[str]:
    """The SHA-256 of these batches, and of those that became them."""
    found = {*batches}
    became = [pair for version in versions for pair in version.metadata.get(_BECAME, ())]
    while earlier := {was for was, now in became if now in found} - found:
        found |= earlier
    return found


def _batches_in(connection: Connection, version: DatasetVersion) -> set[str]:
    reference = VersionReference(version.name, version.version)
    return {member["sha256"] for member in read_members(connection, reference) or ()}


def _note_in_datasets(connection: Connection, name: str, left: Collection[_Left]) -> None:
    """Say in the versions of the data set how many of their records were erased since, and what
    their batches became."""
    versions = list_datasets(connection, name=name, kind=DATASET_KIND)
    were = [_with_what_they_were(versions, [one.row["sha256"]]) for one in left]
    for version in versions:
        batches, about = _batches_in(connection, version), version.metadata
        here = [one for one, was in zip(left, were, strict=True) if was & batches]
        if here:
            erased = about.get("erased", 0) + sum(len(one.gone) for one in here)
            now = [[one.row["sha256"], one.sha256] for one in here if one.row["sha256"] in batches]
            became = [*about.get(_BECAME, ()), *now]
            connection.execute(
                update(DatasetVersionRow)
                .filter_by(dataset_id=version.dataset_id)
                .values(about={**about, "erased": erased, _BECAME: became})
            )
