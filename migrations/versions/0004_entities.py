"""Entities that texts and answers mention."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_SPAN = "start_offset >= 0 AND end_offset > start_offset"


def upgrade() -> None:
    op.create_table(
        "entities",
        sa.Column("entity_id", KEY, autoincrement=False, nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "kind IN ('person', 'organisation', 'place', 'term')", name="ck_entities_kind"
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_entities_collection_id"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_entities"),
        sa.UniqueConstraint(
            "collection_id", "key", "kind", name="uq_entities_collection_id_key_kind"
        ),
    )
    op.create_table(
        "entity_mentions",
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("sentence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_offset", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("end_offset", sa.Integer(), nullable=False),
        sa.Column("entity_id", KEY, nullable=False),
        sa.Column("surface", sa.String(length=200), nullable=False),
        sa.CheckConstraint(IS_SPAN, name="ck_entity_mentions_span"),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name="fk_entity_mentions_document_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name="fk_entity_mentions_entity_id"
        ),
        sa.PrimaryKeyConstraint(
            "document_id", "sentence", "start_offset", name="pk_entity_mentions"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_entity_mentions_entity", "entity_mentions", ["entity_id", "document_id", "sentence"]
    )
    op.create_table(
        "entity_answers",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("recogniser", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.prompt_id"],
            name="fk_entity_answers_prompt_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_id", name="pk_entity_answers"),
    )
    op.create_table(
        "entity_answer_mentions",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("start_offset", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("end_offset", sa.Integer(), nullable=False),
        sa.Column("entity_id", KEY, nullable=False),
        sa.Column("surface", sa.String(length=200), nullable=False),
        sa.CheckConstraint(IS_SPAN, name="ck_entity_answer_mentions_span"),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.prompt_id"],
            name="fk_entity_answer_mentions_prompt_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name="fk_entity_answer_mentions_entity_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "start_offset", name="pk_entity_answer_mentions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entity_answer_mentions_entity", "entity_answer_mentions", ["entity_id"])
    op.create_table(
        "entity_states",
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("recogniser", sa.String(length=64), nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("generation", KEY, nullable=False),
        sa.Column("answers_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_entity_states_collection_id"
        ),
        sa.PrimaryKeyConstraint("collection_id", name="pk_entity_states"),
    )


def downgrade() -> None:
    op.drop_table("entity_states")
    op.drop_table("entity_answer_mentions")
    op.drop_table("entity_answers")
    op.drop_table("entity_mentions")
    op.drop_table("entities")
