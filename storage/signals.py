"""Holds signals back while what must not be broken off half-way is done.

Python raises `KeyboardInterrupt` between any two instructions of the main thread. In the middle of
a transaction that leaves SQLAlchemy with a connection that nobody closes, and the database locked
against whoever writes next, even if that is only to put on record that the run was interrupted.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldBack:
    """Inside it, Ctrl-C and SIGTERM wait for its end; the second of them does not.

    Only handlers of Python wait: what ends the process without asking it still does. In other
    threads than the main one, where Python handles no signals, there is nothing to do.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        if current_thread() is main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
            self._hold_back()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._deliver()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """What is inside may be broken off."""
        self._deliver()
        try:
            yield
        finally:
            self._hold_back()

    def _hold_back(self) -> None:
        for number in self._handlers:
            signal.signal(number, self._note)

    def _deliver(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._came:
            signal.raise_signal(self._came.pop())

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            self._came.clear()
            self._handlers[number](number, frame)
        else:
            self._came.append(number)
