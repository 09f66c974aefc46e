"""Exchanges as JSON with nothing left out: a line for each, and back.

What is written is read back as it was, so that an export of what was imported into an empty home
has the same bytes. Only attachments stay behind: they are files of their own.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from rag_pipeline.history.errors import HistoryError
from storage.prompts.templates import StoredTemplate, TemplateText
from storage.prompts.whole import WholeExchange
from storage.records import (
    AnswerState,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Judge,
    Message,
    MessageRole,
    Origin,
    PromptRecord,
    PromptStatus,
    Score,
)

_LARGEST = 1e300
_NOT_CARRIED = ("request_sha256", "response_sha256", "template_id", "artifacts")
"""Keys that follow from the rest or mean something in one database only; and files."""


_Small = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_Large = Annotated[int, Field(gt=-(2**63), lt=2**63)]
_Hash = Annotated[str, Field(max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Evidence(_Strict):
    chunk_id: _Large
    document_id: _Large
    rank: _Small
    score: float
    vector_rank: _Small | None
    keyword_rank: _Small | None
    cited: bool


class _Citation(_Strict):
    quote: str
    source: str
    document_id: _Large
    external_id: str
    chunk_id: _Large
    start: _Small
    end: _Small
    answer_start: _Small
    answer_end: _Small
    score: float
    page: _Small | None
    headings: list[str]
    origin: Origin = Origin.REAL
    """Records of before it was said are of real documents."""


class _Score(_Strict):
    value: float | None
    metric: str
    judge: Judge
    user: str | None
    judge_name: str | None
    judge_version: str | None
    label: str | None
    comment: str | None
    correction: str | None
    created_at: AwareDatetime


class _Template(_Strict):
    name: str
    version: _Small
    system: str
    question: str
    lead_in: str
    created_at: AwareDatetime


class _Record(_Strict):
    """One line; each field as `PromptRecord` has it, but for those that say otherwise."""

    prompt_id: str
    parent_id: str | None
    session: str | None
    user: str
    question: str
    answer: str | None
    status: PromptStatus
    state: AnswerState | None
    error: str | None
    created_at: AwareDatetime
    completed_at: AwareDatetime | None
    collection: str
    generation: _Large
    model: str
    weights_sha256: _Hash
    template_sha256: _Hash
    rendered: str
    sampling: dict[str, Any]
    usage: dict[str, bool | _Large]
    timings: dict[str, int | float]
    evidence: list[_Evidence]
    citations: list[_Citation]
    standalone: str | None
    confidence: float | None
    checks: dict[str, Any] | None
    scores: list[_Score]
    circumstances: dict[str, Any] | None
    application: str | None
    category: str | None
    tags: list[str]
    idempotency_key: str | None
    seconds: float | None
    cost: float | None
    finish_reason: Literal["stop", "length"] | None
    note: str | None
    redacted_at: AwareDatetime | None
    messages: list[tuple[MessageRole, str]]
    """What was said up to its question, and its answer."""
    continues: bool
    """Whether the messages go on after those of the exchange that it follows."""
    generation_token: str | None
    template: _Template | None


def line_of(one: WholeExchange) -> bytes:
    """The exchange as a line of a file."""
    return json.dumps(_as_json(one), ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _as_json(one: WholeExchange) -> dict[str, Any]:
    whole = asdict(one.record)
    for name in _NOT_CARRIED:
        del whole[name]
    whole |= {
        "messages": [[message.role, message.content] for message in one.said],
        "continues": one.continues,
        "generation_token": one.token,
        "template": None if one.template is None else _template_json(one.template),
    }
    return {name: _plain(value) for name, value in whole.items()}


def _template_json(template: StoredTemplate) -> dict[str, Any]:
    about = {"name": template.name, "version": template.version, "created_at": template.created_at}
    return about | asdict(template.text)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


def read_record(text: str) -> WholeExchange:
    """What `line_of` wrote. Raises `HistoryError` saying what is wrong with it."""
    try:
        found = _Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise HistoryError(f"{where}: {first['msg']}" if where else str(first["msg"])) from error
    _check_numbers(found.model_dump())
    return _whole(found)


def _whole(found: _Record) -> WholeExchange:
    given = {name: getattr(found, name) for name in _Record.model_fields if name not in _ASIDE}
    record = PromptRecord(
        **given,
        evidence=tuple(_evidence(one) for one in found.evidence),
        citations=tuple(_citation(one) for one in found.citations),
        scores=tuple(Score(**one.model_dump()) for one in found.scores),
        tags=tuple(found.tags),
    )
    return WholeExchange(
        record=record,
        said=tuple(Message(role, content) for role, content in found.messages),
        continues=found.continues,
        token=found.generation_token,
        template=None if found.template is None else _template(found.template),
    )


_ASIDE = {
    "evidence",
    "citations",
    "scores",
    "tags",
    "messages",
    "continues",
    "generation_token",
    "template",
}


def _evidence(one: _Evidence) -> Evidence:
    keys = {"chunk_id": ChunkId(one.chunk_id), "document_id": DocumentId(one.document_id)}
    return Evidence(**(one.model_dump() | keys))


def _citation(one: _Citation) -> Citation:
    return Citation(**(one.model_dump() | {"headings": tuple(one.headings)}))


def _template(one: _Template) -> StoredTemplate:
    text = TemplateText(system=one.system, question=one.question, lead_in=one.lead_in)
    return StoredTemplate(
        template_id=0,
        name=one.name,
        version=one.version,
        text=text,
        sha256=text.sha256,
        created_at=one.created_at,
    )


def _check_numbers(value: Any) -> None:
    """JSON has no infinity, but a number may be as large."""
    is_number = isinstance(value, int | float)
    if is_number and not -_LARGEST < value < _LARGEST:
        raise HistoryError("it has a number that is too large, or none")
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(parts, str | bytes) or not hasattr(parts, "__iter__"):
        return
    for part in parts:
        _check_numbers(part)
