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
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, Table

_ACTIVE = text("state = 'active'")


class BlobPieceRow(Table):
    """A piece of some bytes, under the SHA-256 of all of them: what two versions have in common is
    stored once, and no more than a piece of it is ever held in memory."""

    __tablename__ = "blob_pieces"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class DatasetVersionRow(Table):
    """One version of a named data set. What it says of its content is never changed."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("version >= 1", name="version"),
    )

    dataset_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64))
    """Of its file, of the list of its files, or of the lines of a snapshot."""
    manifest: Mapped[dict[str, Any]]
    """How it was made: filters, counts, splits, seed, generation."""
    members_sha256: Mapped[str | None] = mapped_column(String(64))
    """The blob that lists what is in it, compressed; None where that was not recorded."""
    location: Mapped[str | None] = mapped_column(Text)
    """Where its file lies; None: all of it is in the database."""
    about: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


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
            postgresql_where=_ACTIVE,
        ),
    )

    model_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(9))
    base: Mapped[str | None] = mapped_column(Text)
    """The model that it was made of, as settings name it."""
    storage: Mapped[str] = mapped_column(String(4))
    location: Mapped[str | None] = mapped_column(Text)
    files: Mapped[dict[str, Any]]
    """SHA-256 and size in bytes of each file, by its path: `{path: [sha256, size]}`."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Over all files."""
    weights_sha256: Mapped[str] = mapped_column(String(64))
    """Over the files of weights, as the history names it."""
    parameters: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    seed: Mapped[int | None] = mapped_column(BigKey)
    code_version: Mapped[str] = mapped_column(String(100))
    """Of the program that registered it."""
    state: Mapped[str] = mapped_column(String(7))
    created_at: Mapped[datetime]


class ModelDatasetRow(Table):
    """A data set that a model was trained on, or measured on."""

    __tablename__ = "model_datasets"
    __table_args__ = (
        CheckConstraint("role IN ('trained_on', 'evaluated_on')", name="role"),
        Index("ix_model_datasets_dataset", "dataset_id"),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey("model_versions.model_id"), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("dataset_versions.dataset_id"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(12), primary_key=True)


class ModelActivationRow(Table):
    """That a version became the active one of its name. Rows are only added; the newest of a name
    is in force."""

    __tablename__ = "model_activations"
    __table_args__ = (
        CheckConstraint("action IN ('activate', 'rollback', 'retire')", name="action"),
        Index("ix_model_activations_name", "name", "activation_id"),
    )

    activation_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.model_id"))
    """None: since then no version is active."""
    before_id: Mapped[int | None] = mapped_column(ForeignKey("model_activations.activation_id"))
    """The activation that a rollback from here goes back to."""
    action: Mapped[str] = mapped_column(String(8))
    user_name: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
