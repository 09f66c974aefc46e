"""The record of an exchange: where it belongs, what was said word by word, by which template."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
ADDED = {
    "application": sa.String(length=200),
    "category": sa.String(length=200),
    "idempotency_key": sa.String(length=200),
    "request_sha256": sa.String(length=64),
    "response_sha256": sa.String(length=64),
    "template_id": KEY,
    "seconds": sa.Double(),
    "cost": sa.Double(),
    "finish_reason": sa.String(length=6),
    "note": sa.Text(),
    "circumstances": JSON_VALUE,
}
_BATCH = 10_000


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("prompts", sa.Column(name, kind, nullable=True))
    op.add_column("prompts", sa.Column("number", KEY, server_default="0", nullable=False))
    _number_what_is_there()
    op.create_index("uq_prompts_number", "prompts", ["number"], unique=True)
    op.create_index(
        "uq_prompts_idempotency_key",
        "prompts",
        ["user_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index("ix_prompts_request", "prompts", ["request_sha256"])
    op.create_index("ix_prompts_response", "prompts", ["response_sha256"])
    op.create_table(
        "messages",
        sa.Column("message_sha256", sa.String(length=64), nullable=False),
        sa.Column("parent_sha256", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=9), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('system', 'user', 'assistant')", name="ck_messages_role"),
        sa.PrimaryKeyConstraint("message_sha256", name="pk_messages"),
    )
    op.create_index("ix_messages_parent", "messages", ["parent_sha256"])
    op.create_table(
        "prompt_tags",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_prompt_tags_prompt_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "tag", name="pk_prompt_tags"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_prompt_tags_tag", "prompt_tags", ["tag", "prompt_id"])
    op.create_table(
        "prompt_templates",
        sa.Column("template_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("lead_in", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("template_id", name="pk_prompt_templates"),
        sa.UniqueConstraint("name", "version", name="uq_prompt_templates_name_version"),
    )
    op.create_table(
        "prompt_artifacts",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("artifact_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.CheckConstraint("role IN ('attachment', 'output')", name="ck_prompt_artifacts_role"),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_prompt_artifacts_prompt_id"
        ),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.artifact_id"], name="fk_prompt_artifacts_artifact_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "artifact_id", name="pk_prompt_artifacts"),
    )
    op.create_index("ix_prompt_artifacts_artifact_id", "prompt_artifacts", ["artifact_id"])


def _number_what_is_there() -> None:
    """The id of a prompt begins with its milliseconds, then chance: its number is both, in 61
    bits."""
    prompts = sa.table("prompts", sa.column("prompt_id", sa.String), sa.column("number", KEY))
    connection = op.get_bind()
    for keys in _batches(connection.execute(sa.select(prompts.c.prompt_id)).scalars().all()):
        connection.execute(
            sa.update(prompts)
            .where(prompts.c.prompt_id == sa.bindparam("of"))
            .values(number=sa.bindparam("to")),
            [{"of": key, "to": int(key[:12], 16) << 20 | int(key[12:17], 16)} for key in keys],
        )


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]


def downgrade() -> None:
    for table in ("prompt_artifacts", "prompt_templates", "prompt_tags", "messages"):
        op.drop_table(table)
    for index in (
        "ix_prompts_response",
        "ix_prompts_request",
        "uq_prompts_idempotency_key",
        "uq_prompts_number",
    ):
        op.drop_index(index, table_name="prompts")
    for name in (*ADDED, "number"):
        op.drop_column("prompts", name)
