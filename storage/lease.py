"""One writer at a time, and none that comes late.

The lease is a lock that the operating system (SQLite) or the server (PostgreSQL) drops when its
holder dies, so a killed run never blocks the next and no clock is asked. The fence is what keeps
out a writer that lost its lease without noticing: each lease takes the next number, and a commit
under an older number fails.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import text, update

from storage.engine import Database
from storage.errors import LeaseBusyError, LockBusyError, StorageError
from storage.locks import WRITING
from storage.models.corpus import CorpusStateRow

NO_FENCE = -1
"""The fence of who only reads: under it nothing can be committed."""
_IS_LOCKED = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND classid = 0 AND objid = :key AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


@contextmanager
def writer_lease(database: Database, *, wait: bool = True) -> Iterator[int]:
    """Hold the only right to write to the corpus; yields the fence to commit under.

    Raises `LeaseBusyError` at once if another writer has it and `wait` is false.
    """
    with ExitStack() as held:
        try:
            held.enter_context(WRITING.held(database, wait=wait))
        except LockBusyError as error:
            raise LeaseBusyError(
                "another process is writing to this corpus; wait for it to finish"
            ) from error
        yield _next_fence(database)


def is_held(database: Database) -> bool:
    """Whether a writer is at work now. Keeps none out."""
    path = database.sqlite_path
    if path:
        return _is_locked(WRITING.beside(path))
    with database.read() as connection:
        return bool(connection.execute(_IS_LOCKED, {"key": WRITING.key}).scalar_one())


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


def _next_fence(database: Database) -> int:
    statement = (
        update(CorpusStateRow)
        .values(fence=CorpusStateRow.fence + 1)
        .returning(CorpusStateRow.fence)
    )
    with database.write() as connection:
        return connection.execute(statement).scalar_one()
