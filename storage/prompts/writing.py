"""The rows that one exchange is made of; each kind is written in one statement."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    Row,
    String,
    bindparam,
    exists,
    insert,
    or_,
    select,
    update,
)

from storage.clock import now
from storage.errors import InvalidRecordError, StorageError
from storage.inserting import leave_known
from storage.models.access import SessionRow
from storage.models.prompts import CitationRow, EvidenceRow, PromptRow, PromptTagRow, ScoreRow
from storage.names import check_name, check_text, check_values
from storage.prepared import change
from storage.prompts import messages
from storage.prompts.access import number_of
from storage.prompts.askers import KNOWN, Asker, asker
from storage.prompts.counting import COUNTED
from storage.prompts.idempotency import already_asked, holder
from storage.prompts.tags import checked_tags
from storage.records import (
    Citation,
    Evidence,
    Message,
    PromptEnd,
    PromptId,
    PromptStart,
    QuestionVector,
)

_KEY = PromptRow.prompt_id
_TOLD = (
    "prompt_id",
    "number",
    "parent_id",
    "collection",
    "generation",
    "question",
    "standalone",
    "rendered",
    "model",
    "weights_sha256",
    "template_sha256",
    "template_id",
    "sampling",
    "circumstances",
    "application",
    "category",
    "idempotency_key",
    "request_sha256",
    "status",
    "created_at",
)
_COLUMNS = (*Asker._fields, *_TOLD)
_VALUES = KNOWN.add_columns(
    *(bindparam(name, type_=PromptRow.__table__.c[name].type) for name in _TOLD)
).where(or_(bindparam("session", type_=String).is_(None), SessionRow.session_id.is_not(None)))
_NEW_EVIDENCE = insert(EvidenceRow)
_NEW_CITATIONS = insert(CitationRow)
_CITED = (
    update(EvidenceRow)
    .where(
        EvidenceRow.prompt_id == bindparam("of"),
        EvidenceRow.chunk_id.in_(
            select(CitationRow.chunk_id).where(CitationRow.prompt_id == bindparam("of"))
        ),
    )
    .values(cited=True)
)
_IS_OPEN = (PromptRow.prompt_id == bindparam("of"), PromptRow.status == "started")
_ASKED = select(PromptRow.request_sha256).where(*_IS_OPEN)
_END = (
    update(PromptRow)
    .where(*_IS_OPEN)
    .returning(
        *COUNTED,
        # Not by the column of the exchange: SQLite is given no table's name here.
        exists().where(PromptTagRow.prompt_id == bindparam("of")).label("is_tagged"),
        exists().where(ScoreRow.prompt_id == bindparam("of")).label("is_scored"),
    )
)
_HELD = select(_KEY).where(*_IS_OPEN).with_for_update(key_share=True)
_TRIES = 3
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


@cache
def _new_prompt(dialect: str) -> Insert:
    """Writes nothing where who asks, or in which conversation, is not known yet."""
    return leave_known(PromptRow, dialect).from_select(_COLUMNS, _VALUES)


def new_prompt_id(asked_at: datetime) -> PromptId:
    """Sortable by time: twelve hexadecimal digits of milliseconds, three of the microseconds
    beyond them, then chance."""
    milliseconds, microseconds = divmod((asked_at - _EPOCH) // _MICROSECOND, 1000)
    return PromptId(f"{milliseconds:012x}{microseconds:03x}{secrets.randbits(36):09x}")


def check_start(prompt: PromptStart) -> None:
    """Raise `InvalidRecordError` for what could not be kept word by word."""
    for name, what in (
        (prompt.user, "a user"),
        (prompt.session, "a session"),
        (prompt.application, "an application"),
        (prompt.category, "a category"),
        (prompt.idempotency_key, "an exchange, as an idempotency key"),
    ):
        check_name(name, what)
    check_text(prompt.question, "the question")
    check_text(prompt.standalone, "the question")
    check_text(prompt.system, "the instruction")
    for said in prompt.earlier:
        check_text(said.content, "what was said before")
    check_text(prompt.rendered, "the prompt")
    checked_tags(prompt.tags)
    check_values(prompt.sampling, "the sampling")
    check_values(prompt.circumstances or {}, "what is kept of the circumstances")


def check_end(end: PromptEnd) -> None:
    """Raise `InvalidRecordError` for what could not be kept word by word."""
    check_text(end.answer, "the answer")
    check_text(end.note, "the note")


def insert_prompt(connection: Connection, prompt: PromptStart, request_sha256: str) -> PromptId:
    """The id of the new row.

    Raises `AlreadyAskedError` if somebody else has just taken the idempotency key.
    """
    values = _started(prompt, request_sha256)
    statement = _new_prompt(connection.dialect.name)
    for _ in range(_TRIES):
        prompt_id = new_prompt_id(values["created_at"])
        identity = {"prompt_id": prompt_id, "number": number_of(prompt_id)}
        if change(connection, statement, [{**values, **identity}]) == 1:
            return prompt_id
        asker(connection, prompt.user, prompt.session)
        _check_key_is_free(connection, prompt)
    raise StorageError("no free id was found for an exchange; ask again")


def _check_key_is_free(connection: Connection, prompt: PromptStart) -> None:
    key = prompt.idempotency_key
    held = None if key is None else holder(connection, user=prompt.user, key=key)
    if key is not None and held is not None:
        raise already_asked(key, held.prompt_id)


def _started(prompt: PromptStart, request_sha256: str) -> dict[str, Any]:
    return {
        "user": prompt.user,
        "session": prompt.session,
        "parent_id": prompt.parent_id,
        "collection": prompt.collection,
        "generation": prompt.generation,
        "question": prompt.question,
        "standalone": prompt.standalone,
        "rendered": prompt.rendered,
        "model": prompt.model,
        "weights_sha256": prompt.weights_sha256,
        "template_sha256": prompt.template_sha256,
        "template_id": prompt.template_id,
        "sampling": dict(prompt.sampling),
        "circumstances": as_dict(prompt.circumstances),
        "application": prompt.application,
        "category": prompt.category,
        "idempotency_key": prompt.idempotency_key,
        "request_sha256": request_sha256,
        "status": "started",
        "created_at": now(),
    }


def as_dict(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a column of JSON takes."""
    return None if given is None else dict(given)


def asked_message(
    connection: Connection, prompt: PromptStart, parent: Row[*tuple[Any, ...]] | None
) -> str:
    """The key of the question among the messages; it and what is new before it are stored.

    What whoever asks tells of the conversation comes before it, or else what is on record of the
    `parent`: under the same system prompt the question just goes on from there.
    """
    system = [Message("system", prompt.system)] if prompt.system else []
    question = Message("user", prompt.question)
    if prompt.earlier or parent is None:
        before, new = None, [*system, *prompt.earlier, question]
    else:
        before, new = _continued(connection, system, parent)
        new = [*new, question]
    key = messages.append(connection, before, new)
    assert key is not None
    return key


def _continued(
    connection: Connection, system: Sequence[Message], parent: Row[*tuple[Any, ...]]
) -> tuple[str | None, list[Message]]:
    """The message to go on from, and what has to be said anew after it."""
    last = parent.response_sha256 or parent.request_sha256
    if last is None:
        answered = [] if parent.answer is None else [Message("assistant", parent.answer)]
        return None, [*system, Message("user", parent.question), *answered]
    if messages.begins_with(connection, last, system):
        return last, []
    said = messages.thread(connection, last)
    return None, [*system, *(one for one in said if one.role != "system")]


def keep_question(
    connection: Connection, prompt_id: PromptId, question: QuestionVector | None
) -> None:
    """Put on record by which vector the prompt is found again."""
    if question is not None:
        # Imported here: only what embeds has numpy loaded.
        from storage.prompts.question_vectors import keep

        keep(connection, number_of(prompt_id), question)


def insert_evidence(
    connection: Connection, prompt_id: PromptId, evidence: Sequence[Evidence]
) -> None:
    """What was shown for an exchange."""
    rows = [
        {
            "prompt_id": prompt_id,
            "rank": shown.rank,
            "chunk_id": shown.chunk_id,
            "document_id": shown.document_id,
            "score": shown.score,
            "vector_rank": shown.vector_rank,
            "keyword_rank": shown.keyword_rank,
            "cited": shown.cited,
        }
        for shown in evidence
    ]
    if rows:
        change(connection, _NEW_EVIDENCE, rows)


def insert_citations(
    connection: Connection, prompt_id: PromptId, citations: Sequence[Citation]
) -> None:
    """What an answer rests on; the evidence that it cites is marked."""
    rows = [
        {
            "prompt_id": prompt_id,
            "ordinal": ordinal,
            "chunk_id": citation.chunk_id,
            "document_id": citation.document_id,
            "source": citation.source,
            "external_id": citation.external_id,
            "quote": citation.quote,
            "start_offset": citation.start,
            "end_offset": citation.end,
            "answer_start": citation.answer_start,
            "answer_end": citation.answer_end,
            "score": citation.score,
            "page": citation.page,
            "headings": [*citation.headings] or None,
            "origin": citation.origin.value,
        }
        for ordinal, citation in enumerate(citations)
    ]
    if rows:
        change(connection, _NEW_CITATIONS, rows)
        change(connection, _CITED, [{"of": prompt_id}])


def answered_message(connection: Connection, prompt_id: PromptId, answer: str) -> str | None:
    """The key of the answer among the messages; None if it is not known what it answers.

    Raises `InvalidRecordError` for an exchange that is not open.
    """
    asked = connection.execute(_ASKED, {"of": prompt_id}).first()
    if asked is None:
        raise _not_open(prompt_id)
    if asked.request_sha256 is None:
        return None
    return messages.append(connection, asked.request_sha256, [Message("assistant", answer)])


def end_prompt(connection: Connection, prompt_id: PromptId, **values: Any) -> Row[*tuple[Any, ...]]:
    """Complete a started exchange; what is to be counted of it.

    What has ended once is never written over.
    """
    if connection.dialect.name != "sqlite":
        # Tags that somebody else adds until now are seen only by a statement that begins after.
        connection.execute(_HELD, {"of": prompt_id})
    ended = connection.execute(_END, {"of": prompt_id, "completed_at": now(), **values}).first()
    if ended is None:
        raise _not_open(prompt_id)
    return ended


def _not_open(prompt_id: PromptId) -> InvalidRecordError:
    return InvalidRecordError(f"prompt {prompt_id!r} is not open, so it can't be completed")
