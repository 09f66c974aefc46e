"""SIGTERM, which cron, systemd and containers send, ends a command as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag_pipeline.cli.output import say

if TYPE_CHECKING:
    from types import FrameType


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """What is inside has time to put its end on record and to end the processes it started."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is inside, at any point, as what was wanted."""
    try:
        with sigterm_as_ctrl_c():
            yield
    except KeyboardInterrupt:
        say("stopped")


def _interrupt(_number: int, _frame: "FrameType | None") -> None:
    raise KeyboardInterrupt
