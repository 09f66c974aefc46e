"""One open file or download to documents, under the limits that local files have too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.errors import RefusedError, SkippedError
from ingest.parse.formats import HEAD, MEDIA_TYPES, detect, media_type
from ingest.parse.jsonl_record import decode_record, record_id
from ingest.records import Format, RawDocument, Refusal

MAX_BYTES = 256 * 1024 * 1024
"""Of a file that is one document. A JSONL file may be of any size: it is read line by line."""
MAX_LINE_BYTES = 64 * 1024 * 1024
_SKIPPED_AT_ONCE = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held in memory at once."""

    document: int = MAX_BYTES
    line: int = MAX_LINE_BYTES


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Something that can be read from its beginning, and what is said of it."""

    file: BinaryIO
    uri: str
    external_id: str
    name: str
    """A file name, for what its extension tells of the format; may be empty."""
    format: Format | None = None
    """Known beforehand; None: told by name and bytes."""


def documents(opened: Opened, limits: Limits = DEFAULT_LIMITS) -> Iterator[RawDocument | Refusal]:
    """Its one document, or one for each line of JSONL; lines that are none are refusals.

    Raises RefusedError or SkippedError for a file that is none at all.
    """
    head = opened.file.read(HEAD)
    if not head:
        raise SkippedError("the file is empty")
    format_ = opened.format or detect(opened.name, head)
    opened.file.seek(0)
    if format_ == "jsonl":
        yield from _records(opened, limits.line)
        return
    data = opened.file.read(limits.document + 1)
    if len(data) > limits.document:
        raise RefusedError(f"it is larger than {limits.document:,} bytes: split it")
    yield RawDocument(
        uri=opened.uri,
        external_id=opened.external_id,
        data=data,
        format=format_,
        media_type=media_type(format_, head),
    )


def _records(opened: Opened, max_bytes: int) -> Iterator[RawDocument | Refusal]:
    first_line: dict[str, int] = {}
    for number, line in _lines(opened.file, max_bytes):
        try:
            external_id = _external_id(line, f"{opened.external_id}#{number}", max_bytes)
            if (first := first_line.setdefault(external_id, number)) != number:
                raise RefusedError(f'its "_id" {external_id!r} stands on line {first} already')
        except RefusedError as error:
            yield Refusal(source=f"{opened.uri}:{number}", reason=str(error), outcome="refused")
            continue
        yield record_line(line, uri=opened.uri, external_id=external_id)


def record_line(line: bytes, *, uri: str, external_id: str) -> RawDocument:
    """The document that one line of JSONL is."""
    return RawDocument(
        uri=uri,
        external_id=external_id,
        data=line,
        format="jsonl",
        media_type=MEDIA_TYPES["jsonl"],
    )


def _external_id(line: bytes, default: str, max_bytes: int) -> str:
    if len(line) > max_bytes:
        raise RefusedError(f"the line is longer than {max_bytes:,} bytes: split the record")
    return record_id(decode_record(line)) or default


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Lines that hold anything, numbered from 1; of one that is too long, its beginning."""
    number = 0
    while line := file.readline(max_bytes + len(b"\r\n")):
        number += 1
        _skip_rest(file, line)
        content = line.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").rstrip(b"\r\n")
        if content.strip():
            yield number, content


def _skip_rest(file: BinaryIO, part: bytes) -> None:
    while part and not part.endswith(b"\n"):
        part = file.readline(_SKIPPED_AT_ONCE)
