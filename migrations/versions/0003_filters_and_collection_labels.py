"""Values of metadata to filter by, labels and fitted settings of collections."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from storage.metadata_values import values_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
BYTE_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SOURCES_A_STEP = 1_000


def upgrade() -> None:
    op.add_column("collections", sa.Column("retrieval", JSON_VALUE, nullable=True))
    op.create_table(
        "collection_labels",
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.collection_id"],
            name="fk_collection_labels_collection_id",
        ),
        sa.PrimaryKeyConstraint("collection_id", "label", name="pk_collection_labels"),
    )
    values = op.create_table(
        "source_values",
        sa.Column("source_id", KEY, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("field", BYTE_ORDERED, nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("text_key", BYTE_ORDERED, nullable=True),
        sa.Column("long_text", BYTE_ORDERED, nullable=True),
        sa.CheckConstraint(
            "(kind = 'text' AND text_key IS NOT NULL AND number IS NULL AND long_text IS NULL) OR (kind = 'long' AND text_key IS NOT NULL AND number IS NULL AND long_text IS NOT NULL) OR (kind IN ('number', 'truth', 'date') AND number IS NOT NULL AND text_key IS NULL AND long_text IS NULL)",
            name="ck_source_values_kind",
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.source_id"], name="fk_source_values_source_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "ordinal", name="pk_source_values"),
        sqlite_with_rowid=False,
    )
    for step in _values():
        op.bulk_insert(values, step)
    op.create_index(
        "ix_source_values_value",
        "source_values",
        ["collection_id", "field", "kind", "number", "text_key", "source_id"],
    )
    # What a filter and a permission ask of every row is now all in the index.
    op.drop_index("ix_sources_document", table_name="sources")
    op.create_index(
        "ix_sources_document",
        "sources",
        ["document_id", "collection_id", "origin", "from_generation", "to_generation", "source_id"],
    )
    op.drop_index("ix_chunks_document", table_name="chunks")
    op.create_index(
        "ix_chunks_document",
        "chunks",
        ["document_id", "from_generation", "to_generation", "chunk_id"],
    )
    op.create_index(
        "ix_documents_language", "documents", ["collection_id", "language", "document_id"]
    )


def _values() -> Iterator[list[dict[str, Any]]]:
    """The rows for all sources, some sources at a time."""
    sources = sa.table(
        "sources",
        sa.column("source_id", KEY),
        sa.column("collection_id", KEY),
        sa.column("source_metadata", JSON_VALUE),
    )
    statement = sa.select(sources).order_by(sources.c.source_id).limit(SOURCES_A_STEP)
    after = 0
    while found := op.get_bind().execute(statement.where(sources.c.source_id > after)).all():
        after = found[-1].source_id
        rows = [
            {
                "source_id": row.source_id,
                "ordinal": ordinal,
                "collection_id": row.collection_id,
                "field": value.field,
                "kind": value.kind,
                "number": value.number,
                "text_key": value.text_key,
                "long_text": value.long_text,
            }
            for row in found
            for ordinal, value in enumerate(values_of(row.source_metadata))
        ]
        if rows:
            yield rows


def downgrade() -> None:
    op.drop_index("ix_documents_language", table_name="documents")
    for table in ("chunks", "sources"):
        op.drop_index(f"ix_{table}_document", table_name=table)
        op.create_index(f"ix_{table}_document", table, ["document_id"])
    op.drop_table("source_values")
    op.drop_table("collection_labels")
    op.execute("ALTER TABLE collections DROP COLUMN retrieval")
