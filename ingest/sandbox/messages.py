"""What parent and child say to each other: frames of JSON and of plain text, over two pipes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

from ingest.records import Part, RawDocument, ReadText, Refusal

MAX_REASON = 2_000
"""Characters."""
OUT_OF_MEMORY = 77
"""The child's exit status where it may have no more memory."""
_SIZE = 8
"""Bytes before a frame that say how long it is."""


class NonsenseError(Exception):
    """The child said something that it never says while it is itself."""


def write_frame(pipe: BinaryIO, content: bytes) -> None:
    """`content` with its length before it. The caller flushes."""
    pipe.write(len(content).to_bytes(_SIZE, "big"))
    pipe.write(content)


def read_frame(pipe: BinaryIO, limit: int | None = None) -> bytes:
    """The next frame, of at most `limit` bytes.

    Raises EOFError where the pipe ends, NonsenseError for a frame that is longer.
    """
    size = int.from_bytes(_exactly(pipe, _SIZE), "big")
    if limit is not None and size > limit:
        raise NonsenseError(f"a message of {size:,} bytes, where {limit:,} may come")
    return _exactly(pipe, size)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


def write_request(pipe: BinaryIO, raw: RawDocument) -> None:
    """A file to parse."""
    named = {
        "uri": raw.uri,
        "external_id": raw.external_id,
        "format": raw.format,
        "media_type": raw.media_type,
    }
    write_frame(pipe, json.dumps(named).encode())
    write_frame(pipe, raw.data)
    pipe.flush()


def read_request(pipe: BinaryIO) -> RawDocument:
    """The next file to parse. Raises EOFError when there are no more."""
    named = json.loads(read_frame(pipe))
    return RawDocument(**named, data=read_frame(pipe))


def write_hello(pipe: BinaryIO, confinement: Sequence[str]) -> None:
    """Say that requests may come, and how this process is confined."""
    write_frame(pipe, json.dumps({"confinement": confinement}).encode())
    pipe.flush()


def write_answer(pipe: BinaryIO, parts: Sequence[Part]) -> None:
    """The documents of one file: a header each, and its text if it has one; then an empty frame."""
    for part in parts:
        header = {"path": part.path, "media_type": part.media_type, **_told(part.content)}
        write_frame(pipe, json.dumps(header, ensure_ascii=False).encode())
        if isinstance(part.content, ReadText):
            write_frame(pipe, part.content.text.encode())
    write_frame(pipe, b"")
    pipe.flush()


def _told(content: ReadText | Refusal) -> Mapping[str, Any]:
    if isinstance(content, Refusal):
        reason = content.reason[:MAX_REASON]
        return {"kind": "refused", "reason": reason, "outcome": content.outcome}
    return {
        "kind": "text",
        "title": content.title,
        "metadata": content.metadata,
        "language": content.language,
        **asdict(content.outline),
    }
