"""Table of artifacts: outputs and weights, kept in the database, in a file, or elsewhere."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, Table


class ArtifactRow(Table):
    """One version of a named artifact, always with the SHA-256 of its bytes."""

    __tablename__ = "artifacts"
    __table_args__ = (
        CheckConstraint(
            "(storage = 'blob' AND content IS NOT NULL AND location IS NULL)"
            " OR (storage IN ('file', 'link') AND content IS NULL AND location IS NOT NULL)",
            name="one_place",
        ),
        UniqueConstraint("name", "version"),
    )

    artifact_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]
    media_type: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigKey)
    storage: Mapped[str] = mapped_column(String(4))
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    location: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
