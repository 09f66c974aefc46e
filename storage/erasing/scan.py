"""Looks through everything for what should be gone: the proof of an erasure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from storage.engine import Database
from storage.erasing.haystack import BLOCK_BYTES, Skipped, blocks, cells, files, is_compressed
from storage.erasing.needles import Needles
from storage.errors import SealError
from storage.records import Ids
from storage.sealed import unseal_any

_SHOWN = 10


@dataclass(slots=True)
class Scan:
    """What was looked through, and what was found that should not be there."""

    needles: int
    tables: int = 0
    bytes: int = 0
    files: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    """How many windows of what was erased stand in a column or file."""
    compressed: list[str] = field(default_factory=list)
    """Files in the home whose bytes don't show what they hold."""

    def as_json(self) -> dict[str, Any]:
        return {
            "needles": self.needles,
            "columns": self.tables,
            "files": self.files,
            "bytes": self.bytes,
            "findings": dict(self.findings),
            "compressed_files": self.compressed,
        }

    def shown(self) -> str:
        """Where something was found, in a few words."""
        places = ", ".join(f"{place} ({n})" for place, n in self.findings.most_common(_SHOWN))
        return places or "nowhere"


def elsewhere(database: Database, needles: Needles, skipped: Skipped) -> Needles:
    """Those of `needles` that stand in what is to stay, and so say nothing of what goes."""
    found = Needles(needles.salt, {})
    with database.read() as connection:
        for _, haystack in cells(connection, skipped):
            for block in _cut(haystack, needles.overlap):
                here = needles.found_in(block)
                if here.count:
                    found = found.joined(here)
    return found


def scan(database: Database, home: Path, needles: Needles, chunks: Ids) -> Scan:
    """Look for `needles` in every table and every file of the home, and for the keys `chunks`
    (ascending) in every sealed file."""
    result = Scan(needles=needles.count)
    seen: set[str] = set()
    with database.read() as connection:
        for place, haystack in cells(connection, {"erasures": None}):
            seen.add(place)
            _look(result, place, haystack, needles)
    result.tables = len(seen)
    for path in [*files(home), *_of_database(database, home)]:
        _look_into(result, path, home, needles, chunks)
    return result


def _of_database(database: Database, home: Path) -> Iterator[Path]:
    """The files of a database that is kept elsewhere."""
    main = database.sqlite_path
    if main is not None and not main.resolve().is_relative_to(home.resolve()):
        for suffix in ("", "-wal", "-shm", "-journal"):
            path = main.with_name(main.name + suffix)
            if path.exists():
                yield path


def _look_into(result: Scan, path: Path, home: Path, needles: Needles, chunks: Ids) -> None:
    name = str(path.relative_to(home)) if path.is_relative_to(home) else path.name
    try:
        for block in blocks(path, needles.overlap):
            result.bytes += len(block)
            result.findings[name] += needles.found_in(block).count
    except FileNotFoundError:  # a draft, or a log that was just put away
        return
    result.files += 1
    if is_compressed(path):
        result.compressed.append(name)
    result.findings[name] += _chunks_sealed_in(path, chunks)
    if not result.findings[name]:
        del result.findings[name]


def _chunks_sealed_in(path: Path, chunks: Ids) -> int:
    """How many of `chunks` a file of an index has rows of, dead or alive."""
    try:
        sealed = unseal_any(path)
    except SealError:
        return 0
    ids = None if sealed is None else sealed.arrays.get("ids")
    return 0 if ids is None else int(np.isin(chunks, ids).sum())


def _look(result: Scan, place: str, haystack: bytes, needles: Needles) -> None:
    result.bytes += len(haystack)
    for block in _cut(haystack, needles.overlap):
        found = needles.found_in(block).count
        if found:
            result.findings[place] += found


def _cut(haystack: bytes, overlap: int) -> Iterator[bytes]:
    for start in range(0, max(len(haystack), 1), BLOCK_BYTES):
        yield haystack[start : start + BLOCK_BYTES + overlap]
