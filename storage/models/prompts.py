"""Tables of what was asked and answered, and from which evidence."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, JsonValue, Table


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


class ScoreRow(Table):
    """What somebody says of an answer. Rows are only added: the newest of a user counts."""

    __tablename__ = "prompt_scores"
    __table_args__ = (CheckConstraint("value >= 0 AND value <= 1", name="value"),)

    score_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"))
    metric: Mapped[str] = mapped_column(String(200))
    value: Mapped[float] = mapped_column(Double)
    comment: Mapped[str | None] = mapped_column(Text)
    correction: Mapped[str | None] = mapped_column(Text)
    """What the answer should have been."""
    created_at: Mapped[datetime]
