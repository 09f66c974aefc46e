"""How many requests are worked on at once, how many wait, and when one is turned away.

Work that is taken on is finished: beyond what can wait, a request is told at once when to try
again, so that a flood costs those who are served next to nothing.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from rag_pipeline.service.errors import OverloadedError


class QueueObserver(Protocol):
    """Is told of one queue."""

    def changed(self, *, at_work: int, waiting: int) -> None:
        """How many have a turn and how many wait for one, now."""

    def turned_away(self) -> None:
        """One was told to come back later."""


class Admission:
    """Turns for one kind of work, in the order of asking; used on one event loop."""

    def __init__(
        self,
        *,
        running: int,
        waiting: int,
        patience_s: float,
        observer: QueueObserver | None = None,
    ) -> None:
        self._observer = observer
        self._turns = asyncio.Semaphore(running)
        self._running = running
        self._most_waiting = waiting
        self._patience_s = patience_s
        self.at_work = 0
        self.waiting = 0
        self.turned_away = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and keep it. Raises `OverloadedError` if that would take too long."""
        if self.is_full:
            raise self.refusal()
        self._count(waiting=1)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turns.acquire()
        except TimeoutError:
            raise self._refusal(f"no turn came within {self._patience_s:g} s") from None
        finally:
            self._count(waiting=-1)
        self._count(at_work=1)
        try:
            yield
        finally:
            self._count(at_work=-1)
            self._turns.release()

    @property
    def is_full(self) -> bool:
        """Whether nobody else may wait."""
        return self._turns.locked() and self.waiting >= self._most_waiting

    def refusal(self) -> OverloadedError:
        """What one is told who came when it was full."""
        return self._refusal("too many requests wait already")

    def _count(self, *, at_work: int = 0, waiting: int = 0) -> None:
        self.at_work += at_work
        self.waiting += waiting
        if self._observer is not None:
            self._observer.changed(at_work=self.at_work, waiting=self.waiting)

    def _refusal(self, reason: str) -> OverloadedError:
        self.turned_away += 1
        if self._observer is not None:
            self._observer.turned_away()
        rounds = (self.waiting + 1) / self._running
        return OverloadedError(
            f"{reason}; try again after a moment", retry_after_s=max(1, math.ceil(rounds))
        )
