"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
JSON_VALUE = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
LIVE = sa.text("to_generation IS NULL")
SYNTHETIC = sa.text("origin = 'synthetic'")


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("artifact_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", KEY, nullable=False),
        sa.Column("storage", sa.String(length=4), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(storage = 'blob' AND content IS NOT NULL AND location IS NULL) OR (storage IN ('file', 'link') AND content IS NULL AND location IS NOT NULL)",
            name="ck_artifacts_one_place",
        ),
        sa.PrimaryKeyConstraint("artifact_id", name="pk_artifacts"),
        sa.UniqueConstraint("name", "version", name="uq_artifacts_name_version"),
    )
    op.create_table(
        "changes",
        sa.Column("collection_id", KEY, autoincrement=False, nullable=False),
        sa.Column("generation", KEY, autoincrement=False, nullable=False),
        sa.Column("chunk_id", KEY, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.CheckConstraint("kind IN ('add', 'remove')", name="ck_changes_kind"),
        sa.PrimaryKeyConstraint("collection_id", "generation", "chunk_id", name="pk_changes"),
    )
    op.create_table(
        "collections",
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("space_model", sa.Text(), nullable=True),
        sa.Column("space_weights_sha256", sa.String(length=64), nullable=True),
        sa.Column("space_dimension", sa.Integer(), nullable=True),
        sa.Column("space_normalised", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("collection_id", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
    )
    op.create_table(
        "corpus_state",
        sa.Column("state_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", KEY, nullable=False),
        sa.Column("held_at", KEY, nullable=True),
        sa.Column("fence", KEY, nullable=False),
        sa.Column("next_document_id", KEY, nullable=False),
        sa.Column("next_source_id", KEY, nullable=False),
        sa.Column("next_chunk_id", KEY, nullable=False),
        sa.CheckConstraint("state_id = 1", name="ck_corpus_state_single_row"),
        sa.PrimaryKeyConstraint("state_id", name="pk_corpus_state"),
    )
    op.create_table(
        "users",
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "documents",
        sa.Column("document_id", KEY, autoincrement=False, nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("from_generation", KEY, nullable=False),
        sa.Column("to_generation", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_documents_collection_id"
        ),
        sa.PrimaryKeyConstraint("document_id", name="pk_documents"),
    )
    op.create_index(
        "uq_documents_live_content",
        "documents",
        ["collection_id", "content_sha256"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )

    op.create_table(
        "ingest_runs",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("report", JSON_VALUE, nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_ingest_runs_collection_id"
        ),
        sa.PrimaryKeyConstraint("run_id", name="pk_ingest_runs"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_sessions_user_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
        sa.UniqueConstraint("user_id", "name", name="uq_sessions_user_id_name"),
    )
    op.create_table(
        "chunks",
        sa.Column("chunk_id", KEY, autoincrement=False, nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("start_offset", sa.Integer(), nullable=False),
        sa.Column("end_offset", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("embedded_sha256", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("from_generation", KEY, nullable=False),
        sa.Column("to_generation", KEY, nullable=True),
        sa.CheckConstraint(
            "start_offset >= 0 AND end_offset > start_offset", name="ck_chunks_span"
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_chunks_collection_id"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.document_id"], name="fk_chunks_document_id"
        ),
        sa.PrimaryKeyConstraint("chunk_id", name="pk_chunks"),
    )
    op.create_index("ix_chunks_collection", "chunks", ["collection_id", "chunk_id"])
    op.create_index("ix_chunks_document", "chunks", ["document_id"])
    op.create_index("ix_chunks_embedded", "chunks", ["embedded_sha256"])

    op.create_table(
        "generations",
        sa.Column("generation", KEY, autoincrement=False, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("committed_at", INSTANT, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["ingest_runs.run_id"], name="fk_generations_run_id"),
        sa.PrimaryKeyConstraint("generation", name="pk_generations"),
    )
    op.create_table(
        "prompts",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("session_id", KEY, nullable=True),
        sa.Column("collection", sa.String(length=200), nullable=False),
        sa.Column("generation", KEY, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("rendered", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("template_sha256", sa.String(length=64), nullable=False),
        sa.Column("sampling", JSON_VALUE, nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=11), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("usage", JSON_VALUE, nullable=True),
        sa.Column("timings", JSON_VALUE, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('grounded', 'partial', 'no_evidence')", name="ck_prompts_state"
        ),
        sa.CheckConstraint(
            "status <> 'completed' OR (answer IS NOT NULL AND state IS NOT NULL)",
            name="ck_prompts_completed_has_answer",
        ),
        sa.CheckConstraint(
            "status IN ('started', 'completed', 'failed', 'cancelled')", name="ck_prompts_status"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["prompts.prompt_id"], name="fk_prompts_parent_id"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_prompts_session_id"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_prompts_user_id"),
        sa.PrimaryKeyConstraint("prompt_id", name="pk_prompts"),
    )
    op.create_index("ix_prompts_created", "prompts", ["created_at", "prompt_id"])
    op.create_index("ix_prompts_parent", "prompts", ["parent_id"])
    op.create_index("ix_prompts_session", "prompts", ["session_id", "created_at"])
    op.create_index("ix_prompts_user", "prompts", ["user_id", "created_at"])

    op.create_table(
        "sources",
        sa.Column("source_id", KEY, autoincrement=False, nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("place_sha256", sa.String(length=64), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source_metadata", JSON_VALUE, nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("record_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=9), nullable=False),
        sa.Column("generator_id", sa.Text(), nullable=True),
        sa.Column("from_generation", KEY, nullable=False),
        sa.Column("to_generation", KEY, nullable=True),
        sa.CheckConstraint(
            "(origin = 'real' AND generator_id IS NULL) OR (origin = 'synthetic' AND generator_id IS NOT NULL AND generator_id <> '')",
            name="ck_sources_synthetic_names_its_generator",
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.collection_id"], name="fk_sources_collection_id"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.document_id"], name="fk_sources_document_id"
        ),
        sa.PrimaryKeyConstraint("source_id", name="pk_sources"),
    )
    op.create_index("ix_sources_document", "sources", ["document_id"])
    op.create_index(
        "ix_sources_synthetic",
        "sources",
        ["collection_id"],
        sqlite_where=SYNTHETIC,
        postgresql_where=SYNTHETIC,
    )
    op.create_index(
        "uq_sources_live_place",
        "sources",
        ["collection_id", "place_sha256"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )

    op.create_table(
        "citations",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chunk_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("start_offset", sa.Integer(), nullable=False),
        sa.Column("end_offset", sa.Integer(), nullable=False),
        sa.Column("answer_start", sa.Integer(), nullable=False),
        sa.Column("answer_end", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "start_offset >= 0 AND end_offset > start_offset AND answer_end >= answer_start",
            name="ck_citations_spans",
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_citations_prompt_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "ordinal", name="pk_citations"),
    )
    op.create_index("ix_citations_document_id", "citations", ["document_id"])

    op.create_table(
        "prompt_evidence",
        sa.Column("prompt_id", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chunk_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("vector_rank", sa.Integer(), nullable=True),
        sa.Column("keyword_rank", sa.Integer(), nullable=True),
        sa.Column("cited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.prompt_id"], name="fk_prompt_evidence_prompt_id"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "rank", name="pk_prompt_evidence"),
    )
    op.create_index("ix_prompt_evidence_chunk_id", "prompt_evidence", ["chunk_id"])
    op.create_index("ix_prompt_evidence_document_id", "prompt_evidence", ["document_id"])

    op.create_table(
        "source_labels",
        sa.Column("source_id", KEY, nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.source_id"], name="fk_source_labels_source_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "label", name="pk_source_labels"),
    )
    op.execute(
        "INSERT INTO corpus_state (state_id, generation, fence,"
        " next_document_id, next_source_id, next_chunk_id) VALUES (1, 0, 0, 1, 1, 1)"
    )


def downgrade() -> None:
    for table in (
        "source_labels",
        "prompt_evidence",
        "citations",
        "sources",
        "prompts",
        "generations",
        "chunks",
        "sessions",
        "ingest_runs",
        "documents",
        "users",
        "corpus_state",
        "collections",
        "changes",
        "artifacts",
    ):
        op.drop_table(table)
