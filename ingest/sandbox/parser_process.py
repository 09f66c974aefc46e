"""Parses in a process of its own, so that no document harms more than itself.

Parsers are large C libraries, and documents come from anywhere. One that makes a parser hang, eat
memory, crash or run the document's own code ends with a refusal of that document, in a process that
has no network, starts no program, changes no file and reads none but its own program. The next
document goes on in a new one.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Self

import ingest
import storage
from ingest.errors import IngestError
from ingest.normalise import one_line
from ingest.records import Part, RawDocument, Refusal
from ingest.sandbox.answers import read_answer, read_hello
from ingest.sandbox.messages import OUT_OF_MEMORY, NonsenseError, write_request
from ingest.sandbox.timed_pipe import TimedPipe
from ingest.settings import ParseSettings

PARSE = "ingest.parse.registry:parts"
MAX_DOCUMENTS = 2_000
"""Files that one process parses: what libraries leak is given back."""
MAX_BYTES = 512 * 1024 * 1024
START_TIMEOUT_S = 120
_FULL = 0.75
"""Of the memory that a process may have: with more in use from the last document, none comes."""
_MEGABYTE = 1024 * 1024
_SAID_AT_MOST = 64 * 1024
_DYING_S = 1
_BUFFER = 128 * 1024
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    " from ingest.sandbox.child import main; main()"
)
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
_VARIABLES = {
    "HOME": os.devnull,
    # Memory that is set aside for each thread or core counts, used or not.
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    # Starts without looking for plugins.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}


class ParserProcess:
    """Parses files one after the other in a child process, which is started with the first.

    A context manager: the child ends with it. May be called from several threads; they take turns.
    """

    def __init__(self, limits: ParseSettings, *, parse: str = PARSE) -> None:
        """`parse` names the function that the child calls, as `package.module:function`."""
        self._limits = limits
        self._parse = parse
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        with self._turn:
            self._end()

    def interrupt(self) -> None:
        """Kill the child without waiting for a turn: whoever waits for its answer gets a Refusal.

        Where that would be asked for once more, call this again.
        """
        child = self._child
        if child is not None:
            child.kill()

    @property
    def confinement(self) -> tuple[str, ...]:
        """What is in force for the child, in words; starts it."""
        with self._turn:
            return self._ready().confinement

    def parts(self, raw: RawDocument) -> list[Part]:
        """The documents of `raw`: at least one, each with a path of its own.

        Whatever happens to the child is a Refusal of the whole file. Raises IngestError only where
        no child can be started.
        """
        with self._turn:
            return self._parts(raw)

    def _parts(self, raw: RawDocument) -> list[Part]:
        """Asks twice where a child breaks down that had documents before: it may be their fault."""
        try:
            return self._asked(raw, self._ready())
        except _LostError as lost:
            if lost.is_certain:
                return [_refused(raw, str(lost))]
        try:
            return self._asked(raw, self._ready())
        except _LostError as lost:
            return [_refused(raw, str(lost))]

    def _asked(self, raw: RawDocument, child: "_Child") -> list[Part]:
        try:
            return child.parts(raw, self._limits)
        finally:
            # If interrupted too: what it says next would be taken for another answer.
            if not child.is_usable:
                self._end()

    def _ready(self) -> "_Child":
        """The child, or a new one: it is killed when the thread that started it ends."""
        if self._child is not None and self._child.is_gone:
            self._end()
        if self._child is None:
            self._child = _Child(self._parse, self._limits)
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


class _LostError(Exception):
    """The child gave no answer; why, in words for the person who has the document."""

    def __init__(self, reason: str, *, is_certain: bool) -> None:
        super().__init__(reason)
        self.is_certain = is_certain
        """Another child would give none either."""


class _Child:
    """One process, from its start to its end."""

    def __init__(self, parse: str, limits: ParseSettings) -> None:
        """Starts it and waits until it is confined. Raises IngestError where that fails."""
        self._errors, errors_end = os.pipe()
        os.set_blocking(self._errors, False)
        # A child that says a lot loses it, rather than waiting for somebody to read it.
        os.set_blocking(errors_end, False)
        try:
            self._process = _started(parse, limits, errors_end)
        except OSError as error:
            os.close(self._errors)
            raise IngestError(f"the process that parses can't be started: {error}") from error
        finally:
            os.close(errors_end)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = TimedPipe(self._process.stdin), TimedPipe(self._process.stdout)
        self._requests = BufferedWriter(self._pipes[0], _BUFFER)
        self._answers = BufferedReader(self._pipes[1], _BUFFER)
        self._documents = 0
        self._bytes = 0
        self._is_broken = False
        self._recycled_from = limits.memory_mb * _MEGABYTE * _FULL
        self.confinement = self._confinement()

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    @property
    def is_usable(self) -> bool:
        """Whether it may have the next document."""
        return not (
            self._is_broken
            or self._documents >= MAX_DOCUMENTS
            or self._bytes >= MAX_BYTES
            or _memory_held(self._process.pid) > self._recycled_from
        )

    def parts(self, raw: RawDocument, limits: ParseSettings) -> list[Part]:
        """Raises _LostError where there is no answer that can be believed."""
        self._documents += 1
        self._bytes += len(raw.data)
        # Until the whole answer was read.
        self._is_broken = True
        self._wait_at_most(limits.timeout_s)
        try:
            write_request(self._requests, raw)
            parts = read_answer(self._answers, raw, limits)
        except TimeoutError as error:
            reason = f"it takes more than {limits.timeout_s:g} s to read"
            raise _LostError(reason, is_certain=True) from error
        except (NonsenseError, EOFError, BrokenPipeError) as error:
            reason = self._reason(error, limits)
            raise _LostError(reason, is_certain=self._documents == 1) from error
        self._is_broken = False
        return parts

    def kill(self) -> None:
        """It has nothing to save."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and close all that leads to it."""
        self.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers):
            # What was not sent yet has nobody to go to.
            with suppress(BrokenPipeError, TimeoutError):
                pipe.close()
        os.close(self._errors)

    def _confinement(self) -> tuple[str, ...]:
        self._wait_at_most(START_TIMEOUT_S)
        try:
            return read_hello(self._answers)
        except (EOFError, TimeoutError, NonsenseError) as error:
            self._process.kill()
            self._process.wait()
            said = self._last_line()
            self.end()
            raise IngestError(
                f"the process that parses can't be started: {said or 'it says nothing'}; "
                "install this program again if a module is missing"
            ) from error
        except BaseException:
            self.end()
            raise

    def _wait_at_most(self, seconds: float) -> None:
        for pipe in self._pipes:
            pipe.ends_at = time.monotonic() + seconds

    def _last_line(self) -> str:
        with suppress(BlockingIOError):
            said = os.read(self._errors, _SAID_AT_MOST).decode(errors="replace")
            return one_line(said.strip().rpartition("\n")[2])
        return ""

    def _reason(self, seen: Exception, limits: ParseSettings) -> str:
        if isinstance(seen, NonsenseError):
            return f"the parser gave an answer that can't be right: {seen}"
        try:
            status = self._process.wait(_DYING_S)
        except subprocess.TimeoutExpired:
            return "the parser broke down on it (it fell silent)"
        if status == OUT_OF_MEMORY:
            return f"it needs more than {limits.memory_mb:,} MB to read"
        if status >= 0:
            return f"the parser broke down on it (exit status {status})"
        return f"the parser broke down on it (signal {_signal_name(-status)})"


def _started(parse: str, limits: ParseSettings, errors: int) -> "subprocess.Popen[bytes]":
    options = ["-I", "-S", "-B", "-W", "ignore", "-X", "utf8", "-c", _BOOTSTRAP]
    arguments = [json.dumps(_module_path()), parse, limits.model_dump_json(), str(os.getpid())]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
        [sys.executable, *options, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,
        cwd="/",
        env={**kept, **_VARIABLES},
        # Ctrl-C is for the parent, which ends the child in its own time.
        start_new_session=True,
    )


def _module_path() -> list[str]:
    """Where this process finds modules, as absolute paths; `ingest` and `storage` among them."""
    ours = [str(Path(package.__path__[0]).parent) for package in (ingest, storage)]
    return list(dict.fromkeys([*(str(Path(entry).absolute()) for entry in sys.path), *ours]))


def _memory_held(process: int) -> int:
    """Bytes that a process has and does not give back; 0 where the system doesn't tell."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text("ascii").split()
    except FileNotFoundError:
        return 0
    resident, data = int(pages[1]), int(pages[5])
    return max(resident, data) * resource.getpagesize()


def _refused(raw: RawDocument, reason: str) -> Part:
    refusal = Refusal(source=raw.label, reason=reason, outcome="refused")
    return Part(path="", media_type=raw.media_type, content=refusal)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
