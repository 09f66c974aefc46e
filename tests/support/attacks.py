"""Parsers that were taken over: each does what a document's code would try in the sandbox.

`parts` stands in for the real function; the bytes of the document name the attack. Attempts answer
with a text that says what came of them.
"""

# Attackers use what there is:
# ruff: noqa: PTH101, PTH102, PTH104, PTH107, PTH208, PTH211, T201

import ctypes
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ingest.records import Part, RawDocument, ReadText, Refusal
from ingest.settings import ParseSettings

LIBC = ctypes.CDLL(None, use_errno=True)
KEPT: list[bytes] = []


def parts(raw: RawDocument, limits: ParseSettings) -> list[Part]:
    name, _, argument = raw.data.decode().partition(" ")
    if name in ATTEMPTS:
        return [text(outcome_of(lambda: ATTEMPTS[name](argument)))]
    return DEEDS[name]()


def text(said: str, **known: object) -> Part:
    content = ReadText(text=said, **known)  # type: ignore[arg-type]
    return Part(path="", media_type="text/plain", content=content)


def outcome_of(attempt: Callable[[], object]) -> str:
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror}"


def call(number: int, *arguments: int) -> int:
    result = LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def forked() -> int:
    child = os.fork()
    if not child:
        os._exit(0)
    return child


def started_thread() -> str:
    said: list[str] = []
    threads = [threading.Thread(target=said.append, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "".join(said)


def written(path: str, mode: str) -> object:
    with Path(path).open(mode) as file:
        return file.write("owned") if "r" not in mode or "+" in mode else file.read()


def raised_limits() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))
    except ValueError as error:
        raise PermissionError(1, str(error)) from error


def temporary_file() -> object:
    with tempfile.NamedTemporaryFile() as file:
        return file.name


ATTEMPTS: dict[str, Callable[[str], object]] = {
    "text": lambda _: "fine",
    "tcp": lambda port: socket.create_connection(("127.0.0.1", int(port)), 2),
    "udp": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda _: socket.socket(socket.AF_UNIX),
    "pair": lambda _: socket.socketpair(),
    "resolve": lambda _: socket.getaddrinfo("localhost", 80),
    "fork": lambda _: forked(),
    "vfork": lambda _: call({"x86_64": 58}.get(os.uname().machine, 220)),
    "subprocess": lambda _: subprocess.run(["/bin/true"], check=True),
    "spawn": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda _: os.execv("/bin/true", ["true"]),
    "threads": lambda _: started_thread(),
    "write": lambda path: written(path, "w"),
    "append": lambda path: written(path, "a"),
    "update": lambda path: written(path, "r+"),
    "create": lambda path: os.open(path, os.O_RDONLY | os.O_CREAT),
    "unnamed": lambda path: os.open(path, os.O_TMPFILE | os.O_RDWR),
    "temporary": lambda _: temporary_file(),
    "memory-file": lambda _: os.memfd_create("x"),
    "read": lambda path: written(path, "r"),
    "list": lambda path: os.listdir(path),
    "remove": lambda path: os.remove(path),
    "rename": lambda path: os.rename(path, f"{path}.owned"),
    "mkdir": lambda path: os.mkdir(f"{path}.owned"),
    "link": lambda path: os.link(path, f"{path}.owned"),
    "symlink": lambda path: os.symlink(path, f"{path}.owned"),
    "pipe-file": lambda path: os.mkfifo(f"{path}.owned"),
    "chmod": lambda path: os.chmod(path, 0o777),
    "chown": lambda path: os.chown(path, 1, 1),
    "touch": lambda path: os.utime(path, (0, 0)),
    "truncate": lambda path: os.truncate(path, 0),
    "signal": lambda process: os.kill(int(process), signal.SIGTERM),
    "trace": lambda process: LIBC.ptrace(16, int(process), 0, 0) and call(101, 16, int(process)),
    "limits": lambda _: raised_limits(),
    "their-limits": lambda process: resource.prlimit(int(process), resource.RLIMIT_NOFILE, (9, 9)),
    "orphan": lambda _: call({"x86_64": 157}.get(os.uname().machine, 167), 1, 0),
    "ring": lambda _: call(425, 1, 0),
    "namespace": lambda _: call({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000),
    "modules": lambda _: " ".join(sys.modules),
    "variables": lambda _: " ".join(sorted(os.environ)),
    "files": lambda _: " ".join(str(number) for number in range(1024) if is_open(number)),
    "process": lambda _: os.getpid(),
    "print": lambda _: (print("noise"), sys.stdout.flush(), os.write(1, b"noise" * 100_000))[0],
    "complain": lambda _: [written_quietly(2, b"noise" * 1_000) for _ in range(200)] and None,
}


def written_quietly(number: int, content: bytes) -> None:
    try:
        os.write(number, content)
    except BlockingIOError:
        return


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def hang() -> list[Part]:
    while True:
        pass


def sleep() -> list[Part]:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    time.sleep(3600)
    return []


def eat() -> list[Part]:
    return [text("x" * (4 << 30))]


def nibble() -> list[Part]:
    eaten = []
    while True:
        eaten.append(bytearray(1 << 20))


def map_shared() -> list[Part]:
    """Memory that is shared does not count as a process's data."""
    LIBC.mmap.restype = ctypes.c_void_p
    size, megabytes = 1 << 26, 0
    while LIBC.mmap(None, ctypes.c_size_t(size), 3, 0x21, -1, 0) != ctypes.c_void_p(-1).value:
        megabytes += size >> 20
    return [text(f"{megabytes} MB")]


def keep() -> list[Part]:
    KEPT.append(b"x" * (170 << 20))
    return [text(f"{os.getpid()}")]


def crash_as_second() -> list[Part]:
    """Broken by what another document left behind."""
    if not KEPT:
        KEPT.append(b"")
        return [text("fine")]
    return crash()


def crash() -> list[Part]:
    ctypes.string_at(0)
    return []


def abort() -> list[Part]:
    os.abort()


def stop() -> list[Part]:
    os.kill(os.getpid(), signal.SIGSTOP)
    return []


def leave() -> list[Part]:
    os._exit(0)


def fail() -> list[Part]:
    raise RuntimeError("a parser that raises")


def recurse() -> list[Part]:
    return recurse()


def _pipes() -> list[int]:
    """The way out, found as an attacker would."""
    return [n for n in range(3, 64) if is_open(n) and stat.S_ISFIFO(os.fstat(n).st_mode)]


def say(content: bytes) -> list[Part]:
    for number in _pipes():
        outcome_of(lambda number=number: os.write(number, content))  # type: ignore[misc]
    time.sleep(3600)
    return []


def flood() -> list[Part]:
    """A text without end, of a size that was announced."""
    for number in _pipes():
        outcome_of(lambda number=number: os.write(number, struct.pack(">Q", 1 << 30)))  # type: ignore[misc]
    while True:
        for number in _pipes():
            outcome_of(lambda number=number: os.write(number, b"x" * 65536))  # type: ignore[misc]


def drip() -> list[Part]:
    """An answer that comes, but never ends."""
    for number in _pipes():
        outcome_of(lambda number=number: os.write(number, struct.pack(">Q", 1000)))  # type: ignore[misc]
    while True:
        time.sleep(0.05)
        for number in _pipes():
            outcome_of(lambda number=number: os.write(number, b"x"))  # type: ignore[misc]


def fall_silent() -> list[Part]:
    for number in _pipes():
        os.close(number)
    time.sleep(3600)
    return []


def lie() -> list[Part]:
    refusal = Refusal(source="/etc/passwd", reason="a\nforged\x1b[31m line", outcome="refused")
    return [Part(path="", media_type="text/plain", content=refusal)]


def other_numbering() -> list[Part]:
    """A system call by its number of another architecture."""
    call(0x40000000 | 41, 2, 1, 0)
    return []


DEEDS: dict[str, Callable[[], list[Part]]] = {
    "hang": hang,
    "sleep": sleep,
    "eat": eat,
    "nibble": nibble,
    "map-shared": map_shared,
    "keep": keep,
    "crash": crash,
    "crash-as-second": crash_as_second,
    "abort": abort,
    "stop": stop,
    "leave": leave,
    "fail": fail,
    "recurse": recurse,
    "garbage": lambda: say(b"\xff" * 4096),
    "json": lambda: say(struct.pack(">Q", 2) + b"[]"),
    "flood": flood,
    "drip": drip,
    "silence": fall_silent,
    "lie": lie,
    "other-numbering": other_numbering,
    "nothing": list,
    "nul": lambda: [text("a\x00b")],
    "escape": lambda: [text("\x1b[2J")],
    "long": lambda: [text("x" * 2_000_000)],
    "twice": lambda: [text("a"), text("b")],
}
