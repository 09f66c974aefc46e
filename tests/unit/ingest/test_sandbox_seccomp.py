"""The filter of system calls, run step by step as the kernel runs it."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.sandbox import seccomp

X86_64, AARCH64 = 0, 1
AUDIT = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
PROCESS = 4321
ALLOWED, KILLED = "allowed", "killed"
EPERM, EACCES, ENOSYS = 1, 13, 38
# From include/uapi/asm-generic/unistd.h and arch/x86/entry/syscalls/syscall_64.tbl.
READ = {X86_64: 0, AARCH64: 63}
OPENAT = {X86_64: 257, AARCH64: 56}
CLONE = {X86_64: 56, AARCH64: 220}
KILL = {X86_64: 62, AARCH64: 129}
PRLIMIT = {X86_64: 302, AARCH64: 261}
HEADERS = Path("/usr/include")

both = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86-64", "aarch64"])


def outcome(machine: int, number: int, *arguments: int, audit: int | None = None) -> str | int:
    """What a processor of `machine` is told about a call."""
    steps = seccomp.program(machine, PROCESS)
    words = {0: number, 4: audit or AUDIT[machine]}
    for index, argument in enumerate(arguments):
        words[16 + 8 * index] = argument & 0xFFFFFFFF
        words[20 + 8 * index] = argument >> 32
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            accumulator = words.get(value, 0)
        elif code == 0x06:
            return returned(value)
        else:
            passed = {0x15: accumulator == value, 0x35: accumulator >= value}.get(
                code, bool(accumulator & value)
            )
            at += if_true if passed else if_false


def returned(value: int) -> str | int:
    if value >> 16 == 0x7FFF:
        return ALLOWED
    return KILLED if value >> 31 else value & 0xFFFF


@both
def test_what_reading_needs_is_allowed(machine: int) -> None:
    assert outcome(machine, READ[machine]) == ALLOWED
    assert outcome(machine, OPENAT[machine], 0, 0, 0o2000000 | 0o200000) == ALLOWED


@both
@pytest.mark.parametrize("flags", [0o1, 0o2, 0o100, 0o1000, 0o2001, 0o20200000], ids=oct)
def test_opening_to_write_is_not(machine: int, flags: int) -> None:
    assert outcome(machine, OPENAT[machine], 0, 0, flags) == EACCES


@both
def test_a_thread_may_be_started_and_a_process_may_not(machine: int) -> None:
    assert outcome(machine, CLONE[machine], 0x003D0F00) == ALLOWED
    assert outcome(machine, CLONE[machine], 0x01200011) == EPERM
    assert outcome(machine, 435, 0x003D0F00) == ENOSYS


@both
def test_only_itself_may_be_signalled_and_limited(machine: int) -> None:
    assert outcome(machine, KILL[machine], PROCESS, 6) == ALLOWED
    assert outcome(machine, PRLIMIT[machine], 0, 3) == ALLOWED
    for other in (PROCESS - 1, -PROCESS & 0xFFFFFFFF, 0xFFFFFFFF):
        assert outcome(machine, KILL[machine], other, 9) == EPERM
        assert outcome(machine, PRLIMIT[machine], other, 7) == EPERM


@both
def test_everything_forbidden_is_refused(machine: int) -> None:
    for name, numbers in seccomp._FORBIDDEN.items():
        if numbers[machine] >= 0:
            assert outcome(machine, numbers[machine]) == EPERM, name


@both
def test_calls_by_the_numbers_of_another_machine_end_the_process(machine: int) -> None:
    for audit in (0x40000003, AUDIT[1 - machine]):
        assert outcome(machine, READ[machine], audit=audit) == KILLED


def test_the_second_numbering_of_x86_ends_the_process() -> None:
    assert outcome(X86_64, 0x40000000 | 41) == KILLED
    assert outcome(X86_64, 0xFFFFFFFF) == KILLED


def numbers_in(header: Path, names: Sequence[str]) -> dict[str, int]:
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    return {name: int(number) for name, number in found if name in names}


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        (X86_64, HEADERS / "x86_64-linux-gnu/asm/unistd_64.h"),
        (AARCH64, HEADERS / "asm-generic/unistd.h"),
    ],
)
def test_numbers_are_the_kernel_s(machine: int, header: Path) -> None:
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    ours = {**seccomp._FORBIDDEN, **seccomp._UNKNOWN}
    theirs = numbers_in(header, list(ours))
    assert len(theirs) > 60
    assert theirs == {name: ours[name][machine] for name in theirs}
