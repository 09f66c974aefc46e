"""Exchanges counted as they are written, and who judged them."""

import sqlalchemy as sa
from alembic import op

from storage.prompts.rollups import recount

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTE_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JUDGED_BY = {
    "judge": sa.String(length=9),
    "judge_name": sa.String(length=200),
    "judge_version": sa.String(length=200),
    "label": sa.String(length=200),
}
CHECKS = {
    "ck_prompt_scores_judge": "judge IN ('human', 'automatic')",
    "ck_prompt_scores_judged_by": "(judge = 'human') = (user_id IS NOT NULL)"
    " AND (judge = 'automatic') = (judge_name IS NOT NULL)"
    " AND (judge_name IS NULL) = (judge_version IS NULL)",
    "ck_prompt_scores_says_something": "value IS NOT NULL OR label IS NOT NULL"
    " OR comment IS NOT NULL OR correction IS NOT NULL",
}
DIMENSIONS = "'all', 'user', 'model', 'collection', 'application', 'category', 'tag'"
COUNTED = (
    "prompts",
    "completed",
    "failed",
    "cancelled",
    "grounded",
    "partial",
    "no_evidence",
    "prompt_tokens",
    "completion_tokens",
    "priced",
    "nano_cost",
    "timed",
    "microseconds",
)


def upgrade() -> None:
    _say_who_judged()
    _keep_means()
    _create("prompt_rollups", (), COUNTED)
    _create("prompt_latency_rollups", (sa.Column("bucket", sa.Integer()),), ("prompts",))
    _create(
        "prompt_score_rollups",
        (sa.Column("judge", sa.String(length=9)), sa.Column("metric", sa.String(length=200))),
        ("scores", "millionths", "ups", "downs"),
    )
    op.create_table(
        "prompt_scoring",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_prompt_scoring_prompt_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", name="pk_prompt_scoring"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_prompts_open",
        "prompts",
        ["created_at"],
        sqlite_where=sa.text("status = 'started'"),
        postgresql_where=sa.text("status = 'started'"),
    )
    op.execute(
        "INSERT INTO prompt_scoring SELECT prompt_id FROM prompts WHERE status = 'completed'"
    )
    recount(op.get_bind())


def _create(name: str, more: tuple["sa.Column[object]", ...], counted: tuple[str, ...]) -> None:
    keys = ("dimension", "grain", "value", "first_day", *(column.name for column in more))
    op.create_table(
        name,
        sa.Column("dimension", sa.String(length=11), nullable=False),
        sa.Column("grain", sa.String(length=5), nullable=False),
        sa.Column("value", BYTE_ORDERED, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        *more,
        *(sa.Column(column, KEY, nullable=False) for column in counted),
        sa.CheckConstraint(f"dimension IN ({DIMENSIONS})", name=op.f(f"ck_{name}_dimension")),
        sa.CheckConstraint("grain IN ('day', 'month')", name=op.f(f"ck_{name}_grain")),
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )


def _scores_before() -> sa.Table:
    """The table as it was; SQLite makes another of it, and would leave out what isn't told."""
    metadata = sa.MetaData()
    sa.Table("prompts", metadata, sa.Column("prompt_id", sa.String(length=32), primary_key=True))
    sa.Table("users", metadata, sa.Column("user_id", KEY, primary_key=True))
    return sa.Table(
        "prompt_scores",
        metadata,
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
        sa.Index("ix_prompt_scores_prompt_id", "prompt_id"),
    )


def _scores_after() -> sa.Table:
    table = _scores_before()
    for name, kind in JUDGED_BY.items():
        table.append_column(sa.Column(name, kind, server_default=_default(name)))
    table.c.user_id.nullable = table.c.value.nullable = True
    for name, check in CHECKS.items():
        table.append_constraint(sa.CheckConstraint(check, name=op.f(name)))
    return table


def _default(name: str) -> str | None:
    return "human" if name == "judge" else None


def _say_who_judged() -> None:
    with op.batch_alter_table("prompt_scores", copy_from=_scores_before()) as batch:
        for name, kind in JUDGED_BY.items():
            is_judge = name == "judge"
            batch.add_column(
                sa.Column(name, kind, server_default=_default(name), nullable=not is_judge)
            )
        batch.alter_column("user_id", existing_type=KEY, nullable=True)
        batch.alter_column("value", existing_type=sa.Double(), nullable=True)
        for name, check in CHECKS.items():
            batch.create_check_constraint(op.f(name), check)


_SCORED = {"added": "INSERT", "changed": "UPDATE OF metric, value, user_id", "gone": "DELETE"}
_SCORED_PROMPT = "(SELECT number FROM prompts WHERE prompt_id = {row}.prompt_id)"
_METRIC = "(SELECT min(name_id) FROM prompt_names WHERE name = {row}.metric)"
_MEAN = """(SELECT avg(value) FROM prompt_scores AS s WHERE prompt_id = {row}.prompt_id
    AND metric = {row}.metric AND value IS NOT NULL AND NOT EXISTS (SELECT 1
        FROM prompt_scores AS t WHERE t.prompt_id = s.prompt_id AND t.metric = s.metric
        AND t.value IS NOT NULL AND t.score_id > s.score_id
        AND coalesce(t.user_id, 0) = coalesce(s.user_id, 0)
        AND coalesce(t.judge_name, '') = coalesce(s.judge_name, '')))"""
_MEANS = f"""
    UPDATE prompt_facts SET rating = rating WHERE number = {_SCORED_PROMPT};
    INSERT INTO prompt_names (name) SELECT {{row}}.metric
        WHERE NOT EXISTS (SELECT 1 FROM prompt_names WHERE name = {{row}}.metric);
    DELETE FROM prompt_means WHERE metric_id = {_METRIC} AND number = {_SCORED_PROMPT};
    INSERT INTO prompt_means (metric_id, number, value) SELECT {_METRIC}, {_SCORED_PROMPT}, {_MEAN}
        WHERE {_MEAN} IS NOT NULL;
    UPDATE prompt_facts SET rating = {_MEAN.replace("value IS", "s.judge = 'human' AND value IS", 1)}
        WHERE number = {_SCORED_PROMPT} AND {{row}}.metric = 'rating';"""  # noqa: S608 - of names in this file
"""Of each judge, what was said last. The first statement makes others wait who score the same."""


def _keep_means() -> None:
    """What is there, and triggers for what comes: they would not outlive a new table."""
    for event, row in (("added", "new"), ("changed", "new"), ("gone", "old")):
        _create_trigger(f"prompt_scores_{event}", _SCORED[event], _MEANS.format(row=row))
    op.execute("UPDATE prompt_scores SET metric = metric")


def _create_trigger(name: str, event: str, body: str) -> None:
    timing = f"AFTER {event} ON prompt_scores"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} {timing} BEGIN {body} END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body} RETURN NULL; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} {timing} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _drop_means() -> None:
    for event in _SCORED:
        name = f"prompt_scores_{event}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
        else:
            op.execute(f"DROP TRIGGER {name} ON prompt_scores")
            op.execute(f"DROP FUNCTION {name}()")
    op.execute("DELETE FROM prompt_means")


def downgrade() -> None:
    op.drop_index("ix_prompts_open", table_name="prompts")
    _drop_means()
    for name in (
        "prompt_scoring",
        "prompt_score_rollups",
        "prompt_latency_rollups",
        "prompt_rollups",
    ):
        op.drop_table(name)
    op.execute("DELETE FROM prompt_scores WHERE user_id IS NULL OR value IS NULL")
    with op.batch_alter_table("prompt_scores", copy_from=_scores_after()) as batch:
        for name in CHECKS:
            batch.drop_constraint(op.f(name), type_="check")
        for name in JUDGED_BY:
            batch.drop_column(name)
        batch.alter_column("user_id", existing_type=KEY, nullable=False)
        batch.alter_column("value", existing_type=sa.Double(), nullable=False)
