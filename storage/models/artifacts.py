"""Table of artifacts: outputs and weights, kept in the database, in a file, or elsewhere."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, Text, UniqueConstraint

from storage.models.base import BigKey, Column, Table, UtcDateTime


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

    artifact_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(200))
    version: Column[int]
    media_type: Column[str] = Column(String(200))
    sha256: Column[str] = Column(String(64))
    size_bytes: Column[int] = Column(BigKey)
    storage: Column[str] = Column(String(4))
    content: Column[bytes | None] = Column(LargeBinary)
    location: Column[str | None] = Column(Text)
    created_at: Column[datetime] = Column(UtcDateTime)
