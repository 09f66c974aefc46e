"""`rag history export --format records`: exchanges with nothing left out, as a file that can be
imported."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import new_file, sha256_of
from rag_pipeline.history.records_file import line_of
from rag_pipeline.history.redaction import Redactor
from storage.bulk import batches
from storage.engine import Database
from storage.prompts.export import prompt_ids
from storage.prompts.listing import PromptsWanted
from storage.prompts.whole import RECORDS, WholeExchange, whole_exchanges
from storage.records import Citation, Message, Score

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsReport:
    """What was written."""

    file: Path
    sha256: str
    exchanges: int

    def as_json(self) -> dict[str, Any]:
        """In the form that `rag history export --json` prints."""
        return {
            "format": RECORDS,
            "exchanges": self.exchanges,
            "files": [{"file": str(self.file), "sha256": self.sha256}],
        }


def export_records(
    database: Database,
    wanted: PromptsWanted,
    path: Path,
    *,
    redactor: Redactor | None = None,
    overwrite: bool = False,
) -> RecordsReport:
    """Write the exchanges that are wanted to `path`, oldest first; redacted, if by anything.

    Raises `DatasetError` where nothing is to be written or the file can't be; then none is.
    """
    if path.suffix.lower() != ".jsonl":
        raise DatasetError(f"{path} can't hold records: let its name end in .jsonl")
    exchanges = 0
    with new_file(path, overwrite=overwrite) as file:
        for one in _found(database, wanted):
            file.write(line_of(one if redactor is None else redacted(one, redactor)))
            exchanges += 1
        if not exchanges:
            raise DatasetError("nothing to export: no exchange is like that; widen the filter")
    return RecordsReport(file=path, sha256=sha256_of(path), exchanges=exchanges)


def _found(database: Database, wanted: PromptsWanted) -> Iterator[WholeExchange]:
    for keys in batches(prompt_ids(database, wanted), _BATCH):
        yield from whole_exchanges(database, keys)


def redacted(one: WholeExchange, redactor: Redactor) -> WholeExchange:
    """The exchange with every text redacted that people or models wrote."""
    text, some = redactor, _or_none(redactor)
    record = replace(
        one.record,
        question=text(one.record.question),
        standalone=some(one.record.standalone),
        answer=some(one.record.answer),
        rendered=text(one.record.rendered),
        note=some(one.record.note),
        error=some(one.record.error),
        checks=_all(one.record.checks, redactor),
        circumstances=_circumstances(one.record.circumstances, redactor),
        citations=tuple(_citation(cited, redactor) for cited in one.record.citations),
        scores=tuple(_score(score, redactor) for score in one.record.scores),
    )
    said = tuple(Message(message.role, text(message.content)) for message in one.said)
    return replace(one, record=record, said=said)


def _or_none(redactor: Redactor) -> Callable[[str | None], str | None]:
    return lambda text: None if text is None else redactor(text)


def _circumstances(
    stored: Mapping[str, Any] | None, redactor: Redactor
) -> Mapping[str, Any] | None:
    """Fence and hashes stay: a replay needs them as they are."""
    if stored is None or "instructions" not in stored:
        return stored
    return {**stored, "instructions": _all(stored["instructions"], redactor)}


def _citation(cited: Citation, redactor: Redactor) -> Citation:
    return replace(cited, quote=redactor(cited.quote))


def _score(score: Score, redactor: Redactor) -> Score:
    some = _or_none(redactor)
    return replace(score, comment=some(score.comment), correction=some(score.correction))


def _all(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor(value)
        case list():
            return [_all(one, redactor) for one in value]
        case dict():
            return {key: _all(one, redactor) for key, one in value.items()}
        case _:
            return value
