"""One writer at a time, and none that comes late.

The lease is a lock that the operating system (SQLite) or the server (PostgreSQL) drops when its
holder dies, so a killed run never blocks the next and no clock is asked. The fence is what keeps
out a writer that lost its lease without noticing: each lease takes the next number, and a commit
under an older number fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text, update

from storage.engine import Database
from storage.errors import LeaseBusyError, StorageError
from storage.models.corpus import CorpusStateRow

_ADVISORY_KEY = 7_220_115
_WAIT_FOR_LOCK = text("SELECT pg_advisory_lock(:key) IS NOT NULL")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:key)")
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


@contextmanager
def _file_lock(database_path: Path, *, wait: bool) -> Iterator[None]:
    # A link to the database is locked where the database is.
    path = f"{database_path.resolve()}.writer-lock"
    lock = FileLock(path, timeout=-1 if wait else 0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise LeaseBusyError(_BUSY) from error
    except OSError as error:
        raise StorageError(f"{path} can't be locked for writing: {error.strerror}") from error
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
        yield


def _next_fence(database: Database) -> int:
    statement = (
        update(CorpusStateRow)
        .values(fence=CorpusStateRow.fence + 1)
        .returning(CorpusStateRow.fence)
    )
    with database.write() as connection:
        return connection.execute(statement).scalar_one()
