"""Tells the Linux kernel which system calls a process makes no more: no sockets, no processes, no
writing (`man 2 seccomp`).

A list of what is forbidden, not of what is allowed: parsers are large C libraries, and each version
of them and of the C library makes other calls. Landlock and the limits stand behind it.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_X32 = 0x40000000
"""System calls of x86-64 with this bit belong to another numbering, which would slip through."""

_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC and the bit of O_TMPFILE that is not O_DIRECTORY.
_TO_WRITE = 0o3 | 0o100 | 0o1000 | 0o20000000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """A processor architecture: what the kernel calls it, and how it numbers system calls."""

    audit: int
    column: int
    """Of `_FORBIDDEN` and `_NUMBERS`."""
    has_x32: bool = False


_MACHINES = {
    "x86_64": _Machine(audit=0xC000003E, column=0, has_x32=True),
    "aarch64": _Machine(audit=0xC00000B7, column=1),
}

_NONE = -1
_FORBIDDEN: Mapping[str, tuple[int, int]] = {
    # The network, and other programs on this machine.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "semget": (64, 190),
    "semop": (65, 193),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # Processes: starting them, looking into them, signalling them.
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, _NONE),
    "vfork": (58, _NONE),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    # Changing files and their names.
    "creat": (85, _NONE),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "open_by_handle_at": (304, 265),
    "unlink": (87, _NONE),
    "unlinkat": (263, 35),
    "rename": (82, _NONE),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, _NONE),
    "mkdirat": (258, 34),
    "rmdir": (84, _NONE),
    "link": (86, _NONE),
    "linkat": (265, 37),
    "symlink": (88, _NONE),
    "symlinkat": (266, 36),
    "mknod": (133, _NONE),
    "mknodat": (259, 33),
    "chmod": (90, _NONE),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, _NONE),
    "fchown": (93, 55),
    "lchown": (94, _NONE),
    "fchownat": (260, 54),
    "utime": (132, _NONE),
    "utimes": (235, _NONE),
    "futimesat": (261, _NONE),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    # Parts of the kernel that parsers have no use for and that attacks on it begin with.
    "bpf": (321, 280),
    "io_setup": (206, 0),
    "io_submit": (209, 2),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "memfd_create": (319, 279),
    "perf_event_open": (298, 241),
    "setns": (308, 268),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
# The C library has another way where these seem not to exist, one that can be checked.
_UNKNOWN: Mapping[str, tuple[int, int]] = {
    "clone3": (435, 435),
    "openat2": (437, 437),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_OPEN = (2, _NONE)
_OPENAT = (257, 56)
_CLONE = (56, 220)
_KILL = (62, 129)
_TGKILL = (234, 131)
_PRCTL = (157, 167)
_PRLIMIT = (302, 261)
_SECCOMP = (317, 277)

Instructions = list[tuple[int, int, int, int]]
"""(code, jump if true, jump if false, constant): classic BPF, as in linux/filter.h."""
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW = _RETURN, 0, 0, 0x7FFF0000
_END_PROCESS = _RETURN, 0, 0, 0x80000000
_FAIL = 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def forbid_calls() -> None:
    """From now on this process has no network, starts no process and changes no file.

    It and its threads can never undo it. Needs `no_new_privs`. Raises OSError where the kernel or
    whoever set up this container does not have it, or the processor is not one of `_MACHINES`.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or os.uname().sysname != "Linux":
        raise OSError(errno.ENOSYS, "no filter of system calls for this platform")
    packed = b"".join(struct.pack("=HBBI", *step) for step in program(machine.column, os.getpid()))
    buffer = ctypes.create_string_buffer(packed, len(packed))
    filter_ = _Program(len(packed) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    refused = libc.syscall(
        ctypes.c_long(_SECCOMP[machine.column]),
        ctypes.c_long(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_long(_SECCOMP_FILTER_FLAG_TSYNC),
        ctypes.byref(filter_),
    )
    if refused:
        raise OSError(ctypes.get_errno(), "the filter of system calls was refused")


def program(column: int, process: int) -> Instructions:
    """The filter for one architecture and the process of that id."""
    machine = next(machine for machine in _MACHINES.values() if machine.column == column)
    steps: Instructions = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_IF_EQUAL, 1, 0, machine.audit),
        _END_PROCESS,
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine.has_x32:
        steps += [(_IF_AT_LEAST, 0, 1, _X32), _END_PROCESS]
    steps += _if_argument(_OPENAT[column], 2, (_IF_ANY_BIT, _TO_WRITE), then=errno.EACCES)
    steps += _if_argument(_OPEN[column], 1, (_IF_ANY_BIT, _TO_WRITE), then=errno.EACCES)
    steps += _if_argument(_CLONE[column], 0, (_IF_ANY_BIT, _CLONE_THREAD), otherwise=errno.EPERM)
    steps += _if_argument(_KILL[column], 0, (_IF_EQUAL, process), otherwise=errno.EPERM)
    steps += _if_argument(_TGKILL[column], 0, (_IF_EQUAL, process), otherwise=errno.EPERM)
    steps += _if_argument(_PRLIMIT[column], 0, (_IF_EQUAL, 0), otherwise=errno.EPERM)
    steps += _if_argument(_PRCTL[column], 0, (_IF_EQUAL, _PR_SET_PDEATHSIG), then=errno.EPERM)
    for numbers in _FORBIDDEN.values():
        steps += _always(numbers[column], errno.EPERM)
    for numbers in _UNKNOWN.values():
        steps += _always(numbers[column], errno.ENOSYS)
    return [*steps, _ALLOW]


def _always(number: int, error: int) -> Instructions:
    if number == _NONE:
        return []
    return [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | error)]


def _if_argument(
    number: int, argument: int, test: tuple[int, int], *, then: int = 0, otherwise: int = 0
) -> Instructions:
    """Fail with one error where the low half of an argument passes `test`, or where it does not."""
    if number == _NONE:
        return []
    code, value = test
    outcomes: Sequence[tuple[int, int, int, int]] = [
        (_RETURN, 0, 0, _FAIL | error) if error else _ALLOW for error in (then, otherwise)
    ]
    return [
        (_IF_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (code, 0, 1, value),
        *outcomes,
    ]
