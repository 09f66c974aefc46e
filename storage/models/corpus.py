"""Tables of what is known: collections, documents, sources, chunks, and their history.

Every versioned row says from which generation on it holds, and up to which (None: still).
Rows are never changed, only closed; `forget` and compaction are what really remove them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, ByteOrdered, JsonValue, Table

_LIVE = text("to_generation IS NULL")
_LIKE_ANOTHER = text("to_generation IS NULL AND near_sha256 IS NOT NULL")


class CorpusStateRow(Table):
    """One row: where the corpus stands, who may write, and the next free keys.

    Keys are handed out here, under the writer's lease, so that none is ever used twice: an index
    that missed a removal could otherwise show a new chunk under an old key.
    """

    __tablename__ = "corpus_state"
    __table_args__ = (CheckConstraint("state_id = 1", name="single_row"),)

    state_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigKey)
    held_at: Mapped[int | None] = mapped_column(BigKey)
    """The generation that is served while a quality gate holds later ones back."""
    fence: Mapped[int] = mapped_column(BigKey)
    """Counts the writers; a writer whose number is not the last can't commit."""
    next_document_id: Mapped[int] = mapped_column(BigKey)
    next_source_id: Mapped[int] = mapped_column(BigKey)
    next_chunk_id: Mapped[int] = mapped_column(BigKey)


class RunRow(Table):
    """One ingest run. A run without an end was killed, or is still at work."""

    __tablename__ = "ingest_runs"

    run_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.collection_id"))
    source_name: Mapped[str | None] = mapped_column(String(200))
    """The declared source that was synchronised; None for paths named by hand."""
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any] | None]


class GenerationRow(Table):
    """One COMMIT of the corpus."""

    __tablename__ = "generations"

    generation: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    token: Mapped[str] = mapped_column(String(32))
    committed_at: Mapped[datetime]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("ingest_runs.run_id"))


class CollectionRow(Table):
    """A set of documents in one embedding space (its four columns are empty, or none is)."""

    __tablename__ = "collections"

    collection_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    space_model: Mapped[str | None] = mapped_column(Text)
    space_weights_sha256: Mapped[str | None] = mapped_column(String(64))
    space_dimension: Mapped[int | None]
    space_normalised: Mapped[bool | None]
    retrieval: Mapped[dict[str, Any] | None]
    """Settings of retrieval that were fitted to this collection; None: the defaults."""
    answering: Mapped[dict[str, Any] | None]
    """How far its answers can be trusted, as it was measured; None: the defaults."""


class CollectionLabelRow(Table):
    """A label that a reader must carry one of, to know of a collection. No label: anybody may."""

    __tablename__ = "collection_labels"

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("collections.collection_id"), primary_key=True
    )
    label: Mapped[str] = mapped_column(String(200), primary_key=True)


class DocumentRow(Table):
    """A text, stored once in its collection, however many sources have it."""

    __tablename__ = "documents"
    __table_args__ = (
        Index(
            "uq_documents_live_content",
            "collection_id",
            "content_sha256",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index(
            "ix_documents_near",
            "collection_id",
            "near_sha256",
            sqlite_where=_LIKE_ANOTHER,
            postgresql_where=_LIKE_ANOTHER,
        ),
        CheckConstraint(
            "(near_sha256 IS NULL) = (similarity IS NULL)"
            " AND (near_sha256 IS NOT NULL OR NOT is_held_back)",
            name="near_is_whole",
        ),
        Index("ix_documents_language", "collection_id", "language", "document_id"),
    )

    document_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.collection_id"))
    content_sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Hash of what cut and embedded it: chunker, embedder, and their settings."""
    title: Mapped[str] = mapped_column(Text)
    """What its chunks were embedded and indexed with: the title that one of its sources gives."""
    text: Mapped[str] = mapped_column(Text)
    outline: Mapped[list[Any] | None] = mapped_column(JsonValue)
    """Its headings and pages, in the form of `storage.outline`; None where it has none."""
    language: Mapped[str | None] = mapped_column(String(16))
    suspicions: Mapped[list[Any] | None] = mapped_column(JsonValue)
    """Spans that speak to a model instead of a reader, as `[start, end, reason]`; None: none."""
    near_sha256: Mapped[str | None] = mapped_column(String(64))
    """Content of the text that this one is nearly the same as."""
    similarity: Mapped[float | None] = mapped_column(Float)
    is_held_back: Mapped[bool] = mapped_column(server_default=false())
    """Kept without chunks, as long as the text that it is nearly the same as is there."""
    from_generation: Mapped[int] = mapped_column(BigKey)
    to_generation: Mapped[int | None] = mapped_column(BigKey)


class SourceRow(Table):
    """One place where a document was found, with all that is said of it there."""

    __tablename__ = "sources"
    __table_args__ = (
        CheckConstraint(
            "(origin = 'real' AND generator_id IS NULL)"
            " OR (origin = 'synthetic' AND generator_id IS NOT NULL AND generator_id <> '')",
            name="synthetic_names_its_generator",
        ),
        Index(
            "uq_sources_live_place",
            "collection_id",
            "place_sha256",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index(
            "ix_sources_document",
            "document_id",
            "collection_id",
            "origin",
            "from_generation",
            "to_generation",
            "source_id",
        ),
        # Hashed, where it could be longer than an ordered index has room for.
        Index("ix_sources_external_id", "external_id", postgresql_using="hash"),
        Index(
            "ix_sources_synthetic",
            "collection_id",
            sqlite_where=text("origin = 'synthetic'"),
            postgresql_where=text("origin = 'synthetic'"),
        ),
    )

    source_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.collection_id"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.document_id"))
    place_sha256: Mapped[str] = mapped_column(String(64))
    """Hash of uri and external id together: they may be longer than an index entry can be."""
    uri: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    source_metadata: Mapped[dict[str, Any]]
    media_type: Mapped[str] = mapped_column(String(200))
    record_sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(9))
    generator_id: Mapped[str | None] = mapped_column(Text)
    from_generation: Mapped[int] = mapped_column(BigKey)
    to_generation: Mapped[int | None] = mapped_column(BigKey)


class SourceLabelRow(Table):
    """A label that a reader must carry one of, to know of a source. No label: anybody may."""

    __tablename__ = "source_labels"

    source_id: Mapped[int] = mapped_column(ForeignKey("sources.source_id"), primary_key=True)
    label: Mapped[str] = mapped_column(String(200), primary_key=True)


class SourceValueRow(Table):
    """One scalar of a source's metadata, by which filters find the source.

    Derived from the metadata in the transaction that stores them (`storage.metadata_values`), so
    that a filter is looked up in one index, with nothing read but that index.
    """

    __tablename__ = "source_values"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'text' AND text_key IS NOT NULL AND number IS NULL AND long_text IS NULL)"
            " OR (kind = 'long' AND text_key IS NOT NULL AND number IS NULL"
            " AND long_text IS NOT NULL)"
            " OR (kind IN ('number', 'truth', 'date') AND number IS NOT NULL"
            " AND text_key IS NULL AND long_text IS NULL)",
            name="kind",
        ),
        Index(
            "ix_source_values_value",
            "collection_id",
            "field",
            "kind",
            "number",
            "text_key",
            "source_id",
        ),
        {"sqlite_with_rowid": False},
    )

    source_id: Mapped[int] = mapped_column(
        ForeignKey("sources.source_id"), primary_key=True, autoincrement=False
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(BigKey)
    field: Mapped[str] = mapped_column(ByteOrdered)
    kind: Mapped[str] = mapped_column(String(6))
    number: Mapped[float | None] = mapped_column(Double)
    text_key: Mapped[str | None] = mapped_column(ByteOrdered)
    long_text: Mapped[str | None] = mapped_column(ByteOrdered)


class ChunkRow(Table):
    """A span of a document, with its vector: little-endian float32, as many as its space has."""

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint("start_offset >= 0 AND end_offset > start_offset", name="span"),
        Index("ix_chunks_document", "document_id", "from_generation", "to_generation", "chunk_id"),
        Index("ix_chunks_embedded", "embedded_sha256"),
        Index("ix_chunks_collection", "collection_id", "chunk_id"),
    )

    chunk_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.collection_id"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.document_id"))
    start_offset: Mapped[int]
    end_offset: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    embedded_sha256: Mapped[str] = mapped_column(String(64))
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    from_generation: Mapped[int] = mapped_column(BigKey)
    to_generation: Mapped[int | None] = mapped_column(BigKey)


class ChangeRow(Table):
    """The change log: what each generation added to the indexes and took from them.

    No foreign key: the log outlives the chunks that are forgotten.
    """

    __tablename__ = "changes"
    __table_args__ = (CheckConstraint("kind IN ('add', 'remove')", name="kind"),)

    collection_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    chunk_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(6))


class TextKeyRow(Table):
    """A key that texts alike have in common: found by it, then compared in full.

    Of documents that hold no more they are left: whoever looks joins the documents that do.
    """

    __tablename__ = "text_keys"
    __table_args__ = (
        CheckConstraint("kind IN ('near', 'edge')", name="kind"),
        {"sqlite_with_rowid": False},
    )

    collection_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(4), primary_key=True)
    """near: one of the smallest hashes of shingles. edge: a line at the edge of a text or page."""
    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    document_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)


class ResourceRow(Table):
    """What was last read through to its end: a file, a page, the result of a query.

    A memory that saves work, not truth: a row may be deleted at any moment.
    """

    __tablename__ = "resources"

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("collections.collection_id"), primary_key=True
    )
    uri_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    stamp: Mapped[str | None] = mapped_column(Text)
    """What it looked like then; None where its looks can't be trusted."""
    content_sha256: Mapped[str | None] = mapped_column(String(64))
    """Hash of its bytes; None where they were not held together."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    documents: Mapped[int]
