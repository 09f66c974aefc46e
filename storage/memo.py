"""What was read a moment ago, and still holds, for nobody has committed anything since.

Every search asks the same few things before it begins: which collections there are, who may read
them, which generation is served. SQLite says in microseconds whether anything was committed, far
less than it takes to ask again.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
Version: TypeAlias = tuple[int, int]
"""Of a database: the same as long as nobody commits."""
_MOST_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Memo:
    """Remembers what was read under a version; safe to be used by many threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read: OrderedDict[Hashable, tuple[Version, Any]] = field(default_factory=OrderedDict)

    def of(self, key: Hashable, version: Version, read: Callable[[], T]) -> T:
        """What `read` returns, or returned when `key` was last asked for under this `version`.

        It must depend on nothing but `key` and the database, whose version was taken before: then
        what is read is at least as new.
        """
        with self._lock:
            known = self._read.get(key)
        if known is not None and known[0] == version:
            value: T = known[1]
            return value
        value = read()
        with self._lock:
            self._read[key] = version, value
            self._read.move_to_end(key)
            if len(self._read) > _MOST_REMEMBERED:
                self._read.popitem(last=False)
        return value


class Watch:
    """Tells the version of an SQLite database by a connection that nothing else uses.

    `PRAGMA data_version` counts, as one connection sees it, the commits of all others, of
    whatever process. Numbers of two connections can't be compared.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._connections = 0

    def version(self) -> Version | None:
        """None if it can't be told now: whoever reads instead learns why."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                    self._connections += 1
                (commits,) = self._connection.execute("PRAGMA data_version").fetchone()
            except (sqlite3.Error, DBAPIError):
                return None
        return self._connections, commits

    def close(self) -> None:
        """Close the connection; it is opened anew when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
