"""How many searches of one process are under way at once, and which of them ranks.

Threads that run Python do not run at once: each hands the interpreter on at every call into a
library, which costs more than the call. So no more of them search than there are cores, and one of
them ranks while the model, which needs no interpreter, embeds the question of another.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

WHILE_A_SERVER_ANSWERS = 4
"""Searches a core, where the database is a server: most of them wait for it."""


class Turns:
    """Places for searches, one a thread. Nobody keeps one while waiting for anything slow."""

    def __init__(self, *, waits_for_server: bool = False) -> None:
        each = WHILE_A_SERVER_ANSWERS if waits_for_server else 1
        self._places = threading.BoundedSemaphore(each * (os.cpu_count() or 1))
        self.ranking = threading.Lock()
        """Of the only one that ranks. Nothing else may be waited for meanwhile."""
        self._own = threading.local()

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Have a place, when one is free; who has one already keeps it."""
        if self._has_place:
            yield
            return
        with self._places:
            self._own.has_place = True
            try:
                yield
            finally:
                self._own.has_place = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the place to others meanwhile: what is inside may take seconds."""
        if not self._has_place:
            yield
            return
        self._places.release()
        self._own.has_place = False
        try:
            yield
        finally:
            self._places.acquire()
            self._own.has_place = True

    @property
    def _has_place(self) -> bool:
        return getattr(self._own, "has_place", False)
