"""Reads the rows of a query from any database that SQLAlchemy knows; it never writes there."""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Executable,
    NullPool,
    column,
    create_engine,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from storage.errors import DatabaseUnreachableError, StorageError

_ROWS_AT_ONCE = 1_000
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)")


@dataclass(frozen=True, slots=True)
class SqlSource:
    """One query on one database, opened anew for each reading."""

    url: URL
    query: str

    @classmethod
    def at(cls, url: str, query: str) -> "SqlSource":
        """Raise `StorageError` where `url` can't name a database. Nothing is opened yet."""
        try:
            parsed = make_url(url)
            if parsed.drivername in ("postgres", "postgresql"):
                parsed = parsed.set(drivername="postgresql+psycopg")
            parsed.get_backend_name()
        except (ArgumentError, ValueError, NoSuchModuleError) as error:
            raise StorageError(
                "the URL of the database is none; give one like postgresql://user@host/name"
            ) from error
        return cls(parsed, query.strip().rstrip(";"))

    @property
    def place(self) -> str:
        """Where it is, the same whoever reads it: no user, no password, no options."""
        plain = URL.create(
            self.url.get_backend_name(),
            host=self.url.host,
            port=self.url.port,
            database=self.url.database,
        )
        return plain.render_as_string(hide_password=True)

    def rows(self, names: Sequence[str] | None = None) -> Generator[Mapping[str, Any], None, None]:
        """The rows as they come from the server, by column; with `names`: only these columns.

        Raises `StorageError`, `DatabaseUnreachableError`.
        """
        with self._connection() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
            with streaming.execute(self._statement(names)) as result:
                if not result.returns_rows:
                    raise StorageError("the query gives no rows: write it as a SELECT")
                _check_columns([*result.keys()])
                for row in result.mappings():
                    yield dict(row)

    def _statement(self, names: Sequence[str] | None) -> Executable:
        # A colon before a word would be read as the mark of a parameter.
        given = text(_COLON.sub(r"\\:", self.query))
        if names is None:
            return given
        inner = given.columns(*(column(name) for name in names)).subquery("given")
        return select(*(inner.c[name] for name in names))

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._check_file()
        try:
            engine = create_engine(self.url, poolclass=NullPool)
        except (ImportError, NoSuchModuleError) as error:
            raise StorageError(
                f"the driver for {self.url.drivername} is not installed: install it"
            ) from error
        try:
            with engine.connect() as connection:
                if statement := _READ_ONLY.get(engine.dialect.name):
                    connection.exec_driver_sql(statement)
                yield connection
                connection.rollback()
        except DBAPIError as error:
            raise self._storage_error(error) from error
        except SQLAlchemyError as error:
            raise StorageError(self._said(error)) from error
        finally:
            engine.dispose()

    def _check_file(self) -> None:
        """SQLite would make a new database of a mistyped name."""
        name = self.url.database
        if self.url.get_backend_name() != "sqlite" or not name or name.startswith("file:"):
            return
        if name != ":memory:" and not Path(name).is_file():
            raise DatabaseUnreachableError(f"there is no database file {name}: correct its path")

    def _storage_error(self, error: DBAPIError) -> StorageError:
        reason = self._said(error.orig or error)
        unreachable = error.connection_invalidated or re.search(
            r"connection|could not|refused|unable to open|timed? ?out", reason, re.IGNORECASE
        )
        if unreachable:
            return DatabaseUnreachableError(f"the database does not answer: {reason}")
        return StorageError(f"the query failed: {reason}")

    def _said(self, error: BaseException) -> str:
        """One line without the password, wherever a driver may have put it."""
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        line = " ".join((primary or str(error)).split())
        password = str(self.url.password or "")
        return line.replace(password, "***") if password else line


def _check_columns(names: Sequence[str]) -> None:
    """Raise `StorageError` for two columns of one name, of which a row could only keep one."""
    for name in names:
        if names.count(name) > 1:
            raise StorageError(f"the query gives several columns {name!r}: name each by AS")
