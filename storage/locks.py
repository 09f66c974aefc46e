"""Locks on a database that one process at a time holds, and that are dropped when it dies.

For SQLite the operating system keeps them, on a file beside the database; else the server, for the
session that took them. No clock is asked.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.engine import Database
from storage.errors import LockBusyError, StorageError

_WAIT_FOR_LOCK = text("SELECT pg_advisory_lock(:key) IS NOT NULL")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")
_LOOK_S = 0.2
"""How long one that won't wait stands at the door: whoever only asks is in it for an instant."""


@dataclass(frozen=True, slots=True)
class DatabaseLock:
    """One lock, under a name for each kind of database."""

    suffix: str
    """Of the file beside the database."""
    key: int
    """Of the server's advisory lock."""

    def beside(self, database_path: Path) -> str:
        """The file that is locked; for a link to a database it is where the database is."""
        return f"{database_path.resolve()}.{self.suffix}"

    def held(self, database: Database, *, wait: bool = True) -> AbstractContextManager[None]:
        """Keep everybody else out. Raises `LockBusyError` at once if another is in and this is not
        to `wait`, `StorageError` where the folder of the database can't be written to."""
        path = database.sqlite_path
        if path is None:
            return self._on_server(database, wait=wait)
        return _on_file(self.beside(path), wait=wait)

    @contextmanager
    def _on_server(self, database: Database, *, wait: bool) -> Iterator[None]:
        named = {"key": self.key}
        with database.own_connection() as connection:
            if not connection.execute(_WAIT_FOR_LOCK if wait else _TRY_LOCK, named).scalar():
                raise LockBusyError
            try:
                yield
            finally:
                try:
                    # Now: of a closed connection the server learns only after a while.
                    connection.execute(_UNLOCK, named)
                except DBAPIError as error:
                    # The lock of a session that has ended is free.
                    if not error.connection_invalidated:
                        raise


WRITING = DatabaseLock("writer-lock", 7_220_115)
"""Who has it may write to the corpus: see `storage.lease`."""
ERASING = DatabaseLock("erasing", 7_220_116)
"""Who has it erases: two that went on with the same erasure would both do its steps."""


@contextmanager
def _on_file(path: str, *, wait: bool) -> Iterator[None]:
    lock = FileLock(path, timeout=-1 if wait else _LOOK_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockBusyError from error
    except OSError as error:
        raise StorageError(
            f"{path} can't be locked for writing: {error.strerror};"
            " keep the database in a folder that you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()
