"""Structure and language of texts, likeness between them, and what was read through."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
LIKE_ANOTHER = sa.text("to_generation IS NULL AND near_sha256 IS NOT NULL")
NEAR_IS_WHOLE = (
    "(near_sha256 IS NULL) = (similarity IS NULL) AND (near_sha256 IS NOT NULL OR NOT is_held_back)"
)


def upgrade() -> None:
    # Only columns are added: SQLite would make any other change by dropping the table, which its
    # chunks and sources refer to.
    op.add_column("documents", sa.Column("outline", JSON_VALUE, nullable=True))
    op.add_column("documents", sa.Column("language", sa.String(length=16), nullable=True))
    op.add_column("documents", sa.Column("near_sha256", sa.String(length=64), nullable=True))
    op.add_column("documents", sa.Column("similarity", sa.Float(), nullable=True))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    default = "0" if is_sqlite else "false"
    op.execute(
        f"ALTER TABLE documents ADD COLUMN is_held_back BOOLEAN DEFAULT {default} NOT NULL"
        f" CONSTRAINT ck_documents_near_is_whole CHECK ({NEAR_IS_WHOLE})"
    )
    op.create_index(
        "ix_documents_near",
        "documents",
        ["collection_id", "near_sha256"],
        sqlite_where=LIKE_ANOTHER,
        postgresql_where=LIKE_ANOTHER,
    )
    op.add_column("ingest_runs", sa.Column("source_name", sa.String(length=200), nullable=True))
    op.add_column("citations", sa.Column("page", sa.Integer(), nullable=True))
    op.add_column("citations", sa.Column("headings", JSON_VALUE, nullable=True))
    op.create_table(
        "text_keys",
        sa.Column("collection_id", KEY, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document_id", KEY, autoincrement=False, nullable=False),
        sa.CheckConstraint("kind IN ('near', 'edge')", name="ck_text_keys_kind"),
        sa.PrimaryKeyConstraint("collection_id", "kind", "key", "document_id", name="pk_text_keys"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resources",
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("uri_sha256", sa.String(length=64), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.String(length=64), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.collection_id"],
            name="fk_resources_collection_id",
        ),
        sa.PrimaryKeyConstraint("collection_id", "uri_sha256", name="pk_resources"),
    )


def downgrade() -> None:
    op.drop_table("resources")
    op.drop_table("text_keys")
    op.drop_index("ix_documents_near", table_name="documents")
    for table, column in (
        ("citations", "headings"),
        ("citations", "page"),
        ("ingest_runs", "source_name"),
        ("documents", "is_held_back"),
        ("documents", "similarity"),
        ("documents", "near_sha256"),
        ("documents", "language"),
        ("documents", "outline"),
    ):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
