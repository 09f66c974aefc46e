"""What the process that parses gives up before it reads its first document."""

import ctypes
import math
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ingest
import storage
from ingest.sandbox.landlock import read_only
from ingest.sandbox.seccomp import forbid_calls
from ingest.settings import ParseSettings

_MEGABYTE = 1024 * 1024
_MAPPED_MB = 2048
"""Address space on top of the memory: libraries, model files, what is only reserved."""
_OPEN_FILES = 256
_NO_CORE = 1
"""Of RLIMIT_CORE: 0 would still start the program that collects crash reports; 1 does not."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITIES_VERSION = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2

_SYSTEM = (
    # Shared libraries, fonts and time zones.
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store"),
    *("/usr/share", "/usr/local/share/fonts", "/etc/ld.so.cache", "/etc/localtime"),
    "/etc/mime.types",
    # How many processors there are, and what they can do; randomness, and nothing.
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)


def end_with_parent(parent: int) -> None:
    """Be killed when the thread ends that started this process; at once if it has already."""
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit


def confine(limits: ParseSettings) -> tuple[str, ...]:
    """Take away from this process all that parsing does not need, for good.

    Returns what is in force, in words; on other systems than Linux less of it.
    """
    _limit(resource.RLIMIT_CORE, _NO_CORE)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    in_force = ["no file grows, no core dump"]
    in_force += _if_possible(
        f"memory: {limits.memory_mb} MB", lambda: _limit_memory(limits.memory_mb)
    )
    if sys.platform != "linux":
        return tuple(in_force)
    in_force += _if_possible("no privileges", _drop_privileges)
    in_force += _if_possible("reads only its own program (Landlock)", _read_only_the_program)
    in_force += _if_possible("no network, no process, no change to files (seccomp)", forbid_calls)
    return tuple(in_force)


def allow_time(seconds: float) -> None:
    """End this process where one document takes longer, on all processors together or waiting.

    The parent sees to it too, and says so: this is for when the parent is gone.
    """
    used = time.process_time() + seconds * (os.cpu_count() or 1)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_at_most(math.ceil(used) + 1, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds)


def wait_without_end() -> None:
    """Take the alarm of `allow_time` back, between documents."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _if_possible(name: str, confine_so: Callable[[], None]) -> Iterator[str]:
    """`name` if the system has it: what is missing is told by its absence."""
    try:
        confine_so()
    except (OSError, ValueError):
        return
    yield name


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = _at_most(wanted, hard)
    resource.setrlimit(kind, (limit, limit))


def _at_most(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _limit_memory(megabytes: int) -> None:
    _limit(resource.RLIMIT_AS, (megabytes + _MAPPED_MB) * _MEGABYTE)
    _limit(resource.RLIMIT_DATA, megabytes * _MEGABYTE)


def _drop_privileges() -> None:
    """No program gives this process new ones, and of root's only reading is left.

    That one because root may run a program that is installed for another account alone.
    """
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), "the privileges can't be read")
    effective, permitted, *_ = struct.unpack("=6I", held.raw)
    kept = effective & permitted & _CAP_DAC_READ_SEARCH
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "the privileges can't be dropped")


def _read_only_the_program() -> None:
    read_only([*map(Path, _SYSTEM), *_program()])


def _program() -> Iterator[Path]:
    """Where modules are still loaded from: what is installed, and our own packages.

    Not all of `sys.path`: the folder that a program was started in may hold anything.
    """
    for package in (ingest, storage):
        yield from map(Path, package.__path__)
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    for entry in map(Path, sys.path):
        is_below = any(entry.is_relative_to(prefix) for prefix in prefixes)
        if is_below or entry.is_file() or any(entry.glob("*.dist-info")):
            yield entry


def _control(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3):
        raise OSError(ctypes.get_errno(), f"prctl {option} was refused")
