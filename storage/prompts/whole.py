"""Exchanges with everything that is on record of them: what an export carries and an import puts
back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.history import all_citations, all_evidence, prompt_record, prompts
from storage.models.corpus import GenerationRow
from storage.models.prompts import MessageRow, PromptRow
from storage.prompts.scores import all_scores
from storage.prompts.tags import all_tags
from storage.prompts.templates import StoredTemplate, all_templates
from storage.records import ChunkId, Citation, DocumentId, Evidence, Message, PromptRecord

IMPORTED = "imported"
"""Where the circumstances of an exchange say that it was, and what is not as it was."""
RECORDS = "records"
"""The form of an export that holds all of an exchange."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeExchange:
    """An exchange and all that belongs to it."""

    record: PromptRecord
    said: tuple[Message, ...] = ()
    """What was said up to its question, and its answer if it has one; empty: not on record."""
    continues: bool = False
    """Whether `said` goes on after what was said in the exchange that it follows."""
    token: str | None = None
    """Of the generation that answered; None: it is not known here."""
    template: StoredTemplate | None = None


def whole_exchanges(database: Database, prompt_ids: Sequence[str]) -> list[WholeExchange]:
    """These exchanges in this order, as they were recorded first; whoever asks has made sure that
    they may be read. What is gone meanwhile is left out."""
    with database.read() as connection:
        records = _records(connection, prompt_ids)
        said = _said(connection, records)
        tokens = _tokens(connection, records)
        templates = {one.template_id: one for one in all_templates(connection)}
    return [
        _as_recorded(
            WholeExchange(
                record=record,
                said=said[record.prompt_id][0],
                continues=said[record.prompt_id][1],
                token=tokens.get(record.generation),
                template=templates.get(record.template_id or 0),
            )
        )
        for record in records
    ]


def with_keys_turned(record: PromptRecord) -> PromptRecord:
    """The same with the other sign before each key of a chunk or document; twice is as before."""
    return replace(
        record,
        evidence=tuple(map(_turned_evidence, record.evidence)),
        citations=tuple(map(_turned_citation, record.citations)),
    )


def _turned_evidence(shown: Evidence) -> Evidence:
    return replace(
        shown, chunk_id=ChunkId(-shown.chunk_id), document_id=DocumentId(-shown.document_id)
    )


def _turned_citation(cited: Citation) -> Citation:
    return replace(
        cited, chunk_id=ChunkId(-cited.chunk_id), document_id=DocumentId(-cited.document_id)
    )


def _as_recorded(one: WholeExchange) -> WholeExchange:
    """What an import has changed, as it was before."""
    circumstances = dict(one.record.circumstances or {})
    origin: Mapping[str, Any] = circumstances.pop(IMPORTED, {})
    if origin.get("format") != RECORDS:
        return one
    if "before" in origin:
        circumstances[IMPORTED] = origin["before"]
    record = replace(
        one.record,
        circumstances=circumstances or None,
        parent_id=one.record.parent_id or origin.get("parent_id"),
    )
    if "token" not in origin:
        return replace(one, record=record)
    return replace(one, record=with_keys_turned(record), token=origin["token"])


def _records(connection: Connection, keys: Sequence[str]) -> list[PromptRecord]:
    evidence, citations = all_evidence(connection, keys), all_citations(connection, keys)
    scores, tags = all_scores(connection, keys), all_tags(connection, keys)
    rows = rows_where(connection, prompts(), PromptRow.prompt_id, keys)
    found = {row.prompt_id: prompt_record(row._mapping) for row in rows}
    return [
        replace(
            found[key],
            evidence=evidence.get(key, ()),
            citations=citations.get(key, ()),
            scores=scores.get(key, ()),
            tags=tags.get(key, ()),
        )
        for key in keys
        if key in found
    ]


def _tokens(connection: Connection, records: Iterable[PromptRecord]) -> dict[int, str]:
    generations = sorted({record.generation for record in records})
    statement = select(GenerationRow.generation, GenerationRow.token)
    rows = rows_where(connection, statement, GenerationRow.generation, generations)
    return {row.generation: row.token for row in rows}


def _said(
    connection: Connection, records: Sequence[PromptRecord]
) -> dict[str, tuple[tuple[Message, ...], bool]]:
    """By exchange: what was said in it that was not said in the one that it follows, and whether
    it goes on from there."""
    parents = {record.parent_id for record in records} - {None}
    ends = _ends(connection, [key for key in parents if key is not None])
    known = _all_messages(connection, records)
    found: dict[str, tuple[tuple[Message, ...], bool]] = {}
    for record in records:
        last: str | None = record.response_sha256 or record.request_sha256
        before = ends.get(record.parent_id or "")
        said: list[Message] = []
        while last is not None and last != before:
            last, message = known[last]
            said.append(message)
        found[record.prompt_id] = (tuple(reversed(said)), before is not None and last == before)
    return found


def _ends(connection: Connection, prompt_ids: Sequence[str]) -> dict[str, str]:
    """The last message of each exchange that has any."""
    statement = select(PromptRow.prompt_id, PromptRow.request_sha256, PromptRow.response_sha256)
    rows = rows_where(connection, statement, PromptRow.prompt_id, prompt_ids)
    lasts = {row.prompt_id: row.response_sha256 or row.request_sha256 for row in rows}
    return {key: last for key, last in lasts.items() if last is not None}


def _all_messages(
    connection: Connection, records: Iterable[PromptRecord]
) -> dict[str, tuple[str | None, Message]]:
    """By key: a message and the key of the one before it, from the last of each exchange to the
    first that was said."""
    lasts = {record.response_sha256 or record.request_sha256 for record in records}
    wanted = {last for last in lasts if last is not None}
    found: dict[str, tuple[str | None, Message]] = {}
    while wanted:
        rows = rows_where(
            connection, select(MessageRow.__table__), MessageRow.message_sha256, sorted(wanted)
        )
        new = {
            row.message_sha256: (row.parent_sha256, Message(row.role, row.content)) for row in rows
        }
        found |= new
        wanted = {before for before, _ in new.values() if before is not None} - found.keys()
    return found
