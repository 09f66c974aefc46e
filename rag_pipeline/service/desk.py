"""Where a request has its answer written: in a thread, once it is its turn, while anyone waits.

The core is synchronous, so each answer has a thread of its own. Whatever ends a request (an answer,
a client that hangs up, too long a time, a service that stops) leaves by way of the desk: there the
model is stopped, the exchange goes on record, and only then somebody else has the turn.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, suppress
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Request

from rag_pipeline.service.dependencies import Service, service
from rag_pipeline.service.errors import AnswerTimeoutError, ClientGoneError
from rag_pipeline.service.settings import ServiceSettings

Told = TypeVar("Told")
Writing = Generator[str, None, Told]
"""The unchecked draft, piece by piece, which nobody is shown; the return value is what is told."""


class AnswerUnderWay(Generic[Told]):
    """An answer that a thread writes; everything but that happens on one event loop."""

    def __init__(
        self,
        writing: Callable[[], Writing[Told]],
        *,
        gone: "asyncio.Future[None]",
        settings: ServiceSettings,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._writing = writing
        self._gone = gone
        self._within_s = settings.answer_within_s
        self._keep_alive_s = settings.keep_alive_s
        self._deadline = self._loop.time() + self._within_s
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._told: asyncio.Future[Told] = self._loop.create_future()
        self._stopping = threading.Event()
        thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._write,), name="answer", daemon=True
        )
        thread.start()

    async def settle(self) -> None:
        """Wait until a draft has begun or all is over, but no longer than a client should be left
        without a sign. Raises what `told` raises, if that is known by then."""
        if await self._is_over(self._begun):
            self._told.result()

    async def begins(self) -> AsyncIterator[None]:
        """One for each time that a client should have a sign of life, until a draft has begun.

        Raises `ClientGoneError`, `AnswerTimeoutError`.
        """
        while not (await self._is_over(self._begun) or self._begun.done()):
            yield

    async def pulses(self) -> AsyncIterator[None]:
        """One for each time that a client should have a sign of life, until all is over.

        Raises `ClientGoneError`, `AnswerTimeoutError`.
        """
        while not await self._is_over():
            yield

    async def told(self) -> Told:
        """What is told in the end. Raises what writing it raised, `ClientGoneError`, and
        `AnswerTimeoutError`."""
        async for _ in self.pulses():
            pass
        return self._told.result()

    async def stop(self) -> None:
        """Stop the model, and wait for the end of the thread."""
        self._stopping.set()
        await asyncio.wait({self._told})
        # Asked for, so that what nobody waited for is no unhandled error.
        self._told.exception()

    async def _is_over(self, *or_until: "asyncio.Future[None]") -> bool:
        left_s = self._deadline - self._loop.time()
        signs: set[asyncio.Future[Any]] = {self._told, self._gone, *or_until}
        await asyncio.wait(
            signs,
            timeout=min(self._keep_alive_s, left_s),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._told.done():
            return True
        if self._gone.done():
            raise ClientGoneError("the client went away")
        if self._loop.time() >= self._deadline:
            raise AnswerTimeoutError(
                f"the answer was not finished within {self._within_s:g} s and was given up;"
                " ask again later, or for less"
            )
        return False

    def _write(self) -> None:
        try:
            told = self._written()
        except Exception as error:  # noqa: BLE001 - whoever waits is the one to raise it
            self._tell(self._told.set_exception, error)
        else:
            self._tell(self._told.set_result, told)

    def _written(self) -> Told:
        stream = self._writing()
        try:
            while not self._stopping.is_set():
                next(stream)
                if not self._begun.done():
                    self._tell(self._set_begun)
        except StopIteration as ended:
            told: Told = ended.value
            return told
        finally:
            stream.close()
        raise ClientGoneError("the answer was stopped")

    def _set_begun(self) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    def _tell(self, what: Callable[..., object], *about: Any) -> None:
        # A service that could not wait any longer has closed its loop.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *about)


class Desk:
    """The place of one request."""

    def __init__(
        self, served: Service, *, gone: "asyncio.Task[None]", turn: AsyncExitStack
    ) -> None:
        self._served = served
        self._gone = gone
        self._turn = turn

    async def begin(self, writing: Callable[[], Writing[Told]]) -> AnswerUnderWay[Told]:
        """Wait for a turn, then have an answer written; it is stopped when the request ends.

        Raises `OverloadedError`, and `ClientGoneError` if the client did not wait so long.
        """
        turn = self._served.answering.turn()
        entering = asyncio.ensure_future(self._turn.enter_async_context(turn))
        try:
            await asyncio.wait({entering, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not entering.done():
                entering.cancel()
                await asyncio.wait({entering})
        if entering.cancelled():
            raise ClientGoneError("the client went away")
        entering.result()
        answer = AnswerUnderWay(writing, gone=self._gone, settings=self._served.settings)
        self._turn.push_async_callback(answer.stop)
        return answer


async def desk(
    request: Request, served: Annotated[Service, Depends(service)]
) -> AsyncIterator[Desk]:
    """A place to have an answer written, kept until its last byte is sent."""
    gone = asyncio.create_task(_gone(request))
    try:
        async with AsyncExitStack() as turn:
            yield Desk(served, gone=gone, turn=turn)
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    """Wait until the client hangs up; its request was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


AtDesk = Annotated[Desk, Depends(desk)]
