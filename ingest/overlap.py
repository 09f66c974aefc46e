"""Lets the steps of a pipeline run ahead of whoever takes their results.

While one batch is committed, the next is embedded, the one after that is cut, and one more is read
and parsed. Two are embedded side by side: what the model is given of the second is ready when the
first comes to its end, so that it goes from batch to batch without a pause. Each queue holds one
item, so that memory does not grow with the corpus.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

_LOOK_UP_S = 0.1
"""How often a thread that waits looks whether it is to stop."""
_SIDE_BY_SIDE = 2
"""How many items are embedded at once."""

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class _Ended:
    """No item comes any more, because there are none or because of `error`."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Lane(Generic[A]):
    """Carries items from one thread to another."""

    stop: Event
    queue: "Queue[tuple[A] | _Ended]"

    def fill(self, items: Iterable[A]) -> None:
        """Put `items` in, with whatever they raise, until there are no more or `stop` is set."""
        ended = _Ended()
        try:
            self._put_all(items)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            ended = _Ended(error)
        self._put(ended)

    def _put_all(self, items: Iterable[A]) -> None:
        try:
            for item in items:
                if not self._put((item,)):
                    return
        finally:
            # Now and in this thread: a traceback would keep it open, with the files it reads.
            if isinstance(items, Generator):
                items.close()

    def items(self) -> Iterator[A]:
        """What comes out; raises what was raised while it was made."""
        while not self.stop.is_set():
            try:
                item = self.queue.get(timeout=_LOOK_UP_S)
            except Empty:
                continue
            if not isinstance(item, _Ended):
                yield item[0]
            elif item.error is not None:
                raise item.error
            else:
                return

    def _put(self, item: tuple[A] | _Ended) -> bool:
        while not self.stop.is_set():
            try:
                self.queue.put(item, timeout=_LOOK_UP_S)
            except Full:
                continue
            return True
        return False


def _dont() -> None:
    """Nothing can be hurried."""


@contextmanager
def overlapped(
    items: Iterable[A],
    cut: Callable[[A], B],
    embed: Callable[[B], C],
    *,
    hurry: Callable[[], None] = _dont,
) -> Iterator[Iterator[C]]:
    """`embed(cut(item))` of each of `items`, in order; making the items and cutting them have a
    thread each, embedding has two.

    What any of them raises is raised to whoever takes the results, after those before it. The
    threads have ended when the context has; what they are at then is finished first, so that
    nothing is broken off half-way. While the context waits for them it calls `hurry` now and then:
    what hangs may be given up, for nobody takes it any more.
    """
    stop = Event()
    made: _Lane[A] = _Lane(stop, Queue(1))
    pieces: _Lane[B] = _Lane(stop, Queue(1))
    embedded: _Lane[Future[C]] = _Lane(stop, Queue(1))
    failed = Event()

    def embed_unless_failed(some: B) -> C:
        if failed.is_set():
            raise CancelledError
        try:
            return embed(some)
        except BaseException:
            failed.set()
            raise

    pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="ingest-embed")
    cuts = (cut(item) for item in made.items())
    asked = (pool.submit(embed_unless_failed, some) for some in pieces.items())
    threads = [
        Thread(target=made.fill, args=[items], name="ingest-read", daemon=True),
        Thread(target=pieces.fill, args=[cuts], name="ingest-cut", daemon=True),
        Thread(target=embedded.fill, args=[asked], name="ingest-ask", daemon=True),
    ]
    try:
        for thread in threads:
            thread.start()
        yield (one.result() for one in embedded.items())
    finally:
        stop.set()
        # Ctrl-C may come before all of them were started.
        for thread in (thread for thread in threads if thread.ident is not None):
            thread.join(_LOOK_UP_S)
            while thread.is_alive():
                hurry()
                thread.join(_LOOK_UP_S)
        pool.shutdown(cancel_futures=True)
