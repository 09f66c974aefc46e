"""Table of erasures: what was asked to be forgotten, how far that came, and the proof of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String

from storage.models.base import BigKey, Column, JsonValue, Table, UtcDateTime

KINDS = ("user", "session", "document", "source", "prune", "redact", "record")


class ErasureRow(Table):
    """One erasure. It never holds what it erases: its subject only as a salted hash."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(map(repr, KINDS))})", name="kind"),
        CheckConstraint(
            "completed_at IS NULL OR (plan IS NULL AND certificate IS NOT NULL)",
            name="completed_is_certified",
        ),
        Index("ix_erasures_generation", "generation"),
    )

    erasure_id: Column[int] = Column(BigKey, primary_key=True)
    kind: Column[str] = Column(String(8))
    subject_sha256: Column[str] = Column(String(64))
    """Of the salt and what was to be forgotten: who knows the one can check the other."""
    salt: Column[str] = Column(String(32))
    requested_by: Column[str] = Column(String(200))
    started_at: Column[datetime] = Column(UtcDateTime)
    completed_at: Column[datetime | None] = Column(UtcDateTime)
    plan: Column[dict[str, Any] | None] = Column(JsonValue)
    """Keys of the rows that go, and hashes to look for afterwards; empty once all is done."""
    done: Column[dict[str, Any]] = Column(JsonValue)
    """Steps that are done, each with what it counted."""
    generation: Column[int | None] = Column(BigKey)
    """In which its rows went: an index that passes it drops what it no longer needs."""
    certificate: Column[dict[str, Any] | None] = Column(JsonValue)
