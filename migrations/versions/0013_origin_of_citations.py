"""Whether what an answer cites is real or was written by a generator."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "citations", sa.Column("origin", sa.String(length=9), nullable=False, server_default="real")
    )


def downgrade() -> None:
    op.drop_column("citations", "origin")
