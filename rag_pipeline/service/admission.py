"""How many requests are worked on at once, how many wait, and when one is turned away.

Work that is taken on is finished: beyond what can wait, a request is told at once when to try
again, so that a flood costs those who are served next to nothing.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rag_pipeline.service.errors import OverloadedError


class Admission:
    """Turns for one kind of work, in the order of asking; used on one event loop."""

    def __init__(self, *, running: int, waiting: int, patience_s: float) -> None:
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
        if self._turns.locked() and self.waiting >= self._most_waiting:
            raise self._refusal("too many requests wait already")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turns.acquire()
        except TimeoutError:
            raise self._refusal(f"no turn came within {self._patience_s:g} s") from None
        finally:
            self.waiting -= 1
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1
            self._turns.release()

    def _refusal(self, reason: str) -> OverloadedError:
        self.turned_away += 1
        rounds = (self.waiting + 1) / self._running
        return OverloadedError(
            f"{reason}; try again after a moment", retry_after_s=max(1, math.ceil(rounds))
        )
