"""Tells the Linux kernel which files a process reads from now on (`man 7 landlock`).

Everything that is not named is out of reach: the user's other documents and keys, other processes,
and every way to write. Kernels since 5.13 have it, with more of it in each version.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many kinds of access to files a version of Landlock knows."""
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT = 0b11
_SOCKETS_AND_SIGNALS = 0b11


def read_only(paths: Iterable[Path]) -> None:
    """From now on this thread and those that it starts read `paths` and what is below them.

    They open no other file, change none and run none. What is not there is passed over. Needs
    `no_new_privs`. Raises OSError where the kernel does not have it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    rules = _rules(libc)
    try:
        for path in paths:
            if path.exists():
                _allow(libc, rules, path)
        _call(libc, _RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _rules(libc: ctypes.CDLL) -> int:
    version = _call(libc, _CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    rights = max(bits for since, bits in _FILE_RIGHTS_BY_VERSION.items() if since <= version)
    attributes = struct.pack("=Q", (1 << rights) - 1)
    if version >= _NETWORK_SINCE:
        attributes += struct.pack("=Q", _BIND_AND_CONNECT)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SOCKETS_AND_SIGNALS)
    return _call(libc, _CREATE_RULESET, attributes, len(attributes), 0)


def _allow(libc: ctypes.CDLL, rules: int, path: Path) -> None:
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        _call(libc, _ADD_RULE, rules, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, file), 0)
    finally:
        os.close(file)


def _call(libc: ctypes.CDLL, number: int, *arguments: int | bytes | None) -> int:
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
