"""What was erased, and how far an erasure came."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
KINDS = "'user', 'session', 'document', 'source', 'prune', 'redact'"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("erasure_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject_sha256", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan", JSON, nullable=True),
        sa.Column("done", JSON, nullable=False),
        sa.Column("generation", KEY, nullable=True),
        sa.Column("certificate", JSON, nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="ck_erasures_kind"),
        sa.CheckConstraint(
            "completed_at IS NULL OR (plan IS NULL AND certificate IS NOT NULL)",
            name="ck_erasures_completed_is_certified",
        ),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_generation", "erasures", ["generation"])
    op.add_column("prompts", sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("prompts", "redacted_at")
    op.drop_table("erasures")
