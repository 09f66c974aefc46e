"""Table of erasures: what was asked to be forgotten, how far that came, and the proof of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, Table

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

    erasure_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    subject_sha256: Mapped[str] = mapped_column(String(64))
    """Of the salt and what was to be forgotten: who knows the one can check the other."""
    salt: Mapped[str] = mapped_column(String(32))
    requested_by: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    plan: Mapped[dict[str, Any] | None]
    """Keys of the rows that go, and hashes to look for afterwards; empty once all is done."""
    done: Mapped[dict[str, Any]]
    """Steps that are done, each with what it counted."""
    generation: Mapped[int | None] = mapped_column(BigKey)
    """In which its rows went: an index that passes it drops what it no longer needs."""
    certificate: Mapped[dict[str, Any] | None]
