"""Which keys a program has written to a store, and when: what tells later what is gone.

A run takes the time at its start, marks all that it finds, and removes what is marked with an
earlier time. That is only right if time never stands still between two runs and never goes back,
so the clock here is ahead of every mark that is left, whatever the machine's clock does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from storage.bulk import batches, rows_where
from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.inserting import insert_into
from storage.models.indexing import IndexRecordRow

MAX_NAMESPACE = 100
MAX_KEY = 500
"""Characters."""
_TICK_S = 1e-6
_ROWS_A_STATEMENT = 1_000


@dataclass(frozen=True, slots=True)
class IndexRecords:
    """The keys of one namespace. Raises `InvalidRecordError` for a name that can't be one."""

    database: Database
    namespace: str

    def __post_init__(self) -> None:
        _check("a namespace", self.namespace, MAX_NAMESPACE)

    def time(self) -> float:
        """Seconds since 1970 by the database's clock, later than every mark."""
        latest = select(func.max(IndexRecordRow.updated_at)).filter_by(namespace=self.namespace)
        with self.database.read() as connection:
            marked: float | None = connection.execute(latest).scalar_one()
            clock = _clock(connection)
        return clock if marked is None else max(clock, marked + _TICK_S)

    def mark(self, groups: Mapping[str, str | None], *, at: float) -> None:
        """Note that the keys of `groups` were found at that time, each as part of its group; one
        without a group stays in the group that it is in."""
        for key in groups:
            _check("a key", key, MAX_KEY)
        rows = [
            {"namespace": self.namespace, "key": key, "group_id": group, "updated_at": at}
            for key, group in groups.items()
        ]
        with self.database.write() as connection:
            for some in batches(rows, _ROWS_A_STATEMENT):
                added = insert_into(IndexRecordRow, connection.dialect.name).values(some)
                kept = func.coalesce(added.excluded.group_id, IndexRecordRow.group_id)
                connection.execute(
                    added.on_conflict_do_update(
                        index_elements=["namespace", "key"],
                        set_={"updated_at": added.excluded.updated_at, "group_id": kept},
                    )
                )

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that were marked."""
        statement = select(IndexRecordRow.key).filter_by(namespace=self.namespace)
        with self.database.read() as connection:
            rows = rows_where(connection, statement, IndexRecordRow.key, _printable(keys))
            return {row.key for row in rows}

    def keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        groups: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys whose last mark lies before, or after, a time, oldest first; those of one mark by
        name. `groups` leaves out all others."""
        statement = (
            select(IndexRecordRow.updated_at, IndexRecordRow.key)
            .filter_by(namespace=self.namespace)
            .order_by(IndexRecordRow.updated_at, IndexRecordRow.key)
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(IndexRecordRow.updated_at < before)
        if after is not None:
            statement = statement.where(IndexRecordRow.updated_at > after)
        with self.database.read() as connection:
            if groups is None:
                return [row.key for row in connection.execute(statement)]
            rows = rows_where(connection, statement, IndexRecordRow.group_id, groups)
            return [row.key for row in sorted(rows)][:limit]

    def forget(self, keys: Sequence[str]) -> None:
        """Drop the marks of `keys`; unknown ones are ignored."""
        with self.database.write() as connection:
            for some in batches(_printable(keys)):
                connection.execute(
                    delete(IndexRecordRow).where(
                        IndexRecordRow.namespace == self.namespace, IndexRecordRow.key.in_(some)
                    )
                )


def _printable(keys: Sequence[str]) -> list[str]:
    """No other key is ever marked, and drivers refuse some even to look for."""
    return [key for key in keys if key.isprintable()]


def _check(what: str, name: str, limit: int) -> None:
    if not name or len(name) > limit or not name.isprintable():
        raise InvalidRecordError(f"{name!r} can't be {what}; use 1 to {limit} printable characters")


def _clock(connection: Connection) -> float:
    """The server's, where a server keeps the database: its clients' clocks may differ."""
    if connection.dialect.name == "sqlite":
        return now().timestamp()
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at.timestamp()
