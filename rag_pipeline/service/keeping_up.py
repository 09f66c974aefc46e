"""Keeps the indexes of this process up to date while nobody asks: no search has to wait for it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rag_pipeline.composition import Composition
from rag_pipeline.service.figures import note_applied
from rag_pipeline.service.metrics import Metrics
from storage.errors import StorageError

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def keeping_up(
    parts: Composition, metrics: Metrics, *, every_s: float
) -> AsyncIterator[None]:
    """Look for a new generation every `every_s` seconds, as long as this is open; 0: never."""
    if every_s == 0:
        yield
        return
    task = asyncio.create_task(_keep_up(parts, metrics, every_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_up(parts: Composition, metrics: Metrics, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(catch_up, parts, metrics)


def catch_up(parts: Composition, metrics: Metrics) -> None:
    """Bring the indexes that are open to what is served; what can't be is tried again later."""
    for name, followers in parts.open_followers().items():
        for follower in followers:
            try:
                follower.catch_up()
            except StorageError as error:
                _LOG.warning("an index of collection %r stays behind: %s", name, error)
    note_applied(parts, metrics)
