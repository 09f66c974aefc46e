"""Sets of records, real and synthetic.

Triggers refuse to change a record, and what a batch says of where its records come from: what is
real stays real, and what is synthetic synthetic.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
SYNTHETIC_NAMES_ITS_GENERATOR = (
    "(origin = 'real' AND generator_id IS NULL)"
    " OR (origin = 'synthetic' AND generator_id IS NOT NULL AND generator_id <> '')"
)
TABLES = ("record_batch_images", "record_images", "records", "record_batches", "record_sets")
TRIGGERS = {
    "record_sets_stay": (
        "UPDATE OF set_id, columns, holdout ON record_sets",
        "the columns of a set and what it holds out are never changed: make another set",
    ),
    "record_images_stay": (
        "UPDATE ON record_images",
        "a stored image is never changed: delete its batch and add another",
    ),
    "records_stay": (
        "UPDATE ON records",
        "a stored record is never changed: delete its batch and add another",
    ),
    "record_batches_stay": (
        "UPDATE OF batch_id, set_id, origin, generator_id, records, sha256, dataset_id, model_id,"
        " weights_sha256, source_sha256, seed, conditions, sampling, verdict, thresholds, report"
        " ON record_batches",
        "where records come from is never changed: delete their batch and add another",
    ),
}


def upgrade() -> None:
    _create_sets()
    _create_batches()
    _create_records()
    _create_images()
    for name, (event, said) in TRIGGERS.items():
        _create_trigger(name, event, said)


def downgrade() -> None:
    for name, (event, _) in TRIGGERS.items():
        table = event.rpartition(" ")[2]
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
        else:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    for table in TABLES:
        op.drop_table(table)


def _create_sets() -> None:
    op.create_table(
        "record_sets",
        sa.Column("set_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("constraints", JSON, nullable=False),
        sa.Column("about", JSON, nullable=False),
        sa.Column("holdout", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("holdout >= 0 AND holdout <= 10000", name="ck_record_sets_holdout"),
        sa.PrimaryKeyConstraint("set_id", name="pk_record_sets"),
        sa.UniqueConstraint("name", name="uq_record_sets_name"),
        sqlite_autoincrement=True,
    )


def _create_batches() -> None:
    op.create_table(
        "record_batches",
        sa.Column("batch_id", KEY, nullable=False),
        sa.Column("set_id", KEY, nullable=False),
        sa.Column("origin", sa.String(length=9), nullable=False),
        sa.Column("generator_id", sa.String(length=200), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("dataset_id", KEY, nullable=True),
        sa.Column("model_id", KEY, nullable=True),
        sa.Column("weights_sha256", sa.String(length=64), nullable=True),
        sa.Column("source_sha256", sa.String(length=64), nullable=True),
        sa.Column("seed", KEY, nullable=True),
        sa.Column("conditions", JSON, nullable=True),
        sa.Column("sampling", JSON, nullable=True),
        sa.Column("verdict", sa.String(length=10), nullable=True),
        sa.Column("thresholds", JSON, nullable=True),
        sa.Column("report", JSON, nullable=True),
        sa.Column("code_version", sa.String(length=100), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_checks_of_batches(),
        sa.ForeignKeyConstraint(
            ["set_id"], ["record_sets.set_id"], name="fk_record_batches_set_id"
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset_versions.dataset_id"], name="fk_record_batches_dataset_id"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model_versions.model_id"], name="fk_record_batches_model_id"
        ),
        sa.PrimaryKeyConstraint("batch_id", name="pk_record_batches"),
        sa.UniqueConstraint(
            "batch_id", "set_id", "origin", name="uq_record_batches_batch_id_set_id_origin"
        ),
        sqlite_autoincrement=True,
    )
    real = sa.text("origin = 'real'")
    op.create_index(
        "uq_record_batches_load",
        "record_batches",
        ["set_id", "sha256"],
        unique=True,
        sqlite_where=real,
        postgresql_where=real,
    )
    op.create_index("ix_record_batches_set_id", "record_batches", ["set_id"])
    op.create_index("ix_record_batches_model_id", "record_batches", ["model_id"])


def _checks_of_batches() -> tuple[sa.CheckConstraint, ...]:
    return (
        sa.CheckConstraint(
            SYNTHETIC_NAMES_ITS_GENERATOR, name="ck_record_batches_synthetic_names_its_generator"
        ),
        sa.CheckConstraint(
            "origin = 'real' OR (model_id IS NOT NULL AND weights_sha256 IS NOT NULL"
            " AND source_sha256 IS NOT NULL AND seed IS NOT NULL AND verdict IS NOT NULL"
            " AND report IS NOT NULL)",
            name="ck_record_batches_synthetic_says_where_from",
        ),
        sa.CheckConstraint(
            "(origin = 'real') = (verdict IS NULL)"
            " AND (verdict IS NULL OR verdict IN ('passed', 'unreviewed', 'refused'))",
            name="ck_record_batches_verdict",
        ),
        sa.CheckConstraint(
            "records >= 0 AND (verdict IS NULL OR verdict <> 'refused' OR records = 0)",
            name="ck_record_batches_refused_has_no_records",
        ),
    )


def _create_records() -> None:
    op.create_table(
        "records",
        sa.Column("batch_id", KEY, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("set_id", KEY, nullable=False),
        sa.Column("origin", sa.String(length=9), nullable=False),
        sa.Column("generator_id", sa.String(length=200), nullable=True),
        sa.Column("seed", KEY, nullable=True),
        sa.Column("drawer", sa.Integer(), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint(
            SYNTHETIC_NAMES_ITS_GENERATOR, name="ck_records_synthetic_names_its_generator"
        ),
        sa.CheckConstraint(
            "(origin = 'real') = (seed IS NULL)", name="ck_records_synthetic_names_its_seed"
        ),
        sa.ForeignKeyConstraint(
            ["batch_id", "set_id", "origin"],
            ["record_batches.batch_id", "record_batches.set_id", "record_batches.origin"],
            name="fk_records_batch_id_set_id_origin",
        ),
        sa.PrimaryKeyConstraint("batch_id", "position", name="pk_records"),
    )
    has_key = sa.text("key_sha256 IS NOT NULL")
    op.create_index(
        "uq_records_key",
        "records",
        ["set_id", "key_sha256"],
        unique=True,
        sqlite_where=has_key,
        postgresql_where=has_key,
    )


def _create_images() -> None:
    op.create_table(
        "record_images",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_record_images"),
    )
    op.create_table(
        "record_batch_images",
        sa.Column("batch_id", KEY, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["record_batches.batch_id"], name="fk_record_batch_images_batch_id"
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["record_images.sha256"], name="fk_record_batch_images_sha256"
        ),
        sa.PrimaryKeyConstraint("batch_id", "sha256", name="pk_record_batch_images"),
    )
    op.create_index("ix_record_batch_images_sha256", "record_batch_images", ["sha256"])


def _create_trigger(name: str, event: str, said: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} BEGIN SELECT RAISE(ABORT, '{said}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{said}'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW EXECUTE FUNCTION {name}()")
