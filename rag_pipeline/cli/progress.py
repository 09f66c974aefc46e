"""How a run goes on, said on stderr: a line that is redrawn on a terminal, or JSON events."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from ingest.errors import IngestError
from rag_pipeline.cli.output import say

if TYPE_CHECKING:
    from ingest.pipeline import Observer
    from ingest.report import DocumentCounts, IngestReport
    from storage.records import Committed

Wanted: TypeAlias = Literal["auto", "jsonl", "none"]

_REDRAWN_S = 0.25
_COLUMNS = 80
_MEGABYTE = 1_000_000
_AHEAD = 4
"""Batches that are read already when one is stored: see `ingest.overlap`."""
_ALL = 0.98
"""Of all bytes: the ends of lines, and files that can't be read, are not counted as read."""

progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "jsonl", "none"]),
    default="auto",
    help="On stderr: one line that is redrawn on a terminal, or one JSON object an event.",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """Progress as it is shown now."""

    observer: "Observer"
    """Whoever is to be told of a run."""
    aside: Callable[[], AbstractContextManager[object]] = nullcontext
    """Inside, other things may be printed."""


@contextmanager
def shown(wanted: Wanted, total: Callable[[], int] | None = None) -> Iterator[Shown]:
    """Progress of what is run inside; `auto` says nothing where stderr is no terminal.

    `total` counts the bytes that the run has before it, for the time that is left; it is called
    in a thread of its own, and an IngestError of it is left to the run to say.
    """
    from ingest.pipeline import Observer

    if wanted == "jsonl":
        yield Shown(Observer(committed=_say_commit, progressed=_say_counts))
    elif wanted == "auto" and sys.stderr.isatty():
        line = _Line(total)
        with line.drawn():
            yield Shown(Observer(progressed=line.update), line.aside)
    else:
        yield Shown(Observer())


def _say_commit(committed: "Committed") -> None:
    event = {
        "event": "committed",
        "generation": committed.position.generation,
        "documents": list(committed.external_ids),
        "document_ids": list(committed.document_ids),
    }
    say(json.dumps(event, ensure_ascii=False))


def _say_counts(report: "IngestReport") -> None:
    said = report.as_json()
    counted = {name: said[name] for name in ("embedded", "bytes_read", "seconds")}
    say(json.dumps({"event": "progress", "counts": said["documents"], **counted}))


class _Line:
    """The last line of the terminal, redrawn a few times a second by a thread of its own."""

    def __init__(self, total: Callable[[], int] | None) -> None:
        self._total = total
        self._total_bytes: int | None = None
        self._report: IngestReport | None = None
        self._batches = 0
        self._batches_expected: int | None = None
        self._started = time.monotonic()
        self._stop = Event()
        self._turn = Lock()
        self._width = 0

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """The line is there inside, and is gone afterwards."""
        if self._total is not None:
            Thread(target=self._count, args=[self._total], daemon=True).start()
        drawing = Thread(target=self._draw, daemon=True)
        drawing.start()
        try:
            yield
        finally:
            self._stop.set()
            drawing.join()
            self._put("")

    def update(self, report: "IngestReport") -> None:
        """A batch was stored, of the run of before or of the next one."""
        if report is not self._report:
            self._report, self._batches, self._batches_expected = report, 0, None
        self._batches += 1
        total = self._total_bytes
        is_read = total is not None and report.bytes_read >= total * _ALL
        if is_read and self._batches_expected is None:
            self._batches_expected = self._batches + _AHEAD

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The line is away inside."""
        with self._turn:
            self._put("")
            yield

    def _count(self, total: Callable[[], int]) -> None:
        # The run comes upon the same, and says it.
        with suppress(IngestError):
            self._total_bytes = total()

    def _draw(self) -> None:
        while not self._stop.wait(_REDRAWN_S):
            with self._turn:
                self._put(self._text())

    def _put(self, text: str) -> None:
        """By spaces, as not every terminal knows a command to clear its line."""
        text = text[: _columns() - 1]
        sys.stderr.write(f"\r{text.ljust(self._width)}\r{text}")
        sys.stderr.flush()
        self._width = len(text)

    def _text(self) -> str:
        seconds = time.monotonic() - self._started
        if self._report is None:
            return f"reading, {duration(seconds)}"
        done, read = _done(self._report.documents), self._report.bytes_read
        of_all = "" if self._total_bytes is None else f" of {self._total_bytes / _MEGABYTE:,.1f}"
        said = [
            f"{done:,} documents",
            f"{done / seconds:,.1f} /s",
            f"{read / _MEGABYTE:,.1f}{of_all} MB",
            f"{self._report.embedded:,} embedded",
        ]
        share = self._share(read)
        if share:
            # What is unchanged may not have to be read at all.
            about = "at most" if self._report.documents.unchanged else "about"
            said.append(f"{about} {duration(seconds * (1 - share) / share)} left")
        return ", ".join(said)

    def _share(self, bytes_read: int) -> float | None:
        """How much of the run is behind us, if that can be told; reading is ahead of storing."""
        if self._batches_expected is not None:
            return min(1, self._batches / self._batches_expected)
        if not self._total_bytes:
            return None
        stored = bytes_read * self._batches / (self._batches + _AHEAD)
        return min(1, stored / self._total_bytes)


def duration(seconds: float) -> str:
    """In the two largest units that matter."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _done(counts: "DocumentCounts") -> int:
    known = counts.unchanged + counts.duplicate + counts.near_duplicate
    return counts.new + counts.changed + known


def _columns() -> int:
    """Of the terminal; some say that they have none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS
