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

from storage.models.base import BigKey, ByteOrdered, Column, JsonValue, Table, UtcDateTime

_LIVE = text("to_generation IS NULL")
_LIKE_ANOTHER = text("to_generation IS NULL AND near_sha256 IS NOT NULL")


class CorpusStateRow(Table):
    """One row: where the corpus stands, who may write, and the next free keys.

    Keys are handed out here, under the writer's lease, so that none is ever used twice: an index
    that missed a removal could otherwise show a new chunk under an old key.
    """

    __tablename__ = "corpus_state"
    __table_args__ = (CheckConstraint("state_id = 1", name="single_row"),)

    state_id: Column[int] = Column(primary_key=True, autoincrement=False)
    generation: Column[int] = Column(BigKey)
    held_at: Column[int | None] = Column(BigKey)
    """The generation that is served while a quality gate holds later ones back."""
    fence: Column[int] = Column(BigKey)
    """Counts the writers; a writer whose number is not the last can't commit."""
    next_document_id: Column[int] = Column(BigKey)
    next_source_id: Column[int] = Column(BigKey)
    next_chunk_id: Column[int] = Column(BigKey)


class RunRow(Table):
    """One ingest run. A run without an end was killed, or is still at work."""

    __tablename__ = "ingest_runs"

    run_id: Column[str] = Column(String(32), primary_key=True)
    collection_id: Column[int] = Column(BigKey, ForeignKey("collections.collection_id"))
    source_name: Column[str | None] = Column(String(200))
    """The declared source that was synchronised; None for paths named by hand."""
    started_at: Column[datetime] = Column(UtcDateTime)
    ended_at: Column[datetime | None] = Column(UtcDateTime)
    report: Column[dict[str, Any] | None] = Column(JsonValue)


class GenerationRow(Table):
    """One COMMIT of the corpus."""

    __tablename__ = "generations"

    generation: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    token: Column[str] = Column(String(32))
    committed_at: Column[datetime] = Column(UtcDateTime)
    run_id: Column[str | None] = Column(String(32), ForeignKey("ingest_runs.run_id"))


class CollectionRow(Table):
    """A set of documents in one embedding space (its four columns are empty, or none is)."""

    __tablename__ = "collections"

    collection_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(200), unique=True)
    created_at: Column[datetime] = Column(UtcDateTime)
    space_model: Column[str | None] = Column(Text)
    space_weights_sha256: Column[str | None] = Column(String(64))
    space_dimension: Column[int | None]
    space_normalised: Column[bool | None]
    retrieval: Column[dict[str, Any] | None] = Column(JsonValue)
    """Settings of retrieval that were fitted to this collection; None: the defaults."""
    answering: Column[dict[str, Any] | None] = Column(JsonValue)
    """How far its answers can be trusted, as it was measured; None: the defaults."""


class CollectionLabelRow(Table):
    """A label that a reader must carry one of, to know of a collection. No label: anybody may."""

    __tablename__ = "collection_labels"

    collection_id: Column[int] = Column(
        BigKey, ForeignKey("collections.collection_id"), primary_key=True
    )
    label: Column[str] = Column(String(200), primary_key=True)


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
            info={"postgresql_where": _LIVE},
        ),
        Index(
            "ix_documents_near",
            "collection_id",
            "near_sha256",
            sqlite_where=_LIKE_ANOTHER,
            info={"postgresql_where": _LIKE_ANOTHER},
        ),
        CheckConstraint(
            "(near_sha256 IS NULL) = (similarity IS NULL)"
            " AND (near_sha256 IS NOT NULL OR NOT is_held_back)",
            name="near_is_whole",
        ),
        Index("ix_documents_language", "collection_id", "language", "document_id"),
    )

    document_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Column[int] = Column(BigKey, ForeignKey("collections.collection_id"))
    content_sha256: Column[str] = Column(String(64))
    fingerprint: Column[str] = Column(String(64))
    """Hash of what cut and embedded it: chunker, embedder, and their settings."""
    title: Column[str] = Column(Text)
    """What its chunks were embedded and indexed with: the title that one of its sources gives."""
    text: Column[str] = Column(Text)
    outline: Column[list[Any] | None] = Column(JsonValue)
    """Its headings and pages, in the form of `storage.outline`; None where it has none."""
    language: Column[str | None] = Column(String(16))
    suspicions: Column[list[Any] | None] = Column(JsonValue)
    """Spans that speak to a model instead of a reader, as `[start, end, reason]`; None: none."""
    near_sha256: Column[str | None] = Column(String(64))
    """Content of the text that this one is nearly the same as."""
    similarity: Column[float | None] = Column(Float)
    is_held_back: Column[bool] = Column(server_default=false())
    """Kept without chunks, as long as the text that it is nearly the same as is there."""
    from_generation: Column[int] = Column(BigKey)
    to_generation: Column[int | None] = Column(BigKey)


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
            info={"postgresql_where": _LIVE},
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
        Index("ix_sources_external_id", "external_id", info={"postgresql_using": "hash"}),
        Index(
            "ix_sources_synthetic",
            "collection_id",
            sqlite_where=text("origin = 'synthetic'"),
            info={"postgresql_where": text("origin = 'synthetic'")},
        ),
    )

    source_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Column[int] = Column(BigKey, ForeignKey("collections.collection_id"))
    document_id: Column[int] = Column(BigKey, ForeignKey("documents.document_id"))
    place_sha256: Column[str] = Column(String(64))
    """Hash of uri and external id together: they may be longer than an index entry can be."""
    uri: Column[str] = Column(Text)
    external_id: Column[str] = Column(Text)
    title: Column[str] = Column(Text)
    source_metadata: Column[dict[str, Any]] = Column(JsonValue)
    media_type: Column[str] = Column(String(200))
    record_sha256: Column[str] = Column(String(64))
    fingerprint: Column[str] = Column(String(64))
    origin: Column[str] = Column(String(9))
    generator_id: Column[str | None] = Column(Text)
    from_generation: Column[int] = Column(BigKey)
    to_generation: Column[int | None] = Column(BigKey)


class SourceLabelRow(Table):
    """A label that a reader must carry one of, to know of a source. No label: anybody may."""

    __tablename__ = "source_labels"

    source_id: Column[int] = Column(
        BigKey,
        ForeignKey("sources.source_id"),
        primary_key=True,
    )
    label: Column[str] = Column(String(200), primary_key=True)


class SourceValueRow(Table, sqlite_with_rowid=False):
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
    )

    source_id: Column[int] = Column(
        BigKey, ForeignKey("sources.source_id"), primary_key=True, autoincrement=False
    )
    ordinal: Column[int] = Column(primary_key=True, autoincrement=False)
    collection_id: Column[int] = Column(BigKey)
    field: Column[str] = Column(ByteOrdered)
    kind: Column[str] = Column(String(6))
    number: Column[float | None] = Column(Double)
    text_key: Column[str | None] = Column(ByteOrdered)
    long_text: Column[str | None] = Column(ByteOrdered)


class ChunkRow(Table):
    """A span of a document, with its vector: little-endian float32, as many as its space has."""

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint("start_offset >= 0 AND end_offset > start_offset", name="span"),
        Index("ix_chunks_document", "document_id", "from_generation", "to_generation", "chunk_id"),
        Index("ix_chunks_embedded", "embedded_sha256"),
        Index("ix_chunks_collection", "collection_id", "chunk_id"),
    )

    chunk_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Column[int] = Column(BigKey, ForeignKey("collections.collection_id"))
    document_id: Column[int] = Column(BigKey, ForeignKey("documents.document_id"))
    start_offset: Column[int]
    end_offset: Column[int]
    text: Column[str] = Column(Text)
    embedded_sha256: Column[str] = Column(String(64))
    vector: Column[bytes] = Column(LargeBinary)
    from_generation: Column[int] = Column(BigKey)
    to_generation: Column[int | None] = Column(BigKey)


class ChangeRow(Table):
    """The change log: what each generation added to the indexes and took from them.

    No foreign key: the log outlives the chunks that are forgotten.
    """

    __tablename__ = "changes"
    __table_args__ = (CheckConstraint("kind IN ('add', 'remove')", name="kind"),)

    collection_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    generation: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    chunk_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    kind: Column[str] = Column(String(6))


class TextKeyRow(Table, sqlite_with_rowid=False):
    """A key that texts alike have in common: found by it, then compared in full.

    Of documents that hold no more they are left: whoever looks joins the documents that do.
    """

    __tablename__ = "text_keys"
    __table_args__ = (CheckConstraint("kind IN ('near', 'edge')", name="kind"),)

    collection_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    kind: Column[str] = Column(String(4), primary_key=True)
    """near: one of the smallest hashes of shingles. edge: a line at the edge of a text or page."""
    key: Column[int] = Column(BigInteger, primary_key=True, autoincrement=False)
    document_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)


class ResourceRow(Table):
    """What was last read through to its end: a file, a page, the result of a query.

    A memory that saves work, not truth: a row may be deleted at any moment.
    """

    __tablename__ = "resources"

    collection_id: Column[int] = Column(
        BigKey, ForeignKey("collections.collection_id"), primary_key=True
    )
    uri_sha256: Column[str] = Column(String(64), primary_key=True)
    stamp: Column[str | None] = Column(Text)
    """What it looked like then; None where its looks can't be trusted."""
    content_sha256: Column[str | None] = Column(String(64))
    """Hash of its bytes; None where they were not held together."""
    fingerprint: Column[str] = Column(String(64))
    documents: Column[int]
