"""The one place that makes engines and opens transactions.

COMMIT is the acknowledgement, so SQLite runs with a write-ahead log that is synced at each commit.
A write transaction takes SQLite's write lock when it begins: one that began by reading could not
wait for the lock later, and would fail with "database is locked" instead.

SQLite can't open a database with a write-ahead log on a read-only disk, for it has to write beside
it even to read; unless it is told that nobody will ever write ("immutable"). It then takes no
locks and does not look into the log, so it is told so only where that is certain.
"""

import logging
import re
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import DatabaseUnreachableError, InvalidRecordError, StorageError
from storage.memo import Memo, Version, Watch
from storage.mounts import is_frozen, is_read_only
from storage.signals import HeldBack

T = TypeVar("T")
SQLITE_BUSY_TIMEOUT_S = 60
_SWITCH_PAUSE_S = 0.02
_PREPARED_STATEMENTS = 32
"""That a connection keeps: each may hold room for thousands of values."""
_IMMUTABLE = "immutable"
_READ_ONLY_DISK = (
    (
        r"readonly|read-only",
        "the database {url} can't be written: the disk is read-only; copy its folder to one that"
        " can be written, and name it with --home or --database",
    ),
    (
        r"unable to open",
        "the database {url} can't be opened: the disk is read-only, and the database is not there,"
        " was not closed, or may be written elsewhere; copy its folder to a disk that can be"
        " written, and name it with --home or --database",
    ),
)
"""What to say instead of the following where the disk is why."""
_WHAT_DRIVERS_SAY: tuple[tuple[str, type[StorageError], str], ...] = (
    (
        r"unable to open",
        DatabaseUnreachableError,
        "the database {url} can't be reached: {reason}; check that its folder exists and that you"
        " may read and write there",
    ),
    (
        r"connection|could not (?:connect|translate)|server closed|shutting down|starting up"
        r"|terminating",
        DatabaseUnreachableError,
        "the database {url} can't be reached: {reason}",
    ),
    (
        r"readonly|read-only",
        StorageError,
        "the database {url} can't be written: {reason}; give your account the right to",
    ),
    (
        r"not a database|malformed",
        StorageError,
        "{url} is not an intact database: {reason}; restore it from a backup",
    ),
    (
        r"disk is full|No space left",
        StorageError,
        "no space is left for {url}: free some and run this again",
    ),
    (r"check constraint", InvalidRecordError, "the database refuses this record: {reason}"),
)
"""Patterns, in this order, and what to say of a message that one is found in."""


_LOOKED: "ContextVar[dict[Database, Version | None] | None]" = ContextVar("looked", default=None)
"""Of each database the version that was found in this look; None outside of any."""


class Database:
    """Transactions on the database that holds the truth."""

    def __init__(self, url: str | URL) -> None:
        """Raise `StorageError` where `url` can't name a database. Nothing is opened yet."""
        self.engine = _engine(url)
        self.shown_url = self.engine.url.render_as_string(hide_password=True)
        reading = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**reading)
        self._writing = self.engine.execution_options(takes_write_lock=True)
        self._watch = Watch(self._watching) if self.is_sqlite else None
        self._memo = Memo()

    @classmethod
    def in_file(cls, path: Path) -> "Database":
        """An SQLite database in a file, whatever characters its path has."""
        return cls(URL.create("sqlite", database=str(path)))

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None where a server keeps the database."""
        return Path(str(self.engine.url.database)) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one unchanging state of the database."""
        with (
            HeldBack() as signals,
            self._transaction(self._reading) as connection,
            signals.let_through(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when this returns, and without a trace if it raises.

        Signals wait until it has ended: be short.
        """
        with HeldBack(), self._transaction(self._writing) as connection:
            yield connection

    def remembered(self, key: Hashable, read: Callable[[Connection], T]) -> T:
        """What `read` finds in a transaction of its own, or found under `key` in the very state
        that the database is in now. It must depend on nothing but `key` and the database.
        """

        def in_transaction() -> T:
            with self.read() as connection:
                return read(connection)

        version = self._version()
        return in_transaction() if version is None else self._memo.of(key, version, in_transaction)

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Within it this thread looks once for what was committed, and not at each `remembered`:
        what is remembered is at least as new as the first of these.

        To look takes no time to speak of, but lets other threads run: a search among many would
        wait for the interpreter each time.
        """
        token = _LOOKED.set({})
        try:
            yield
        finally:
            _LOOKED.reset(token)

    def _version(self) -> Version | None:
        if self._watch is None:
            return None
        looked = _LOOKED.get()
        if looked is None:
            return self._watch.version()
        if self not in looked:
            looked[self] = self._watch.version()
        return looked[self]

    @contextmanager
    def own_connection(self) -> Iterator[Connection]:
        """A connection outside transactions, closed for good at the end: for server-side locks."""
        try:
            with self.engine.connect() as plain:
                try:
                    yield plain.execution_options(isolation_level="AUTOCOMMIT")
                finally:
                    plain.invalidate()
        except DBAPIError as error:
            raise self._storage_error(error) from error

    def close(self) -> None:
        """Give back all connections."""
        if self._watch:
            self._watch.close()
        self.engine.dispose()

    def _watching(self) -> sqlite3.Connection:
        """A connection that is nobody else's. Raises `sqlite3.Error`."""
        if _is_immutable(Path(str(self.engine.url.database))):
            raise sqlite3.NotSupportedError("it would not notice when the disk is made writable")
        pooled = self.engine.raw_connection()
        pooled.detach()
        return cast(sqlite3.Connection, pooled.dbapi_connection)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise self._storage_error(error) from error

    @property
    def is_writable(self) -> bool:
        """Whether it stands on a disk that can be written to from here."""
        path = self.sqlite_path
        return path is None or not is_read_only(path.resolve().parent)

    def _storage_error(self, error: DBAPIError) -> StorageError:
        if not self.is_writable:
            for pattern, message in _READ_ONLY_DISK:
                if re.search(pattern, str(error.orig), re.IGNORECASE):
                    return StorageError(message.format(url=self.shown_url))
        return _storage_error(error, self.shown_url)


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        shown = str(url).rpartition("@")[2]  # what stands before it may be a password
        raise StorageError(
            f"{shown!r} is no database URL; give one like sqlite:////data/rag.db"
            " or postgresql://user@host/name"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise StorageError(f"the database {backend!r} is not supported; use sqlite or postgresql")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StorageError("an SQLite database needs a file; give sqlite:////path/to/rag.db")
    try:
        engine = create_engine(parsed, **_engine_options(backend))
    except (ImportError, NoSuchModuleError) as error:
        raise StorageError(
            f"the driver for {backend} is not installed:"
            " run pip install 'rag-pipeline-service[postgres]'"
        ) from error
    if backend == "postgresql":
        logging.getLogger("psycopg").addFilter(_is_news)
    if backend == "sqlite":
        event.listen(engine, "do_connect", _open_immutable)
        event.listen(engine, "checkout", _check_still_immutable)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _is_news(record: logging.LogRecord) -> bool:
    """Whether it says what no exception says: that a lost connection can't be tidied up follows
    from its loss, which is raised."""
    return not record.msg.startswith("error ignored ")


def _engine_options(backend: str) -> dict[str, Any]:
    if backend == "sqlite":
        arguments = {
            "timeout": SQLITE_BUSY_TIMEOUT_S,
            "check_same_thread": False,
            "cached_statements": _PREPARED_STATEMENTS,
        }
        return {"connect_args": arguments}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _open_immutable(
    dialect: Dialect, record: ConnectionPoolEntry, given: list[Any], options: dict[str, Any]
) -> DBAPIConnection | None:
    """A connection to a database that nobody can change; None for any other: open it as usual."""
    if options.get("uri") or not _is_immutable(Path(given[0])):
        return None
    record.info[_IMMUTABLE] = Path(given[0])
    uri = f"{Path(given[0]).absolute().as_uri()}?mode=ro&immutable=1"
    return dialect.connect(uri, **{**options, "uri": True})


def _is_immutable(database: Path) -> bool:
    """Whether all of it is in its one file, and nobody can write there."""
    path = database.resolve()
    logs = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    return is_frozen(path.parent) and not any(log.exists() and log.stat().st_size for log in logs)


def _check_still_immutable(
    _connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """A disk may be made writable while a program runs: its connection is then opened anew."""
    path = record.info.get(_IMMUTABLE)
    if path and not _is_immutable(path):
        raise DisconnectionError


def _set_up_sqlite(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling starts them too late to choose their kind.
    dbapi_connection.isolation_level = None
    if _IMMUTABLE in record.info:
        return
    _switch_to_wal(dbapi_connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(dbapi_connection: Any) -> None:
    """Turn on the write-ahead log. The switch, done once in a file's life, fails at once while
    another process opens the same new file: SQLite's own time-out does not wait for it."""
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT_S
    while True:
        try:
            dbapi_connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_SWITCH_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    takes_lock = connection.get_execution_options().get("takes_write_lock", False)
    begin = "BEGIN IMMEDIATE" if takes_lock else "BEGIN"
    try:
        # Straight to the driver: a statement that SQLAlchemy runs costs many times as much.
        connection.connection.cursor().execute(begin)
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error) from error


def _storage_error(error: DBAPIError, shown_url: str) -> StorageError:
    """Say in one line what the driver said in many, and what can be done."""
    reason = _reason(error)
    if error.connection_invalidated:
        return DatabaseUnreachableError(f"the database {shown_url} can't be reached: {reason}")
    for pattern, kind, message in _WHAT_DRIVERS_SAY:
        if re.search(pattern, reason, re.IGNORECASE):
            return kind(message.format(url=shown_url, reason=reason))
    return StorageError(f"the database {shown_url} failed: {reason}")


def _reason(error: DBAPIError) -> str:
    """What the driver says, without the values of the row that a server quotes after it."""
    diagnostics = getattr(error.orig, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    return " ".join((primary or str(error.orig)).split())
