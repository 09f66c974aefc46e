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
    with op.batch_alter_table("documents") as documents:
        documents.add_column(sa.Column("outline", JSON_VALUE, nullable=True))
        documents.add_column(sa.Column("language", sa.String(length=16), nullable=True))
        documents.add_column(sa.Column("near_sha256", sa.String(length=64), nullable=True))
        documents.add_column(sa.Column("similarity", sa.Float(), nullable=True))
        documents.add_column(
            sa.Column("is_held_back", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("documents") as documents:
        documents.alter_column("is_held_back", existing_type=sa.Boolean(), server_default=None)
        documents.create_check_constraint(op.f("ck_documents_near_is_whole"), NEAR_IS_WHOLE)
    op.create_index(
        "ix_documents_near",
        "documents",
        ["collection_id", "near_sha256"],
        sqlite_where=LIKE_ANOTHER,
        postgresql_where=LIKE_ANOTHER,
    )
    with op.batch_alter_table("ingest_runs") as runs:
        runs.add_column(sa.Column("source_name", sa.String(length=200), nullable=True))
    with op.batch_alter_table("citations") as citations:
        citations.add_column(sa.Column("page", sa.Integer(), nullable=True))
        citations.add_column(sa.Column("headings", JSON_VALUE, nullable=True))
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
    with op.batch_alter_table("citations") as citations:
        citations.drop_column("headings")
        citations.drop_column("page")
    with op.batch_alter_table("ingest_runs") as runs:
        runs.drop_column("source_name")
    op.drop_index("ix_documents_near", table_name="documents")
    with op.batch_alter_table("documents") as documents:
        documents.drop_constraint(op.f("ck_documents_near_is_whole"), type_="check")
        for name in ("is_held_back", "similarity", "near_sha256", "language", "outline"):
            documents.drop_column(name)
