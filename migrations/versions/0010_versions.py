"""Data sets and models as versions, with what they come from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)


def upgrade() -> None:
    op.create_table(
        "blob_pieces",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "ordinal", name="pk_blob_pieces"),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("members_sha256", sa.String(length=64), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("about", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_dataset_versions_version"),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_dataset_versions"),
        sa.UniqueConstraint("name", "version", name="uq_dataset_versions_name_version"),
    )
    _create_models()
    op.create_table(
        "model_datasets",
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.CheckConstraint("role IN ('trained_on', 'evaluated_on')", name="ck_model_datasets_role"),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model_versions.model_id"], name="fk_model_datasets_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset_versions.dataset_id"], name="fk_model_datasets_dataset_id"
        ),
        sa.PrimaryKeyConstraint("model_id", "dataset_id", "role", name="pk_model_datasets"),
    )
    op.create_index("ix_model_datasets_dataset", "model_datasets", ["dataset_id"])
    op.create_table(
        "model_activations",
        sa.Column("activation_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("model_id", KEY, nullable=True),
        sa.Column("before_id", KEY, nullable=True),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("user_name", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "action IN ('activate', 'rollback', 'retire')", name="ck_model_activations_action"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model_versions.model_id"], name="fk_model_activations_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["before_id"],
            ["model_activations.activation_id"],
            name="fk_model_activations_before_id",
        ),
        sa.PrimaryKeyConstraint("activation_id", name="pk_model_activations"),
    )
    op.create_index("ix_model_activations_name", "model_activations", ["name", "activation_id"])


def _create_models() -> None:
    op.create_table(
        "model_versions",
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("storage", sa.String(length=4), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("files", JSON, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("seed", KEY, nullable=True),
        sa.Column("code_version", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_model_versions_version"),
        sa.CheckConstraint(
            "kind IN ('embedder', 'generator', 'reranker', 'reward', 'synthetic')",
            name="ck_model_versions_kind",
        ),
        sa.CheckConstraint(
            "state IN ('kept', 'active', 'retired')", name="ck_model_versions_state"
        ),
        sa.CheckConstraint(
            "(storage IN ('blob', 'file') AND location IS NULL)"
            " OR (storage = 'link' AND location IS NOT NULL)",
            name="ck_model_versions_one_place",
        ),
        sa.PrimaryKeyConstraint("model_id", name="pk_model_versions"),
        sa.UniqueConstraint("name", "version", name="uq_model_versions_name_version"),
    )
    op.create_index(
        "uq_model_versions_active",
        "model_versions",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def downgrade() -> None:
    for table in (
        "model_activations",
        "model_datasets",
        "model_versions",
        "dataset_versions",
        "blob_pieces",
    ):
        op.drop_table(table)
