"""One writer at a time, and none that comes late.

The lease is a lock that the operating system (SQLite) or the server (PostgreSQL) drops when its
holder dies, so a killed run never blocks the next and no clock is asked. The fence is what keeps
out a writer that lost its lease without noticing: each lease takes the next number, and a commit
under an older number fails.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import DBAPIError

from storage.engine import Database
from storage.errors import LeaseBusyError, StorageError
from storage.models.corpus import CorpusStateRow

NO_FENCE = -1
"""The fence of who only reads: under it nothing can be committed."""
_ADVISORY_KEY = 7_220_115
_WAIT_FOR_LOCK = text("SELECT pg_advisory_lock(:key) IS NOT NULL")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")
_IS_LOCKED = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND classid = 0 AND objid = :key AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
_LOOK_S = 0.2
"""How long a writer that won't wait stands at the door: whoever asks `is_held` is in it for an
instant."""
_BUSY = "another process is writing to this corpus; wait for it to finish"


@contextmanager
def writer_lease(database: Database, *, wait: bool = True) -> Iterator[int]:
    """Hold the only right to write to the corpus; yields the fence to commit under.

    Raises `LeaseBusyError` at once if another writer has it and `wait` is false.
    """
    path = database.sqlite_path
    lock = _file_lock(path, wait=wait) if path else _server_lock(database, wait=wait)
    with lock:
        yield _next_fence(database)


def is_held(database: Database) -> bool:
    """Whether a writer is at work now. Keeps none out."""
    path = database.sqlite_path
    if path:
        return _is_locked(_lock_path(path))
    with database.read() as connection:
        return bool(connection.execute(_IS_LOCKED, {"key": _ADVISORY_KEY}).scalar_one())


def _lock_path(database_path: Path) -> str:
    """A link to the database is locked where the database is."""
    return f"{database_path.resolve()}.writer-lock"


def _is_locked(path: str) -> bool:
    """Asks by a shared lock, which needs no right to write and lets others ask too."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(
            f"whether a writer is at work can't be known: {path}: {error.strerror};"
            " give your account the right to read it"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _file_lock(database_path: Path, *, wait: bool) -> Iterator[None]:
    path = _lock_path(database_path)
    lock = FileLock(path, timeout=-1 if wait else _LOOK_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise LeaseBusyError(_BUSY) from error
    except OSError as error:
        raise StorageError(
            f"{path} can't be locked for writing: {error.strerror};"
            " keep the database in a folder that you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _server_lock(database: Database, *, wait: bool) -> Iterator[None]:
    """The lock of a server session: it ends with the connection that took it."""
    statement = _WAIT_FOR_LOCK if wait else _TRY_LOCK
    with database.own_connection() as connection:
        if not connection.execute(statement, {"key": _ADVISORY_KEY}).scalar():
            raise LeaseBusyError(_BUSY)
        try:
            yield
        finally:
            _unlock(connection)


def _unlock(connection: Connection) -> None:
    """Free the lock now: of a closed connection the server learns only after a while."""
    try:
        connection.execute(_UNLOCK, {"key": _ADVISORY_KEY})
    except DBAPIError as error:
        # The lock of a session that has ended is free; its writer learns of it by the fence.
        if not error.connection_invalidated:
            raise


def _next_fence(database: Database) -> int:
    statement = (
        update(CorpusStateRow)
        .values(fence=CorpusStateRow.fence + 1)
        .returning(CorpusStateRow.fence)
    )
    with database.write() as connection:
        return connection.execute(statement).scalar_one()
