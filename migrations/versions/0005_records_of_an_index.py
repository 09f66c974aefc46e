"""What programs that synchronise by keys have written, and sources by their ids."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BYTE_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "index_records",
        sa.Column("namespace", BYTE_ORDERED, nullable=False),
        sa.Column("key", BYTE_ORDERED, nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "key", name="pk_index_records"),
    )
    op.create_index("ix_index_records_time", "index_records", ["namespace", "updated_at"])
    # Of any length: an ordered index of PostgreSQL has room for 2,700 bytes an entry.
    op.create_index(
        "ix_index_records_group", "index_records", ["group_id"], postgresql_using="hash"
    )
    op.create_index("ix_sources_external_id", "sources", ["external_id"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_index("ix_sources_external_id", table_name="sources")
    op.drop_table("index_records")
