"""What the parent believes of what the child says.

The child may have been taken over by a document. Its words are data of unknown origin: everything
is bounded before it is read and checked before it is believed, and nothing in it is ever run.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, BinaryIO, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from ingest.errors import IngestError
from ingest.normalise import one_line
from ingest.parse.metadata import clean
from ingest.records import Part, RawDocument, ReadText, Refusal
from ingest.sandbox.messages import MAX_REASON, NonsenseError, read_frame
from ingest.settings import ParseSettings
from storage.records import Heading, Outline

MAX_PARTS = 100_000
"""Documents of one file."""
MAX_HEADERS = 64 * 1024 * 1024
"""Bytes that say what is known of the documents of one file, their texts aside."""
_STEP_IN = "!/"
_UTF8_MAX = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""What no text in normal form holds, and what terminals, logs and databases trip over."""


def _on_one_line(text: str) -> str:
    if _CONTROL.search(text) or "\n" in text or "\t" in text:
        raise ValueError("control characters")
    return text


def _ascending(numbers: list[int]) -> list[int]:
    if any(before > after for before, after in pairwise(numbers)):
        raise ValueError("positions out of order")
    return numbers


_Line: TypeAlias = Annotated[str, AfterValidator(_on_one_line)]
_MediaType: TypeAlias = Annotated[str, Field(pattern=r"^[\w.+-]{1,100}/[\w.+-]{1,100}$")]
_Position: TypeAlias = Annotated[int, Field(ge=0)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Heading(_Message):
    start: _Position
    level: int = Field(ge=1, le=6)
    title: str = Field(min_length=1)


class _TextHeader(_Message):
    """What is known of a text; a frame with the text itself follows."""

    kind: Literal["text"]
    path: _Line
    media_type: _MediaType
    title: str
    metadata: dict[str, JsonValue]
    language: str | None = Field(pattern=r"^[a-z]{2,3}$")
    headings: list[_Heading]
    page_starts: Annotated[list[_Position], AfterValidator(_ascending)]


class _Refused(_Message):
    """A document without a text, and why."""

    kind: Literal["refused"]
    path: _Line
    media_type: _MediaType
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    outcome: Literal["refused", "skipped"]


_HEADER: TypeAdapter[_TextHeader | _Refused] = TypeAdapter(
    Annotated[_TextHeader | _Refused, Field(discriminator="kind")]
)


class _Hello(_Message):
    """The child's first words: it is ready, and confined in these ways."""

    confinement: list[_Line] = Field(max_length=20)


def read_hello(pipe: BinaryIO) -> tuple[str, ...]:
    """How the child is confined. Raises EOFError or NonsenseError where it can't be used."""
    try:
        return tuple(_Hello.model_validate_json(read_frame(pipe, MAX_HEADERS)).confinement)
    except ValidationError as error:
        raise NonsenseError(_first_of(error)) from error


def read_answer(pipe: BinaryIO, raw: RawDocument, limits: ParseSettings) -> list[Part]:
    """The documents of `raw` as the child tells them, each with a path of its own.

    Raises EOFError where the child breaks off, NonsenseError where it is not to be believed.
    """
    bounds = _Bounds(headers=MAX_HEADERS, characters=limits.max_text_chars)
    parts = list(bounds.parts(pipe, raw))
    if not parts:
        raise NonsenseError("no document at all")
    if len({part.path for part in parts}) < len(parts):
        raise NonsenseError("two documents of one name")
    return parts


class _Bounds:
    """What one answer may still hold."""

    def __init__(self, *, headers: int, characters: int) -> None:
        self._headers = headers
        self._characters = characters

    def parts(self, pipe: BinaryIO, raw: RawDocument) -> Iterator[Part]:
        for _ in range(MAX_PARTS):
            header = read_frame(pipe, self._headers)
            if not header:
                return
            self._headers -= len(header)
            yield self._part(pipe, raw, header)
        if read_frame(pipe, self._headers):
            raise NonsenseError(f"more than {MAX_PARTS:,} documents")

    def _part(self, pipe: BinaryIO, raw: RawDocument, header: bytes) -> Part:
        try:
            told = _HEADER.validate_json(header)
            if isinstance(told, _Refused):
                content: ReadText | Refusal = _as_refusal(told, raw)
            else:
                content = _as_read(told, self._text(pipe))
        except (ValueError, IngestError) as error:
            raise NonsenseError(_first_of(error)) from error
        return Part(path=told.path, media_type=told.media_type, content=content)

    def _text(self, pipe: BinaryIO) -> str:
        text = read_frame(pipe, self._characters * _UTF8_MAX).decode()
        self._characters -= len(text)
        if self._characters < 0:
            raise NonsenseError("more text than one file may have")
        return text


def _as_refusal(told: _Refused, raw: RawDocument) -> Refusal:
    return Refusal(
        source=f"{raw.label}{_STEP_IN}{told.path}" if told.path else raw.label,
        reason=one_line(told.reason),
        outcome=told.outcome,
    )


def _as_read(told: _TextHeader, text: str) -> ReadText:
    if not text or _CONTROL.search(text):
        raise NonsenseError("a text that is not in normal form")
    starts = [heading.start for heading in told.headings]
    if any(start >= len(text) for start in _ascending(starts)):
        raise NonsenseError("a heading beyond the end")
    if told.page_starts and (told.page_starts[0] or told.page_starts[-1] > len(text)):
        raise NonsenseError("pages beyond the text")
    return ReadText(
        text=text,
        title=one_line(told.title),
        metadata=clean(told.metadata),
        outline=Outline(
            headings=tuple(
                Heading(start=found.start, level=found.level, title=one_line(found.title))
                for found in told.headings
            ),
            page_starts=tuple(told.page_starts),
        ),
        language=told.language,
    )


def _first_of(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
