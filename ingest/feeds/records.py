"""Records that a program hands over, or that a database gives, in the JSONL form."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from ingest.errors import RefusedError
from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.reading import record_line
from ingest.parse.jsonl_record import decode_record, record_id
from ingest.records import RawDocument, Refusal


@dataclass(frozen=True, slots=True)
class RecordsFeed:
    """What an iterable of `{_id, title, text, metadata}` holds; it is read once."""

    records: Iterable[Mapping[str, Any]]
    source: str
    """Names where they come from: the same name at the next run means the same place."""

    @property
    def uri(self) -> str:
        return f"records:{self.source}"

    def resources(self) -> Iterator[Resource]:
        yield Resource(uri=self.uri, stamp=None, read=self._read)

    def covers(self, uri: str) -> bool:
        return uri == self.uri

    def _read(self, _known: str | None) -> Iterator[Item]:
        yield from record_documents(self.records, self.uri)
        yield ReadThrough(None)


def record_documents(
    records: Iterable[Mapping[str, Any]], uri: str
) -> Iterator[RawDocument | Refusal]:
    """Each record as the document that its line of JSONL would be."""
    first: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        try:
            line = _line(record)
            external_id = record_id(decode_record(line)) or f"#{number}"
            if first.setdefault(external_id, number) != number:
                raise RefusedError(
                    f'its "_id" {external_id!r} is that of record {first[external_id]}'
                )
        except RefusedError as error:
            yield Refusal(source=f"{uri}:{number}", reason=str(error), outcome="refused")
            continue
        yield record_line(line, uri=uri, external_id=external_id)


def _line(record: Mapping[str, Any]) -> bytes:
    """The same bytes for the same record, whatever the order of its keys."""
    try:
        text = json.dumps(dict(record), ensure_ascii=False, sort_keys=True, default=_as_json)
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RefusedError("the record holds half of a surrogate pair: correct its text") from error
    except (TypeError, ValueError) as error:
        raise RefusedError(f"the record can't be written as JSON: {error}") from error


def _as_json(value: object) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=str)
    raise TypeError(f"a value of type {type(value).__name__} is no JSON value")
