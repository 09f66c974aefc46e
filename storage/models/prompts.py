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
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, JsonValue, Table

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
            postgresql_where=_HAS_KEY,
        ),
        Index(
            "ix_prompts_open",
            "created_at",
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
        Index("ix_prompts_request", "request_sha256"),
        Index("ix_prompts_response", "response_sha256"),
    )

    prompt_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("prompts.prompt_id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.session_id"))
    collection: Mapped[str] = mapped_column(String(200))
    generation: Mapped[int] = mapped_column(BigKey)
    question: Mapped[str] = mapped_column(Text)
    standalone: Mapped[str | None] = mapped_column(Text)
    """The question as it was searched for, where that is not as it was asked."""
    rendered: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    template_sha256: Mapped[str] = mapped_column(String(64))
    sampling: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(9))
    answer: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(String(11))
    confidence: Mapped[float | None] = mapped_column(Double)
    """The chance that the answer is right, from 0 to 1, as its calibration has it."""
    checks: Mapped[dict[str, Any] | None]
    """What was found in the passages that is no evidence, and what was taken out of the answer."""
    error: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[dict[str, Any] | None]
    timings: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    number: Mapped[int] = mapped_column(BigKey, server_default="0")
    """The id as a whole number, in order of time: `storage.history.number_of`."""
    application: Mapped[str | None] = mapped_column(String(200))
    """The program that asked, as it calls itself."""
    category: Mapped[str | None] = mapped_column(String(200))
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    """What the caller gave, so that a request sent twice is one exchange."""
    request_sha256: Mapped[str | None] = mapped_column(String(64))
    """The last message that was sent; what stands before it are its parents."""
    response_sha256: Mapped[str | None] = mapped_column(String(64))
    template_id: Mapped[int | None] = mapped_column(BigKey)
    """None: the template that this program came with, by its hash."""
    seconds: Mapped[float | None] = mapped_column(Double)
    """From the question to the end."""
    cost: Mapped[float | None] = mapped_column(Double)
    """By the table of prices that held then; None where the model has no price."""
    finish_reason: Mapped[str | None] = mapped_column(String(6))
    """"length": the model was cut by a limit on tokens; else "stop"."""
    note: Mapped[str | None] = mapped_column(Text)
    """What its reader was told of how the answer was made."""
    circumstances: Mapped[dict[str, Any] | None]
    """For whom, by which settings, behind which fence: what it takes to ask it again."""
    redacted_at: Mapped[datetime | None]
    """When something of it was taken out for good; None: it is as it was recorded."""


class MessageRow(Table):
    """A message under the hash of itself and all before it: what many conversations begin with is
    stored once."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),
        Index("ix_messages_parent", "parent_sha256"),
    )

    message_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    parent_sha256: Mapped[str | None] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(9))
    content: Mapped[str] = mapped_column(Text)


class PromptTagRow(Table):
    """A word under which people find an exchange again."""

    __tablename__ = "prompt_tags"
    __table_args__ = (Index("ix_prompt_tags_tag", "tag", "prompt_id"), {"sqlite_with_rowid": False})

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(200), primary_key=True)


class TemplateRow(Table):
    """One version of a named prompt template. Versions are added, never changed."""

    __tablename__ = "prompt_templates"
    __table_args__ = (UniqueConstraint("name", "version"),)

    template_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]
    system: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    """The turn of whoever asks, with {text} and {question} where those go."""
    lead_in: Mapped[str] = mapped_column(Text)
    """How the answer is begun for the model."""
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class PromptArtifactRow(Table):
    """Something that came with a question, or that was made for its answer."""

    __tablename__ = "prompt_artifacts"
    __table_args__ = (
        CheckConstraint("role IN ('attachment', 'output')", name="role"),
        Index("ix_prompt_artifacts_artifact_id", "artifact_id"),
    )

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), primary_key=True)
    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifacts.artifact_id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(10))


class EvidenceRow(Table):
    """A chunk version that was shown to the model. Chunk keys are never reused, so the key names
    exactly one text for good, also after that text was forgotten."""

    __tablename__ = "prompt_evidence"

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk_id: Mapped[int] = mapped_column(BigKey, index=True)
    document_id: Mapped[int] = mapped_column(BigKey, index=True)
    score: Mapped[float]
    vector_rank: Mapped[int | None]
    keyword_rank: Mapped[int | None]
    cited: Mapped[bool]


class CitationRow(Table):
    """A verified span that an answer rests on."""

    __tablename__ = "citations"
    __table_args__ = (
        CheckConstraint(
            "start_offset >= 0 AND end_offset > start_offset AND answer_end >= answer_start",
            name="spans",
        ),
    )

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk_id: Mapped[int] = mapped_column(BigKey)
    document_id: Mapped[int] = mapped_column(BigKey, index=True)
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    quote: Mapped[str] = mapped_column(Text)
    start_offset: Mapped[int]
    end_offset: Mapped[int]
    answer_start: Mapped[int]
    answer_end: Mapped[int]
    score: Mapped[float]
    page: Mapped[int | None]
    headings: Mapped[list[str] | None] = mapped_column(JsonValue)
    """Kept here, as the quote is: a text may be divided anew, or be forgotten."""
    origin: Mapped[str] = mapped_column(String(9), server_default="real")


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

    score_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), index=True)
    judge: Mapped[str] = mapped_column(String(9), server_default="human")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id"))
    """Of a human judge."""
    judge_name: Mapped[str | None] = mapped_column(String(200))
    """Of an automatic judge."""
    judge_version: Mapped[str | None] = mapped_column(String(200))
    metric: Mapped[str] = mapped_column(String(200))
    value: Mapped[float | None] = mapped_column(Double)
    label: Mapped[str | None] = mapped_column(String(200))
    """A word for what is right or wrong with it."""
    comment: Mapped[str | None] = mapped_column(Text)
    correction: Mapped[str | None] = mapped_column(Text)
    """What the answer should have been."""
    created_at: Mapped[datetime]
