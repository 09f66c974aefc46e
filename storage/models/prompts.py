"""Tables of what was asked and answered, and from which evidence."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)

from storage.models.base import BigKey, Column, JsonValue, Table, UtcDateTime

_HAS_KEY = text("idempotency_key IS NOT NULL")
IS_OPEN = text("status = 'started'")
"""As text: SQLite looks into an index of a part only where a statement names that very part."""


class PromptRow(Table):
    """One exchange: written before the model is called, completed after.

    A row that stays "started" is what a crash leaves behind.
    """

    __tablename__ = "prompts"
    __table_args__ = (
        CheckConstraint("status IN ('started', 'completed', 'failed', 'cancelled')", name="status"),
        CheckConstraint("state IN ('grounded', 'partial', 'no_evidence')", name="state"),
        CheckConstraint(
            "status <> 'completed' OR (answer IS NOT NULL AND state IS NOT NULL)",
            name="completed_has_answer",
        ),
        Index("ix_prompts_created", "created_at", "prompt_id"),
        Index("ix_prompts_user", "user_id", "created_at"),
        Index("ix_prompts_session", "session_id", "created_at"),
        Index("ix_prompts_parent", "parent_id"),
        Index("uq_prompts_number", "number", unique=True),
        Index(
            "uq_prompts_idempotency_key",
            "user_id",
            "idempotency_key",
            unique=True,
            sqlite_where=_HAS_KEY,
            info={"postgresql_where": _HAS_KEY},
        ),
        Index(
            "ix_prompts_open",
            "created_at",
            sqlite_where=IS_OPEN,
            info={"postgresql_where": IS_OPEN},
        ),
        Index("ix_prompts_request", "request_sha256"),
        Index("ix_prompts_response", "response_sha256"),
    )

    prompt_id: Column[str] = Column(String(32), primary_key=True)
    parent_id: Column[str | None] = Column(String(32), ForeignKey("prompts.prompt_id"))
    user_id: Column[int] = Column(BigKey, ForeignKey("users.user_id"))
    session_id: Column[int | None] = Column(BigKey, ForeignKey("sessions.session_id"))
    collection: Column[str] = Column(String(200))
    generation: Column[int] = Column(BigKey)
    question: Column[str] = Column(Text)
    standalone: Column[str | None] = Column(Text)
    """The question as it was searched for, where that is not as it was asked."""
    rendered: Column[str] = Column(Text)
    model: Column[str] = Column(Text)
    weights_sha256: Column[str] = Column(String(64))
    template_sha256: Column[str] = Column(String(64))
    sampling: Column[dict[str, Any]] = Column(JsonValue)
    status: Column[str] = Column(String(9))
    answer: Column[str | None] = Column(Text)
    state: Column[str | None] = Column(String(11))
    confidence: Column[float | None] = Column(Double)
    """The chance that the answer is right, from 0 to 1, as its calibration has it."""
    checks: Column[dict[str, Any] | None] = Column(JsonValue)
    """What was found in the passages that is no evidence, and what was taken out of the answer."""
    error: Column[str | None] = Column(Text)
    usage: Column[dict[str, Any] | None] = Column(JsonValue)
    timings: Column[dict[str, Any] | None] = Column(JsonValue)
    created_at: Column[datetime] = Column(UtcDateTime)
    completed_at: Column[datetime | None] = Column(UtcDateTime)
    number: Column[int] = Column(BigKey, server_default="0")
    """The id as a whole number, in order of time: `storage.history.number_of`."""
    application: Column[str | None] = Column(String(200))
    """The program that asked, as it calls itself."""
    category: Column[str | None] = Column(String(200))
    idempotency_key: Column[str | None] = Column(String(200))
    """What the caller gave, so that a request sent twice is one exchange."""
    request_sha256: Column[str | None] = Column(String(64))
    """The last message that was sent; what stands before it are its parents."""
    response_sha256: Column[str | None] = Column(String(64))
    template_id: Column[int | None] = Column(BigKey)
    """None: the template that this program came with, by its hash."""
    seconds: Column[float | None] = Column(Double)
    """From the question to the end."""
    cost: Column[float | None] = Column(Double)
    """By the table of prices that held then; None where the model has no price."""
    finish_reason: Column[str | None] = Column(String(6))
    """"length": the model was cut by a limit on tokens; else "stop"."""
    note: Column[str | None] = Column(Text)
    """What its reader was told of how the answer was made."""
    circumstances: Column[dict[str, Any] | None] = Column(JsonValue)
    """For whom, by which settings, behind which fence: what it takes to ask it again."""
    redacted_at: Column[datetime | None] = Column(UtcDateTime)
    """When something of it was taken out for good; None: it is as it was recorded."""


class MessageRow(Table):
    """A message under the hash of itself and all before it: what many conversations begin with is
    stored once."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),
        Index("ix_messages_parent", "parent_sha256"),
    )

    message_sha256: Column[str] = Column(String(64), primary_key=True)
    parent_sha256: Column[str | None] = Column(String(64))
    role: Column[str] = Column(String(9))
    content: Column[str] = Column(Text)


class PromptTagRow(Table, sqlite_with_rowid=False):
    """A word under which people find an exchange again."""

    __tablename__ = "prompt_tags"
    __table_args__ = (Index("ix_prompt_tags_tag", "tag", "prompt_id"),)

    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), primary_key=True)
    tag: Column[str] = Column(String(200), primary_key=True)


class TemplateRow(Table):
    """One version of a named prompt template. Versions are added, never changed."""

    __tablename__ = "prompt_templates"
    __table_args__ = (UniqueConstraint("name", "version"),)

    template_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(200))
    version: Column[int]
    system: Column[str] = Column(Text)
    question: Column[str] = Column(Text)
    """The turn of whoever asks, with {text} and {question} where those go."""
    lead_in: Column[str] = Column(Text)
    """How the answer is begun for the model."""
    sha256: Column[str] = Column(String(64))
    created_at: Column[datetime] = Column(UtcDateTime)


class PromptArtifactRow(Table):
    """Something that came with a question, or that was made for its answer."""

    __tablename__ = "prompt_artifacts"
    __table_args__ = (
        CheckConstraint("role IN ('attachment', 'output')", name="role"),
        Index("ix_prompt_artifacts_artifact_id", "artifact_id"),
    )

    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), primary_key=True)
    artifact_id: Column[int] = Column(
        BigKey,
        ForeignKey("artifacts.artifact_id"),
        primary_key=True,
    )
    role: Column[str] = Column(String(10))


class EvidenceRow(Table):
    """A chunk version that was shown to the model. Chunk keys are never reused, so the key names
    exactly one text for good, also after that text was forgotten."""

    __tablename__ = "prompt_evidence"

    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), primary_key=True)
    rank: Column[int] = Column(primary_key=True, autoincrement=False)
    chunk_id: Column[int] = Column(BigKey, index=True)
    document_id: Column[int] = Column(BigKey, index=True)
    score: Column[float]
    vector_rank: Column[int | None]
    keyword_rank: Column[int | None]
    cited: Column[bool]


class CitationRow(Table):
    """A verified span that an answer rests on."""

    __tablename__ = "citations"
    __table_args__ = (
        CheckConstraint(
            "start_offset >= 0 AND end_offset > start_offset AND answer_end >= answer_start",
            name="spans",
        ),
    )

    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), primary_key=True)
    ordinal: Column[int] = Column(primary_key=True, autoincrement=False)
    chunk_id: Column[int] = Column(BigKey)
    document_id: Column[int] = Column(BigKey, index=True)
    source: Column[str] = Column(Text)
    external_id: Column[str] = Column(Text)
    quote: Column[str] = Column(Text)
    start_offset: Column[int]
    end_offset: Column[int]
    answer_start: Column[int]
    answer_end: Column[int]
    score: Column[float]
    page: Column[int | None]
    headings: Column[list[str] | None] = Column(JsonValue)
    """Kept here, as the quote is: a text may be divided anew, or be forgotten."""
    origin: Column[str] = Column(String(9), server_default="real")


class ScoreRow(Table):
    """What somebody, or a rule, says of an answer. Rows are only added: of each judge, what was
    said last of a metric counts."""

    __tablename__ = "prompt_scores"
    __table_args__ = (
        CheckConstraint("value >= 0 AND value <= 1", name="value"),
        CheckConstraint("judge IN ('human', 'automatic')", name="judge"),
        CheckConstraint(
            "(judge = 'human') = (user_id IS NOT NULL)"
            " AND (judge = 'automatic') = (judge_name IS NOT NULL)"
            " AND (judge_name IS NULL) = (judge_version IS NULL)",
            name="judged_by",
        ),
        CheckConstraint(
            "value IS NOT NULL OR label IS NOT NULL"
            " OR comment IS NOT NULL OR correction IS NOT NULL",
            name="says_something",
        ),
    )

    score_id: Column[int] = Column(BigKey, primary_key=True)
    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), index=True)
    judge: Column[str] = Column(String(9), server_default="human")
    user_id: Column[int | None] = Column(BigKey, ForeignKey("users.user_id"))
    """Of a human judge."""
    judge_name: Column[str | None] = Column(String(200))
    """Of an automatic judge."""
    judge_version: Column[str | None] = Column(String(200))
    metric: Column[str] = Column(String(200))
    value: Column[float | None] = Column(Double)
    label: Column[str | None] = Column(String(200))
    """A word for what is right or wrong with it."""
    comment: Column[str | None] = Column(Text)
    correction: Column[str | None] = Column(Text)
    """What the answer should have been."""
    created_at: Column[datetime] = Column(UtcDateTime)
