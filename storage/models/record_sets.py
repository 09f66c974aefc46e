"""Tables of record sets: records of one schema, real and synthetic, batch by batch.

A record is never changed: triggers refuse it, and the origin of a batch with it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)

from storage.models.base import BigKey, Column, JsonValue, Table, UtcDateTime

SYNTHETIC_NAMES_ITS_GENERATOR = (
    "(origin = 'real' AND generator_id IS NULL)"
    " OR (origin = 'synthetic' AND generator_id IS NOT NULL AND generator_id <> '')"
)
"""Invariant 5, as the database checks it."""
_REAL = text("origin = 'real'")
_HAS_KEY = text("key_sha256 IS NOT NULL")


class RecordSetRow(Table, sqlite_autoincrement=True):
    """A named set of records of one schema."""

    __tablename__ = "record_sets"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("holdout >= 0 AND holdout <= 10000", name="holdout"),
    )

    set_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(100))
    columns: Column[list[Any]] = Column(JsonValue)
    """Of the schema, in order, as JSON objects with at least `name` and `kind`."""
    constraints: Column[list[Any]] = Column(JsonValue)
    """What each record has to fulfil, as whoever checks it writes it."""
    about: Column[dict[str, Any]] = Column(JsonValue)
    holdout: Column[int]
    """How many of the 10,000 drawers that rows are hashed into are held out."""
    created_at: Column[datetime] = Column(UtcDateTime)


class RecordBatchRow(Table, sqlite_autoincrement=True):
    """Records that came together: one load, or one sampling, whether it was let in or refused."""

    __tablename__ = "record_batches"
    __table_args__ = (
        CheckConstraint(SYNTHETIC_NAMES_ITS_GENERATOR, name="synthetic_names_its_generator"),
        CheckConstraint(
            "origin = 'real' OR (model_id IS NOT NULL AND weights_sha256 IS NOT NULL"
            " AND source_sha256 IS NOT NULL AND seed IS NOT NULL AND verdict IS NOT NULL"
            " AND report IS NOT NULL)",
            name="synthetic_says_where_from",
        ),
        CheckConstraint(
            "(origin = 'real') = (verdict IS NULL)"
            " AND (verdict IS NULL OR verdict IN ('passed', 'unreviewed', 'refused'))",
            name="verdict",
        ),
        CheckConstraint(
            "records >= 0 AND (verdict IS NULL OR verdict <> 'refused' OR records = 0)",
            name="refused_has_no_records",
        ),
        # What records refer to, so that theirs can't differ from it.
        UniqueConstraint("batch_id", "set_id", "origin"),
        Index(
            "uq_record_batches_load",
            "set_id",
            "sha256",
            unique=True,
            sqlite_where=_REAL,
            info={"postgresql_where": _REAL},
        ),
        Index("ix_record_batches_set_id", "set_id"),
        Index("ix_record_batches_model_id", "model_id"),
    )

    batch_id: Column[int] = Column(BigKey, primary_key=True)
    set_id: Column[int] = Column(BigKey, ForeignKey("record_sets.set_id"))
    origin: Column[str] = Column(String(9))
    generator_id: Column[str | None] = Column(String(200))
    records: Column[int]
    sha256: Column[str] = Column(String(64))
    """Over the schema and all records in their order."""
    source: Column[str | None] = Column(Text)
    """Where real records were read from."""
    dataset_id: Column[int | None] = Column(BigKey, ForeignKey("dataset_versions.dataset_id"))
    """All that was real in the set once these records were in it."""
    model_id: Column[int | None] = Column(BigKey, ForeignKey("model_versions.model_id"))
    weights_sha256: Column[str | None] = Column(String(64))
    source_sha256: Column[str | None] = Column(String(64))
    """Of the data set version that the model learnt from."""
    seed: Column[int | None] = Column(BigKey)
    conditions: Column[dict[str, Any] | None] = Column(JsonValue)
    sampling: Column[dict[str, Any] | None] = Column(JsonValue)
    verdict: Column[str | None] = Column(String(10))
    thresholds: Column[dict[str, Any] | None] = Column(JsonValue)
    report: Column[dict[str, Any] | None] = Column(JsonValue)
    code_version: Column[str] = Column(String(100))
    created_by: Column[str] = Column(String(200))
    created_at: Column[datetime] = Column(UtcDateTime)


class RecordRow(Table):
    """One record. Real if and only if it names no generator, whatever its batch says."""

    __tablename__ = "records"
    __table_args__ = (
        CheckConstraint(SYNTHETIC_NAMES_ITS_GENERATOR, name="synthetic_names_its_generator"),
        CheckConstraint("(origin = 'real') = (seed IS NULL)", name="synthetic_names_its_seed"),
        ForeignKeyConstraint(
            ["batch_id", "set_id", "origin"],
            ["record_batches.batch_id", "record_batches.set_id", "record_batches.origin"],
        ),
        Index(
            "uq_records_key",
            "set_id",
            "key_sha256",
            unique=True,
            sqlite_where=_HAS_KEY,
            info={"postgresql_where": _HAS_KEY},
        ),
    )

    batch_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    position: Column[int] = Column(primary_key=True, autoincrement=False)
    """From 0, in its batch."""
    set_id: Column[int] = Column(BigKey)
    origin: Column[str] = Column(String(9))
    generator_id: Column[str | None] = Column(String(200))
    seed: Column[int | None] = Column(BigKey)
    drawer: Column[int]
    """0 to 9,999, by a hash of its key, or of content and place: which split it belongs to."""
    key_sha256: Column[str | None] = Column(String(64))
    """Of the columns that are keys; None where the schema has none."""
    content: Column[str] = Column(Text)
    """Its values in the order of the columns, as a JSON array; of an image, the SHA-256."""


class RecordImageRow(Table):
    """The PNG of an image that a record shows, once."""

    __tablename__ = "record_images"

    sha256: Column[str] = Column(String(64), primary_key=True)
    content: Column[bytes] = Column(LargeBinary)


class RecordBatchImageRow(Table):
    """That a batch has records that show an image: which one may go with it."""

    __tablename__ = "record_batch_images"
    __table_args__ = (Index("ix_record_batch_images_sha256", "sha256"),)

    batch_id: Column[int] = Column(
        BigKey,
        ForeignKey("record_batches.batch_id"),
        primary_key=True,
    )
    sha256: Column[str] = Column(String(64), ForeignKey("record_images.sha256"), primary_key=True)
