"""Reads the record of ingest runs: what was done, when, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import Select

from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.lease import is_held
from storage.models.corpus import CollectionRow, CorpusStateRow, RunRow
from storage.records import CollectionId, RunId

RunStatus = Literal["running", "completed", "failed", "died"]
"""died: it has no end, and nobody holds the writer's lease for it."""

OUTCOMES = (
    "new",
    "changed",
    "unchanged",
    "duplicate",
    "near_duplicate",
    "failed",
    "skipped",
    "deleted",
)
MAX_LIMIT = 10_000
_ERROR = "error"
"""The key under which the report of a failed run says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run, as it is on record."""

    run_id: RunId
    collection: str
    source_name: str | None
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end, if it has one."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    def as_json(self) -> dict[str, Any]:
        """The stable interface; keys may be added, none is changed or removed."""
        return {
            "run_id": self.run_id,
            "collection": self.collection,
            "source_name": self.source_name,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "report": dict(self.report),
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """All runs of one source into one collection."""

    source_name: str | None
    collection: str
    runs: int
    completed: int
    failures: int
    """Runs that failed or died."""
    documents: Mapping[str, int]
    last_success_at: datetime | None
    last_seconds: float | None
    """Of the last run that has an end."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The record of all runs. It is only read here: a run keeps its own record."""

    database: Database

    def latest(
        self,
        *,
        limit: int = 20,
        source: str | None = None,
        collection: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[RunRecord]:
        """The newest runs, newest first; those that began before the time and id of `before`."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_LIMIT}")
        statement = _newest_first()
        if source is not None:
            statement = statement.where(RunRow.source_name == source)
        if collection is not None:
            statement = statement.where(CollectionRow.name == collection)
        if before is not None:
            place = tuple_(literal(before[0], RunRow.started_at.type), before[1])
            statement = statement.where(tuple_(RunRow.started_at, RunRow.run_id) < place)
        with self.database.read() as connection:
            rows = connection.execute(statement.limit(limit)).mappings().all()
            newest = _newest(connection)
        return self._records(rows, newest)

    def show(self, run_id: str) -> RunRecord:
        """One run; a unique beginning of its id is enough. Raises `NotFoundError`."""
        statement = _newest_first().where(RunRow.run_id.startswith(run_id, autoescape=True))
        with self.database.read() as connection:
            rows = connection.execute(statement.limit(2)).mappings().all()
            newest = _newest(connection)
        if not run_id or not rows:
            raise NotFoundError(f"there is no run {run_id!r}; `rag runs list` shows what is")
        if len(rows) > 1:
            raise NotFoundError(f"more than one run begins with {run_id!r}; give more")
        return self._records(rows, newest)[0]

    def last_of(self, collection_id: CollectionId) -> str | None:
        """What the newest run into a collection brought in: the name of its source."""
        statement = (
            select(RunRow.source_name)
            .filter_by(collection_id=collection_id)
            .order_by(RunRow.started_at.desc(), RunRow.run_id.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            return connection.execute(statement).scalar()

    def last_completed(self, source: str) -> datetime | None:
        """When the last completed run of that source began."""
        statement = select(func.max(RunRow.started_at)).where(
            RunRow.source_name == source, _is_completed()
        )
        with self.database.read() as connection:
            return connection.execute(statement).scalar_one()

    def last_successes(self) -> Mapping[str, datetime]:
        """When the last completed run into each collection ended, by its name."""
        statement = (
            select(CollectionRow.name, func.max(RunRow.ended_at).label("ended_at"))
            .join(RunRow, RunRow.collection_id == CollectionRow.collection_id)
            .where(_is_completed())
            .group_by(CollectionRow.name)
        )
        with self.database.read() as connection:
            return {row.name: row.ended_at for row in connection.execute(statement)}

    def generation(self) -> int:
        """The generation that is committed."""
        with self.database.read() as connection:
            return connection.execute(select(CorpusStateRow.generation)).scalar_one()

    def totals(self) -> list[RunTotals]:
        """Sums over all runs, for each source and collection, by their names."""
        running = self._running_id()
        with self.database.read() as connection:
            rows = connection.execute(_totals(running)).mappings().all()
            return [_run_totals(connection, row) for row in rows]

    def _running_id(self) -> str | None:
        """The run that is at work: only the newest can be, and only with the lease."""
        with self.database.read() as connection:
            newest = _newest(connection)
        if newest is None or newest["ended_at"] is not None or not is_held(self.database):
            return None
        running: str = newest["run_id"]
        return running

    def _records(self, rows: Sequence[RowMapping], newest: RowMapping | None) -> list[RunRecord]:
        has_open = newest is not None and any(row["ended_at"] is None for row in rows)
        running = self._running_id() if has_open else None
        return [_record(row, running) for row in rows]


def _newest_first() -> Select[*tuple[Any, ...]]:
    return (
        select(RunRow.__table__, CollectionRow.name.label("collection"))
        .join(CollectionRow, CollectionRow.collection_id == RunRow.collection_id)
        .order_by(RunRow.started_at.desc(), RunRow.run_id.desc())
    )


def _newest(connection: Connection) -> RowMapping | None:
    return connection.execute(_newest_first().limit(1)).mappings().first()


def _record(row: RowMapping, running: str | None) -> RunRecord:
    report = row["report"] or {}
    return RunRecord(
        run_id=RunId(row["run_id"]),
        collection=row["collection"],
        source_name=row["source_name"],
        status=_status(row, report, running),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        report=report,
    )


def _status(row: RowMapping, report: Mapping[str, Any], running: str | None) -> RunStatus:
    if row["ended_at"] is None:
        return "running" if row["run_id"] == running else "died"
    return "failed" if _ERROR in report else "completed"


def _is_completed() -> ColumnElement[bool]:
    return and_(RunRow.ended_at.is_not(None), RunRow.report[_ERROR].as_string().is_(None))


def _totals(running: str | None) -> Select[*tuple[Any, ...]]:
    is_over = or_(RunRow.ended_at.is_not(None), RunRow.run_id != (running or ""))
    documents = [
        func.coalesce(func.sum(RunRow.report["documents"][outcome].as_integer()), 0).label(outcome)
        for outcome in OUTCOMES
    ]
    return (
        select(
            RunRow.source_name,
            RunRow.collection_id,
            CollectionRow.name.label("collection"),
            func.count().label("runs"),
            func.sum(case((_is_completed(), 1), else_=0)).label("completed"),
            func.sum(case((and_(is_over, ~_is_completed()), 1), else_=0)).label("failures"),
            func.max(case((_is_completed(), RunRow.ended_at))).label("last_success_at"),
            *documents,
        )
        .join(CollectionRow, CollectionRow.collection_id == RunRow.collection_id)
        .group_by(RunRow.source_name, RunRow.collection_id, CollectionRow.name)
        .order_by(func.coalesce(RunRow.source_name, ""), CollectionRow.name)
    )


def _run_totals(connection: Connection, row: RowMapping) -> RunTotals:
    return RunTotals(
        source_name=row["source_name"],
        collection=row["collection"],
        runs=row["runs"],
        completed=row["completed"],
        failures=row["failures"],
        documents={outcome: row[outcome] for outcome in OUTCOMES},
        last_success_at=row["last_success_at"],
        last_seconds=_last_seconds(connection, row),
    )


def _last_seconds(connection: Connection, row: RowMapping) -> float | None:
    statement = (
        select(RunRow.started_at, RunRow.ended_at)
        .where(
            RunRow.collection_id == row["collection_id"],
            RunRow.source_name.is_not_distinct_from(row["source_name"]),
            RunRow.ended_at.is_not(None),
        )
        .order_by(RunRow.ended_at.desc())
        .limit(1)
    )
    last = connection.execute(statement).first()
    return None if last is None else (last.ended_at - last.started_at).total_seconds()
