"""What to look for once records of a set are gone."""

from collections.abc import Collection, Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from sqlalchemy import Connection

from storage.engine import Database
from storage.erasing.haystack import BLOCK_BYTES, blocks, files
from storage.erasing.needles import Needles, windows_of_text
from storage.erasing.scan import elsewhere
from storage.record_sets.forgetting import contents

_MOST_CHARACTERS = 2_000_000
"""Of contents, of which some windows are looked for in the end."""


def needles_of_records(
    database: Database, name: str, salt: str, marks: Collection[str], kept: Path
) -> Needles:
    """Runs of what the records with these marks say that stand in nothing that stays: neither in
    other records and tables, nor in files below `kept`."""
    with database.read() as connection:
        going = (said for goes, said in contents(connection, name, salt, marks) if goes)
        needles = Needles.of(
            salt, (window for said in _some(going) for window in windows_of_text(said, salt))
        )
    needles = needles.without(elsewhere(database, needles, {"records": None}))
    with database.read() as connection:
        for block in _staying(connection, name, salt, marks):
            needles = needles.without(needles.found_in(block))
    for path in files(kept):
        for block in blocks(path, needles.overlap):
            needles = needles.without(needles.found_in(block))
    return needles


def _some(said: Iterable[str]) -> Iterator[str]:
    """The first of them, as many as there is room for, and one at least."""
    left = _MOST_CHARACTERS

    def has_room(one: str) -> bool:
        nonlocal left
        had, left = left > 0, left - len(one)
        return had

    return takewhile(has_room, said)


def _staying(
    connection: Connection, name: str, salt: str, marks: Collection[str]
) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for goes, said in contents(connection, name, salt, marks):
        if not goes:
            gathered.append(said.encode())
            size += len(said)
        if size >= BLOCK_BYTES:
            yield b"\0".join(gathered)
            gathered, size = [], 0
    yield b"\0".join(gathered)
