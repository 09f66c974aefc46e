"""Names of files inside files: never opened as paths, but shown, stored and sent back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ingest.errors import IngestError
from ingest.records import Inner


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file inside a file that could not be read."""

    path: str
    error: IngestError


Contents: TypeAlias = Iterator[Inner | Unread]
"""What is inside a file, read when it is asked for."""

MAX_NAME = 500
"""Characters of a path inside a file."""
_DRIVE = re.compile(r"[A-Za-z]:(?=/)")


def printable(name: str) -> str:
    """`name` with control characters and what is no UTF-8 as escapes, at most `MAX_NAME` long."""
    kept = name[:MAX_NAME]
    return "".join(c if c.isprintable() else _escaped(c) for c in kept)


def inner_path(name: str) -> str:
    """`name` in POSIX form, without a root, drive or empty steps; `..` stays for the caller."""
    slashed = name.replace("\\", "/")
    steps = _DRIVE.sub("", slashed).split("/")
    return printable("/".join(step for step in steps if step not in ("", ".")))


def leads_out(path: str) -> bool:
    """Whether an archive's member claims a place outside of it."""
    return ".." in path.split("/")


def is_hidden(path: str) -> bool:
    """Whether a file manager would not show it: such files are left out, as in folders."""
    return any(
        step == "__MACOSX" or (step.startswith(".") and step != "..") for step in path.split("/")
    )


def file_name(name: str, default: str) -> str:
    """The last step of an attachment's name, as mail programs save it."""
    last = inner_path(name).rpartition("/")[2]
    return last if last not in ("", "..") else default


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
