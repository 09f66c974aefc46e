"""Archives: zip, tar, mailboxes, and single compressed files. Nothing is ever written to disk.

Members are read one at a time, and what is unpacked is counted as it comes: what a header says of
a size is checked first and never trusted.
"""

import bz2
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from ingest.errors import RefusedError, SkippedError
from ingest.parse.budget import Budget
from ingest.parse.inner import Contents, Unread, inner_path, is_hidden, leads_out
from ingest.records import Inner

_BLOCK = 64 * 1024
_TAR_HEADER = 512
_BROKEN = (
    BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    ValueError,
    struct.error,
    RecursionError,
)
"""What the unpackers of the standard library raise for damaged data."""
_DAMAGED = "it is damaged or cut short: what is inside from here on can't be read"
_MESSAGE = re.compile(rb"(?:\A|\r?\n\r?\n)(From [^\r\n]*\r?\n)")
"""A line that begins a message in a mailbox (RFC 4155), after a blank line."""
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1


def contents(data: bytes, name: str, budget: Budget) -> Contents:
    """The members of the archive called `name`, in its order.

    Folders and hidden files are left out in silence; links, devices and names that lead out of the
    archive are skipped with their reasons. Raises RefusedError for what is damaged, and
    ExhaustedError when the budget is spent, after the members before it.
    """
    try:
        if data.startswith(b"From "):
            yield from _messages(data)
        elif data.startswith(b"PK"):
            yield from _zip_members(data, budget)
        else:
            yield from _unpacked(data, name, budget)
    except _BROKEN as error:
        raise RefusedError(_DAMAGED) from error


def _zip_members(data: bytes, budget: Budget) -> Contents:
    with ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            path = inner_path(_zip_name(member))
            if member.is_dir() or not path or is_hidden(path):
                continue
            try:
                yield Inner(path=path, data=_zip_member(archive, member, path, budget))
            except (RefusedError, SkippedError) as error:
                yield Unread(path=path, error=error)


def _zip_name(member: ZipInfo) -> str:
    """Many programs write names in UTF-8 without saying so."""
    if member.flag_bits & _UTF8_NAMES:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _zip_member(archive: ZipFile, member: ZipInfo, path: str, budget: Budget) -> bytes:
    if leads_out(path):
        raise SkippedError("its name leads out of the archive")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SkippedError("it is a link, which is not followed")
    if member.flag_bits & _ENCRYPTED:
        raise RefusedError("it needs a password: unpack the archive and name what is in it")
    budget.check_unpacked(member.file_size)
    try:
        with archive.open(member) as file:
            # The reader stops at the declared size, and its checksum fails if that is a lie.
            content = file.read(member.file_size + 1)
    except _BROKEN as error:
        raise RefusedError("it is damaged, or packed in a way that is not known") from error
    budget.take_unpacked(len(content))
    return content


class _Counted(io.RawIOBase):
    """A stream that takes what is read of it from the budget."""

    def __init__(self, stream: io.BufferedIOBase, budget: Budget, head: bytes) -> None:
        self._stream = stream
        self._budget = budget
        self._head = head

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            content, self._head = self._head, b""
            if 0 <= size < len(content):
                content, self._head = content[:size], content[size:]
            return content
        content = self._stream.read(_BLOCK if size < 0 else min(size, _BLOCK))
        self._budget.take_unpacked(len(content))
        return content


def _unpacked(data: bytes, name: str, budget: Budget) -> Contents:
    """A tar, compressed or not, or the one file that was compressed."""
    with _stream(data) as stream:
        head = stream.read(_TAR_HEADER)
        budget.take_unpacked(len(head))
        counted = _Counted(stream, budget, head)
        if _is_tar(head):
            yield from _tar_members(counted, budget)
        elif not data.startswith(_COMPRESSED):
            raise RefusedError("it is no archive, or its beginning is damaged")
        else:
            content = b"".join(iter(counted.read, b""))
            yield Inner(path=_unpacked_name(name), data=content)


def _stream(data: bytes) -> io.BufferedIOBase:
    packed = io.BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed)
    if data.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    return lzma.LZMAFile(packed) if data.startswith(b"\xfd7zXZ\x00") else packed


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unpacked_name(name: str) -> str:
    """`corpus.jsonl` for `corpus.jsonl.gz`."""
    path = PurePosixPath(inner_path(name))
    return path.stem if path.suffix.lower() in (".gz", ".bz2", ".xz") else path.name


class _Header(tarfile.TarInfo):
    """A header whose damage is an error: tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _tar_members(stream: _Counted, budget: Budget) -> Contents:
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        for member in _streamed(archive):
            path = inner_path(member.name)
            # Whatever it is: to step over it, tarfile would read all that it claims to have.
            budget.check_unpacked(member.size)
            if member.isdir() or not path or is_hidden(path):
                continue
            try:
                yield Inner(path=path, data=_tar_member(archive, member, path))
            except SkippedError as error:
                yield Unread(path=path, error=error)


def _streamed(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members; tarfile would remember each of them."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]
        yield member


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bytes:
    if leads_out(path):
        raise SkippedError("its name leads out of the archive")
    if member.issym() or member.islnk():
        raise SkippedError("it is a link, which is not followed")
    file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if file is None:
        raise SkippedError("it is a device, a pipe or a file with holes, not a plain file")
    with file:
        return file.read()


def _messages(data: bytes) -> Contents:
    starts = [found.start(1) for found in _MESSAGE.finditer(data)]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True), 1):
        content = data[data.index(b"\n", start) + 1 : end] if b"\n" in data[start:end] else b""
        yield Inner(path=f"{number}.eml", data=content)
