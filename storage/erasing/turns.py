"""One erasure at a time in a database: two that went on with the same one would both do its steps.

The lock is dropped when its holder dies, as that of the writer's lease is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock
from sqlalchemy import text

from storage.engine import Database
from storage.errors import StorageError

_ADVISORY_KEY = 7_220_116
_WAIT_FOR_LOCK = text("SELECT pg_advisory_lock(:key) IS NOT NULL")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Wait until nobody else erases anything here, and keep others waiting. Raises `StorageError`
    where the folder of the database can't be written to."""
    path = database.sqlite_path
    with _file_lock(f"{path.resolve()}.erasing") if path else _server_lock(database):
        yield


@contextmanager
def _file_lock(path: str) -> Iterator[None]:
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire()
    except OSError as error:
        raise StorageError(
            f"nothing can be erased: {path} can't be locked: {error.strerror}; keep the database in"
            " a folder that you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _server_lock(database: Database) -> Iterator[None]:
    """The lock of a server session: it ends with the connection that took it."""
    with database.own_connection() as connection:
        connection.execute(_WAIT_FOR_LOCK, {"key": _ADVISORY_KEY})
        try:
            yield
        finally:
            connection.execute(_UNLOCK, {"key": _ADVISORY_KEY})
