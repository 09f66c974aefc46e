"""`rag history import`: exchanges from a file, each once, whole or not at all.

The file is read through before anything is written: so what is wrong with it is known, and how many
exchanges it has. Then they are written some hundreds at a time; a run that is stopped and started
again goes on where it was, as what is there already is left alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from rag_pipeline.history.errors import HistoryError
from rag_pipeline.history.import_forms import (
    Belonging,
    Conversation,
    LoggedExchanges,
    exchanges_of,
    openai,
    sharegpt,
)
from rag_pipeline.history.records_file import read_record
from storage.bulk import batches
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.prompts.imports import Imported, PromptImporter, check_exchange
from storage.prompts.llm_logs import logged_responses
from storage.prompts.whole import RECORDS, WholeExchange

ImportFormat = Literal["records", "openai", "sharegpt", "llm"]
FORMATS: tuple[ImportFormat, ...] = get_args(ImportFormat)
_CONVERSATIONS: Mapping[str, Callable[[Mapping[str, Any]], Conversation]] = {
    "openai": openai,
    "sharegpt": sharegpt,
}
_TELLING: Mapping[str, ImportFormat] = {
    "messages": "openai",
    "conversations": "sharegpt",
}
_SQLITE = b"SQLite format 3\0"
_BATCH = 200
_LONGEST_LINE = 64 * 2**20
"""Bytes."""
_MOST_TOLD = 100
"""Reasons, one a line, that a report holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWanted:
    """How a file is to be taken in."""

    belonging: Belonging
    """Of exchanges of which the file says nothing of the kind."""
    form: ImportFormat | None = None
    """None: as the file looks."""
    strict: bool = False
    """Take nothing in if anything in the file can't be."""


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What became of a file."""

    file: str
    form: ImportFormat
    exchanges: int = 0
    """In the file, as far as they could be read."""
    added: int = 0
    known: int = 0
    without_parent: int = 0
    refused: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    """The first refused ones: the line, or the row of a log, and why."""

    def refuse(self, line: int, reason: str) -> None:
        """Put down that something could not be taken in."""
        self.refused += 1
        if len(self.reasons) < _MOST_TOLD:
            self.reasons.append((line, reason))

    def as_json(self) -> dict[str, Any]:
        """In the form that `rag history import --json` prints."""
        return {
            "file": self.file,
            "format": self.form,
            "exchanges": self.exchanges,
            "added": self.added,
            "known": self.known,
            "without_parent": self.without_parent,
            "refused": self.refused,
            "reasons": [{"line": line, "reason": reason} for line, reason in self.reasons],
        }


Progress = Callable[[int, int], None]
"""How many are written, and of how many."""


def import_history(
    database: Database, path: Path, wanted: ImportWanted, on_progress: Progress | None = None
) -> ImportReport:
    """Take the exchanges of a file in.

    Raises `HistoryError` for a file that holds none, and with `strict` for one of which anything
    can't be taken in; then nothing is.
    """
    try:
        source = _Source(path=path, form=wanted.form or _form_of(path), belonging=wanted.belonging)
        report = ImportReport(file=str(path), form=source.form)
        report.exchanges = sum(1 for _ in source.exchanges(report.refuse))
        _check(report, wanted)
        _write(database, source, report, on_progress)
    except OSError as error:
        raise HistoryError(
            f"{path} can't be read: {error.strerror or error}; name a file of exchanges"
        ) from error
    return report


def _check(report: ImportReport, wanted: ImportWanted) -> None:
    first = (
        f"line {report.reasons[0][0]}: {report.reasons[0][1]}" if report.reasons else "it is empty"
    )
    if not report.exchanges:
        raise HistoryError(f"{report.file} holds no exchange of the form {report.form!r}: {first}")
    if wanted.strict and report.refused:
        raise HistoryError(
            f"nothing of {report.file} was taken in, as {report.refused} parts of it can't be:"
            f" {first}"
        )


def _write(
    database: Database, source: "_Source", report: ImportReport, on_progress: Progress | None
) -> None:
    importer = PromptImporter(database)
    written = 0
    for batch in batches(source.exchanges(_unsaid, of=report.exchanges), _BATCH):
        done = importer.add(batch)
        report.added += done.added
        report.known += done.known
        report.without_parent += done.without_parent
        for line, reason in done.refused:
            report.refuse(line, reason)
        written += len(batch)
        if on_progress is not None:
            on_progress(written, report.exchanges)


def _unsaid(line: int, reason: str) -> None:
    """It was said when the file was first read through."""


def _form_of(path: Path) -> ImportFormat:
    """By how the file begins. Raises `HistoryError`."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) == _SQLITE:
            return "llm"
    for _, row in _rows(path, _unsaid):
        if "prompt_id" in row and "status" in row:
            return "records"
        for name, form in _TELLING.items():
            if name in row:
                return form
    raise HistoryError(
        f"{path} is no history that can be read: neither an export of `rag history export --format"
        " records`, nor OpenAI's or ShareGPT's conversations, nor the log of the program `llm`"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file of a known form."""

    path: Path
    form: ImportFormat
    belonging: Belonging

    def exchanges(self, refuse: Callable[[int, str], None], *, of: int = 0) -> Iterator[Imported]:
        """What can be taken in, in order; what can't be is said. The times of those that have none
        end, as there are so `of` many, with the time of the file."""
        for line, found in self._found(refuse, of):
            try:
                check_exchange(found)
            except InvalidRecordError as error:
                refuse(line, str(error))
                continue
            yield Imported(
                line=line,
                exchange=found,
                is_foreign=self.form != RECORDS,
                origin={"format": self.form, "file": self.path.name},
            )

    def _found(
        self, refuse: Callable[[int, str], None], of: int
    ) -> Iterator[tuple[int, WholeExchange]]:
        match self.form:
            case "llm":
                return self._logged(refuse)
            case "records":
                return self._recorded(refuse)
            case _:
                return self._told(refuse, of)

    def _recorded(self, refuse: Callable[[int, str], None]) -> Iterator[tuple[int, WholeExchange]]:
        for line, text in _texts(self.path, refuse):
            try:
                yield line, read_record(text)
            except HistoryError as error:
                refuse(line, str(error))

    def _logged(self, refuse: Callable[[int, str], None]) -> Iterator[tuple[int, WholeExchange]]:
        exchanges = LoggedExchanges(self.belonging)
        for logged in logged_responses(self.path):
            try:
                yield logged.row, exchanges.exchange(logged)
            except (HistoryError, InvalidRecordError) as error:
                refuse(logged.row, str(error))

    def _told(
        self, refuse: Callable[[int, str], None], of: int
    ) -> Iterator[tuple[int, WholeExchange]]:
        ended = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        begun = ended - timedelta(milliseconds=of)
        for line, row in _rows(self.path, refuse):
            try:
                told = _CONVERSATIONS[self.form](row)
                for one in exchanges_of(told, begun, self.belonging):
                    begun += timedelta(milliseconds=1)
                    yield line, one
            except HistoryError as error:
                refuse(line, str(error))


def _rows(
    path: Path, refuse: Callable[[int, str], None]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Objects of a JSONL file, or of one JSON list, with their numbers."""
    with path.open("rb") as file:
        is_list = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    found = _of_list(path) if is_list else _of_lines(path, refuse)
    for number, row in found:
        if isinstance(row, Mapping):
            yield number, row
        else:
            refuse(number, "it is no JSON object")


def _of_list(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        yield from enumerate(json.loads(path.read_bytes()), start=1)
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"{path} is no JSON list: {error}") from error


def _of_lines(path: Path, refuse: Callable[[int, str], None]) -> Iterator[tuple[int, Any]]:
    for number, text in _texts(path, refuse):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            refuse(number, f"it is no JSON: {error}")
            continue
        yield number, row


def _texts(path: Path, refuse: Callable[[int, str], None]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    with path.open("rb") as file:
        for number, raw in enumerate(_lines(file), start=1):
            if raw is None:
                refuse(number, f"it is longer than {_LONGEST_LINE >> 20} MiB")
                continue
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                refuse(number, f"it is no UTF-8 from its byte {error.start + 1} on")
                continue
            if text:
                yield number, text


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Each line; None for one that is too long."""
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) <= _LONGEST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST_LINE)
        yield None
