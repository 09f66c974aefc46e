"""From the bytes of a file to its documents: its own, and those of the files inside it."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import PurePosixPath

from ingest.errors import IngestError, RefusedError, SkippedError
from ingest.parse.budget import Budget
from ingest.parse.formats import HEAD, detect, media_type
from ingest.parse.inner import Contents, Unread
from ingest.parse.jsonl_record import decode_record, record_id
from ingest.parse.reading import parse_as, read_text
from ingest.records import Format, Inner, ParsedText, Part, RawDocument, Refusal
from ingest.settings import ParseSettings

PARSER_VERSION = "2"
"""Part of the pipeline's fingerprint: raise it with every change of what a parser returns."""

_STEP_IN = "!/"
_UNKNOWN_TYPE = "application/octet-stream"
_MAX_FOREIGN_MESSAGE = 200


def parts(raw: RawDocument, limits: ParseSettings) -> list[Part]:
    """The documents of a file: its own text first, then what is inside it, in its order.

    At least one, each with a path of its own. What can't be read is a Refusal in its place, and
    so is what goes beyond `limits`, which hold for the file with all that is inside it.
    """
    name = PurePosixPath(raw.uri).name
    opened = _Opened(label=raw.label, limits=limits, budget=Budget.of(len(raw.data), limits))
    file = _File(path="", name=name, data=raw.data, format=raw.format)
    return list(opened.documents(file, depth=0)) or [
        opened.refused("", SkippedError("there is nothing in it"), file.media_type)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file, however far in."""

    path: str
    name: str
    data: bytes
    format: Format

    @property
    def media_type(self) -> str:
        return media_type(self.format, self.data[:HEAD])


@dataclass(kw_only=True)
class _Opened:
    """The file that is being read, and what has been read of it."""

    label: str
    limits: ParseSettings
    budget: Budget
    paths: set[str] = field(default_factory=set)

    def documents(self, file: _File, *, depth: int) -> Iterator[Part]:
        """`file` and what is inside it, `depth` files in."""
        if file.format == "jsonl" and depth:
            yield from self._records(file)
        elif file.format == "archive":
            yield from self._members(file, _archived(file, self.budget), depth + 1)
        elif file.format in ("email", "outlook"):
            yield from self._mail(file, depth)
        else:
            yield self._own_text(file)

    def refused(self, path: str, error: IngestError, media: str = _UNKNOWN_TYPE) -> Part:
        """The document at `path` as one that was not ingested."""
        refusal = Refusal(
            source=f"{self.label}{_STEP_IN}{path}" if path else self.label,
            reason=str(error),
            outcome="skipped" if isinstance(error, SkippedError) else "refused",
        )
        return Part(path=path, media_type=media, content=refusal)

    def _own_text(self, file: _File) -> Part:
        try:
            parsed = _parsed(file, ocr=self.limits.ocr)
        except IngestError as error:
            return self.refused(file.path, error, file.media_type)
        return self._read(file, parsed)

    def _read(self, file: _File, parsed: ParsedText) -> Part:
        try:
            content = read_text(parsed)
            self.budget.take_characters(len(content.text))
        except IngestError as error:
            return self.refused(file.path, error, file.media_type)
        return Part(path=file.path, media_type=file.media_type, content=content)

    def _mail(self, file: _File, depth: int) -> Iterator[Part]:
        try:
            own, attached = _opened_mail(file)
        except IngestError as error:
            yield self.refused(file.path, error, file.media_type)
            return
        yield self._read(file, own)
        yield from self._members(file, iter(attached), depth + 1)

    def _members(self, file: _File, contents: Contents, depth: int) -> Iterator[Part]:
        """The files inside `file`; its damage, where it stops, is a refusal of `file` itself."""
        try:
            for item in contents:
                yield from self._member(file, item, depth)
                if not self.budget.has_more:
                    return
        except IngestError as error:
            yield self.refused(file.path, error, file.media_type)

    def _member(self, file: _File, item: Inner | Unread, depth: int) -> Iterator[Part]:
        path = self._path(file, item)
        try:
            self.budget.take_member(depth)
            inner = _detected(path, item)
        except IngestError as error:
            yield self.refused(path, error)
            return
        yield from self.documents(inner, depth=depth)

    def _path(self, file: _File, item: Inner | Unread) -> str:
        """Where `item` lies; archives and mails may hold several files of one name."""
        path = whole = f"{file.path}{_STEP_IN}{item.path}" if file.path else item.path
        for again in count(2):
            if path not in self.paths:
                break
            path = f"{whole} ({again})"
        self.paths.add(path)
        return path

    def _records(self, file: _File) -> Iterator[Part]:
        """A document a line, called by its `_id`, as in a JSONL file that stands alone."""
        first_line: dict[str, int] = {}
        lines = file.data.removeprefix(BOM_UTF8).split(b"\n")
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield self._record(replace(file, data=line.rstrip(b"\r")), number, first_line)

    def _record(self, line: _File, number: int, first_line: dict[str, int]) -> Part:
        try:
            name = record_id(decode_record(line.data)) or str(number)
            if (first := first_line.setdefault(name, number)) != number:
                raise RefusedError(f'its "_id" {name!r} stands on line {first} already')
        except RefusedError as error:
            return self.refused(f"{line.path}:{number}", error, line.media_type)
        return self._own_text(replace(line, path=f"{line.path}#{name}"))


def _detected(path: str, item: Inner | Unread) -> _File:
    if isinstance(item, Unread):
        raise item.error
    if not item.data:
        raise SkippedError("the file is empty")
    name = item.path.rpartition("/")[2]
    return _File(path=path, name=name, data=item.data, format=detect(name, item.data[:HEAD]))


def _archived(file: _File, budget: Budget) -> Contents:
    from ingest.parse import archive

    with _foreseen(file.format):
        yield from archive.contents(file.data, file.name, budget)


def _opened_mail(file: _File) -> tuple[ParsedText, list[Inner]]:
    with _foreseen(file.format):
        from ingest.parse import email

        if file.format == "email":
            return email.opened(file.data)
        from ingest.parse import outlook

        return email.opened(outlook.as_mail(file.data))


def _parsed(file: _File, *, ocr: bool) -> ParsedText:
    with _foreseen(file.format):
        return parse_as(file.format, file.data, file.name, ocr=ocr)


@contextmanager
def _foreseen(name: Format) -> Iterator[None]:
    """Whatever goes wrong in a parser is a document that can't be read; want of memory is for
    the process to tell, which knows its limit."""
    try:
        yield
    except (IngestError, MemoryError):
        raise
    except Exception as error:
        said = re.sub(r"\s+", " ", str(error))[:_MAX_FOREIGN_MESSAGE]
        raise RefusedError(
            f"it can't be read as {name} and is probably damaged ({type(error).__name__}: {said})"
        ) from error
