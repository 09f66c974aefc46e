"""Records of a set can be erased one by one, which is an erasure of a kind of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
BEFORE = "'user', 'session', 'document', 'source', 'prune', 'redact'"
AFTER = f"{BEFORE}, 'record'"
CHECK = "ck_erasures_ck_erasures_kind"
"""As the table was made with it."""
CERTIFIED = "ck_erasures_ck_erasures_completed_is_certified"


def upgrade() -> None:
    _allow(BEFORE, AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM erasures WHERE kind = 'record'")
    _allow(AFTER, BEFORE)


def _allow(before: str, kinds: str) -> None:
    with op.batch_alter_table("erasures", copy_from=_erasures(before)) as batch:
        batch.drop_constraint(op.f(CHECK), type_="check")
        batch.create_check_constraint(op.f(CHECK), f"kind IN ({kinds})")


def _erasures(kinds: str) -> sa.Table:
    return sa.Table(
        "erasures",
        sa.MetaData(),
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
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f(CHECK)),
        sa.CheckConstraint(
            "completed_at IS NULL OR (plan IS NULL AND certificate IS NOT NULL)",
            name=op.f(CERTIFIED),
        ),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
        sa.Index("ix_erasures_generation", "generation"),
    )
