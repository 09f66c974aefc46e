"""Tables of versions: data sets and models, what each comes from, and which one is used."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)

from storage.models.base import BigKey, Column, JsonValue, Table, UtcDateTime

_ACTIVE = text("state = 'active'")


class BlobPieceRow(Table):
    """A piece of some bytes, under the SHA-256 of all of them: what two versions have in common is
    stored once, and no more than a piece of it is ever held in memory."""

    __tablename__ = "blob_pieces"

    sha256: Column[str] = Column(String(64), primary_key=True)
    ordinal: Column[int] = Column(primary_key=True, autoincrement=False)
    content: Column[bytes] = Column(LargeBinary)


class DatasetVersionRow(Table):
    """One version of a named data set. What it says of its content is never changed."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("version >= 1", name="version"),
    )

    dataset_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(100))
    version: Column[int]
    kind: Column[str] = Column(String(40))
    sha256: Column[str] = Column(String(64))
    """Of its file, of the list of its files, or of the lines of a snapshot."""
    manifest: Column[dict[str, Any]] = Column(JsonValue)
    """How it was made: filters, counts, splits, seed, generation."""
    members_sha256: Column[str | None] = Column(String(64))
    """The blob that lists what is in it, compressed; None where that was not recorded."""
    location: Column[str | None] = Column(Text)
    """Where its file lies; None: all of it is in the database."""
    about: Column[dict[str, Any]] = Column(JsonValue)
    created_at: Column[datetime] = Column(UtcDateTime)


class ModelVersionRow(Table):
    """One version of a named model. Only its state ever changes."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(
            "kind IN ('embedder', 'generator', 'reranker', 'reward', 'synthetic')", name="kind"
        ),
        CheckConstraint("state IN ('kept', 'active', 'retired')", name="state"),
        CheckConstraint(
            "(storage IN ('blob', 'file') AND location IS NULL)"
            " OR (storage = 'link' AND location IS NOT NULL)",
            name="one_place",
        ),
        Index(
            "uq_model_versions_active",
            "name",
            unique=True,
            sqlite_where=_ACTIVE,
            info={"postgresql_where": _ACTIVE},
        ),
    )

    model_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(100))
    version: Column[int]
    kind: Column[str] = Column(String(9))
    base: Column[str | None] = Column(Text)
    """The model that it was made of, as settings name it."""
    storage: Column[str] = Column(String(4))
    location: Column[str | None] = Column(Text)
    files: Column[dict[str, Any]] = Column(JsonValue)
    """SHA-256 and size in bytes of each file, by its path: `{path: [sha256, size]}`."""
    sha256: Column[str] = Column(String(64))
    """Over all files."""
    weights_sha256: Column[str] = Column(String(64))
    """Over the files of weights, as the history names it."""
    parameters: Column[dict[str, Any]] = Column(JsonValue)
    metrics: Column[dict[str, Any]] = Column(JsonValue)
    seed: Column[int | None] = Column(BigKey)
    code_version: Column[str] = Column(String(100))
    """Of the program that registered it."""
    state: Column[str] = Column(String(7))
    created_at: Column[datetime] = Column(UtcDateTime)


class ModelDatasetRow(Table):
    """A data set that a model was trained on, or measured on."""

    __tablename__ = "model_datasets"
    __table_args__ = (
        CheckConstraint("role IN ('trained_on', 'evaluated_on')", name="role"),
        Index("ix_model_datasets_dataset", "dataset_id"),
    )

    model_id: Column[int] = Column(
        BigKey,
        ForeignKey("model_versions.model_id"),
        primary_key=True,
    )
    dataset_id: Column[int] = Column(
        BigKey, ForeignKey("dataset_versions.dataset_id"), primary_key=True
    )
    role: Column[str] = Column(String(12), primary_key=True)


class ModelActivationRow(Table):
    """That a version became the active one of its name. Rows are only added; the newest of a name
    is in force."""

    __tablename__ = "model_activations"
    __table_args__ = (
        CheckConstraint("action IN ('activate', 'rollback', 'retire')", name="action"),
        Index("ix_model_activations_name", "name", "activation_id"),
    )

    activation_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(100))
    model_id: Column[int | None] = Column(BigKey, ForeignKey("model_versions.model_id"))
    """None: since then no version is active."""
    before_id: Column[int | None] = Column(BigKey, ForeignKey("model_activations.activation_id"))
    """The activation that a rollback from here goes back to."""
    action: Column[str] = Column(String(8))
    user_name: Column[str] = Column(String(200))
    reason: Column[str] = Column(Text)
    created_at: Column[datetime] = Column(UtcDateTime)
