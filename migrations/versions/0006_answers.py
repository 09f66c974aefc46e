"""What is known of an answer: how sure it is, how it was checked, and what people say of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
ADDED = {
    "collections": {"answering": JSON},
    "documents": {"suspicions": JSON},
    "prompts": {"standalone": sa.Text(), "confidence": sa.Double(), "checks": JSON},
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_table(
        "prompt_scores",
        sa.Column("score_id", KEY, nullable=False),
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("value >= 0 AND value <= 1", name="ck_prompt_scores_value"),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_prompt_scores_prompt_id"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_prompt_scores_user_id"),
        sa.PrimaryKeyConstraint("score_id", name="pk_prompt_scores"),
    )
    op.create_index("ix_prompt_scores_prompt_id", "prompt_scores", ["prompt_id"])


def downgrade() -> None:
    op.drop_table("prompt_scores")
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)
