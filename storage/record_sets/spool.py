"""Rows on their way into the database: coded and checked before a transaction begins.

They wait in a file without a name, which is gone with the program: memory holds a few megabytes,
and the database is locked no longer than it takes to write.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, Any

from storage.errors import InvalidRecordError, StorageError
from storage.record_sets.coding import CodedRow, Columns, RowCoding, schema_sha256

_IN_MEMORY = 8 << 20
MAX_RECORDS = 2**31 - 1


@dataclass(slots=True)
class Spool:
    """Coded rows in their order, and their images once each."""

    rows: IO[bytes]
    pixels: IO[bytes]
    records: int = 0
    sha256: str = ""
    """Over schema and rows."""
    image_sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each image by its SHA-256, in the order in which they are kept."""

    def __iter__(self) -> Iterator[CodedRow]:
        """The rows, without their images."""
        self.rows.seek(0)
        for line in self.rows:
            drawer, key, content = line.rstrip(b"\n").decode().split("\t", 2)
            yield CodedRow(content=content, drawer=int(drawer), key_sha256=key or None, images={})

    def images(self) -> Iterator[tuple[str, bytes]]:
        """Each image with its SHA-256."""
        self.pixels.seek(0)
        for sha256, size in self.image_sizes.items():
            yield sha256, self.pixels.read(size)

    def _put(self, row: CodedRow) -> None:
        line = f"{row.drawer}\t{row.key_sha256 or ''}\t{row.content}\n"
        self.rows.write(line.encode())
        self.records += 1
        for sha256, content in row.images.items():
            if sha256 not in self.image_sizes:
                self.pixels.write(content)
                self.image_sizes[sha256] = len(content)

    def _fill(self, coding: RowCoding, rows: Iterable[Mapping[str, Any]]) -> None:
        digest = content_digest(coding.columns)
        for number, row in enumerate(rows, start=1):
            if number > MAX_RECORDS:
                raise InvalidRecordError(f"a batch holds {MAX_RECORDS:,} records; add two")
            try:
                coded = coding.coded(row, number)
            except InvalidRecordError as error:
                raise InvalidRecordError(f"record {number}: {error}") from error
            digest.update(as_line(coded.content))
            try:
                self._put(coded)
            except OSError as error:
                raise StorageError(
                    f"no room for records on their way in: {error.strerror}; free some in"
                    f" {gettempdir()}, or name another folder by TMPDIR"
                ) from error
        self.sha256 = digest.hexdigest()


def content_digest(columns: Columns) -> "hashlib._Hash":
    """What hashes a batch: of its schema, and then of each content `as_line`."""
    return hashlib.sha256(f"{schema_sha256(columns)}\n".encode())


def as_line(content: str) -> bytes:
    """A content as its batch is hashed over."""
    return f"{content}\n".encode()


@contextmanager
def spooled(coding: RowCoding, rows: Iterable[Mapping[str, Any]]) -> Iterator[Spool]:
    """All rows, coded. Raises `InvalidRecordError` for the first that can't be stored, by its
    number, and for none at all."""
    with (
        SpooledTemporaryFile(_IN_MEMORY) as lines,
        SpooledTemporaryFile(_IN_MEMORY) as pixels,
    ):
        spool = Spool(lines, pixels)
        spool._fill(coding, rows)
        if not spool.records:
            raise InvalidRecordError("there are no records; give at least one")
        yield spool
