"""Past prompts by what is said of them, by their words and by their meaning.

Triggers keep the tables: whoever writes an exchange has nothing to remember. Their statements are
put together of names that stand in this file, and of nothing else.
"""

# ruff: noqa: S608

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    "prompt_questions",
    "question_vectors",
    "prompt_means",
    "cited_documents",
    "prompt_postings",
    "prompt_facts",
    "prompt_kinds",
    "prompt_names",
)
HAS_TAG, SHOWN, CITES = 1, 2, 3
_SAME = (
    "document_id = {row}.document_id AND source = {row}.source AND external_id = {row}.external_id"
)
SEPARATORS = (
    r"[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\xd7\xf7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff"
    r"\u3000-\u303f\uff00-\uff0f]+"
)
"""What stands between words."""


class Trigger(NamedTuple):
    """What happens after each row of `table` is changed so: `{new}` and `{old}` are the row."""

    name: str
    table: str
    event: str
    statements: tuple[str, ...]


def upgrade() -> None:
    _create_tables()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    (_create_sqlite_words if is_sqlite else _create_postgresql_words)()
    _fill(is_sqlite=is_sqlite)
    for trigger in triggers(is_sqlite=is_sqlite):
        for statement in written(trigger, is_sqlite=is_sqlite):
            op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for trigger in triggers(is_sqlite=is_sqlite):
        if is_sqlite:
            op.execute(f"DROP TRIGGER {trigger.name}")
        else:
            op.execute(f"DROP TRIGGER {trigger.name} ON {trigger.table}")
            op.execute(f"DROP FUNCTION {trigger.name}()")
    op.drop_table("prompt_words")
    for table in TABLES:
        op.drop_table(table)


def written(trigger: Trigger, *, is_sqlite: bool) -> list[str]:
    """The statements that make a trigger."""
    new, old = ("new", "old") if is_sqlite else ("NEW", "OLD")
    body = "\n".join(f"{statement.format(new=new, old=old)};" for statement in trigger.statements)
    timing = f"AFTER {trigger.event} ON {trigger.table}"
    if is_sqlite:
        return [f"CREATE TRIGGER {trigger.name} {timing} BEGIN\n{body}\nEND"]
    return [
        f"CREATE FUNCTION {trigger.name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN\n{body}\nRETURN NULL; END $$",
        f"CREATE TRIGGER {trigger.name} {timing} FOR EACH ROW EXECUTE FUNCTION {trigger.name}()",
    ]


def triggers(*, is_sqlite: bool) -> tuple[Trigger, ...]:
    facts = _facts("{new}", is_sqlite=is_sqlite)
    names, values = ", ".join(facts), ", ".join(facts.values())
    changes = ", ".join(f"{name} = {value}" for name, value in facts.items())
    words = _sqlite_words() if is_sqlite else _postgresql_words()
    return (
        Trigger(
            "prompts_added",
            "prompts",
            "INSERT",
            (
                _new_kind("{new}"),
                f"INSERT INTO prompt_facts ({names}) VALUES ({values})",
                words["added"],
            ),
        ),
        Trigger(
            "prompts_changed",
            "prompts",
            "UPDATE",
            (
                _new_kind("{new}"),
                f"UPDATE prompt_facts SET {changes} WHERE number = {{old}}.number",
            ),
        ),
        Trigger(
            "prompts_said_otherwise",
            "prompts",
            "UPDATE OF question, answer, number",
            (words["gone"], words["added"]),
        ),
        Trigger(
            "prompts_gone",
            "prompts",
            "DELETE",
            (
                "DELETE FROM prompt_facts WHERE number = {old}.number",
                words["gone"],
                "DELETE FROM question_vectors WHERE question_id = (SELECT question_id"
                " FROM prompt_questions WHERE number = {old}.number) AND NOT EXISTS (SELECT 1"
                " FROM prompt_questions WHERE question_id = question_vectors.question_id"
                " AND number <> {old}.number)",
                "DELETE FROM prompt_questions WHERE number = {old}.number",
            ),
        ),
        *_tagged(),
        *_shown(),
        *_cited(),
    )


def _kind(row: str) -> dict[str, str]:
    """Each column of `prompt_kinds` but its key, as it follows from a row of `prompts`."""
    texts = ("model", "collection", "application", "category", "state", "status")
    kind = {name: f"coalesce({row}.{name}, '')" for name in texts}
    return {**kind, "template_id": f"coalesce({row}.template_id, 0)"}


def _is_kind(row: str) -> str:
    return " AND ".join(f"prompt_kinds.{name} = {value}" for name, value in _kind(row).items())


def _new_kind(row: str) -> str:
    """Gives a combination its number. (An outer ON CONFLICT would overrule one in a trigger.)"""
    kind = _kind(row)
    return (
        f"INSERT INTO prompt_kinds ({', '.join(kind)}) SELECT {', '.join(kind.values())}"
        f" WHERE NOT EXISTS (SELECT 1 FROM prompt_kinds WHERE {_is_kind(row)})"
    )


def _facts(row: str, *, is_sqlite: bool) -> dict[str, str]:
    """Each column of `prompt_facts` as it follows from a row of `prompts`."""
    return {
        "number": f"{row}.number",
        "kind_id": f"(SELECT min(kind_id) FROM prompt_kinds WHERE {_is_kind(row)})",
        "user_id": f"{row}.user_id",
        "seconds": f"{row}.seconds",
        "confidence": f"{row}.confidence",
        "asked_us": _microseconds(row, is_sqlite=is_sqlite),
        "session_id": f"coalesce({row}.session_id, 0)",
        "generation": f"{row}.generation",
        "cost": f"{row}.cost",
        "prompt_tokens": _tokens(row, "prompt_tokens", is_sqlite=is_sqlite),
        "completion_tokens": _tokens(row, "completion_tokens", is_sqlite=is_sqlite),
    }


def _microseconds(row: str, *, is_sqlite: bool) -> str:
    if is_sqlite:
        seconds = f"CAST(strftime('%s', {row}.created_at) AS INTEGER)"
        return f"({seconds} * 1000000 + CAST(substr({row}.created_at, 21, 6) AS INTEGER))"
    return f"CAST(extract(epoch FROM {row}.created_at) * 1000000 AS bigint)"


def _tokens(row: str, name: str, *, is_sqlite: bool) -> str:
    if is_sqlite:
        return (
            f"CASE WHEN json_type({row}.usage, '$.{name}') IN ('integer', 'real')"
            f" THEN CAST(json_extract({row}.usage, '$.{name}') AS INTEGER) END"
        )
    return (
        f"CASE WHEN jsonb_typeof({row}.usage -> '{name}') = 'number'"
        f" THEN CAST(trunc(CAST({row}.usage ->> '{name}' AS numeric)) AS bigint) END"
    )


def _name(value: str) -> str:
    return (
        f"INSERT INTO prompt_names (name) SELECT {value} WHERE {value} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM prompt_names WHERE name = {value})"
    )


def _sqlite_words() -> dict[str, str]:
    return {
        "added": "INSERT INTO prompt_words (rowid, question, answer)"
        " VALUES ({new}.number, {new}.question, {new}.answer)",
        "gone": "INSERT INTO prompt_words (prompt_words, rowid, question, answer)"
        " VALUES ('delete', {old}.number, {old}.question, {old}.answer)",
    }


def _postgresql_words() -> dict[str, str]:
    return {
        "added": "INSERT INTO prompt_words (number, words)"
        f" VALUES ({{new}}.number, {_vector('{new}')})",
        "gone": "DELETE FROM prompt_words WHERE number = {old}.number",
    }


def _vector(row: str) -> str:
    """Without accents, and without what PostgreSQL would take for parts of an address or of a
    number. The question counts for more, as it is shorter."""
    parts = (
        f"setweight({_plain_vector(told)}, '{weight}')"
        for told, weight in (
            (f"{row}.question", "A"),
            (f"coalesce({row}.answer, '')", "D"),
        )
    )
    # What stands between keeps a phrase from reaching from one into the other.
    apart = " || CAST('-:1' AS tsvector) || ".join(parts)
    return f"ts_delete({apart}, '-')"


def _plain_vector(told: str) -> str:
    bare = f"regexp_replace(normalize(left({told}, 100000), NFKD), '[\u0300-\u036f]', '', 'g')"
    return f"to_tsvector('simple', regexp_replace({bare}, '{SEPARATORS}', ' ', 'g'))"


def _tagged() -> tuple[Trigger, ...]:
    return (
        Trigger(
            "prompt_tags_added",
            "prompt_tags",
            "INSERT",
            (_name("{new}.tag"), _posting(HAS_TAG, _tag_id("{new}"), "{new}")),
        ),
        Trigger(
            "prompt_tags_gone",
            "prompt_tags",
            "DELETE",
            (
                f"DELETE FROM prompt_postings WHERE relation = {HAS_TAG}"
                f" AND key = {_tag_id('{old}')} AND number = {_number('{old}')}",
            ),
        ),
    )


def _shown() -> tuple[Trigger, ...]:
    return (
        Trigger(
            "prompt_evidence_added",
            "prompt_evidence",
            "INSERT",
            (_posting(SHOWN, "{new}.document_id", "{new}"),),
        ),
        Trigger(
            "prompt_evidence_gone",
            "prompt_evidence",
            "DELETE",
            (
                f"DELETE FROM prompt_postings WHERE relation = {SHOWN}"
                f" AND key = {{old}}.document_id AND number = {_number('{old}')} AND NOT EXISTS"
                " (SELECT 1 FROM prompt_evidence WHERE prompt_id = {old}.prompt_id"
                " AND document_id = {old}.document_id)",
            ),
        ),
    )


def _cited() -> tuple[Trigger, ...]:
    called = (
        "INSERT INTO cited_documents (document_id, source, external_id)"
        " SELECT {new}.document_id, {new}.source, {new}.external_id"
        f" WHERE NOT EXISTS (SELECT 1 FROM cited_documents WHERE {_SAME.format(row='{new}')})"
    )
    cites = _posting(CITES, _cited_id("{new}"), "{new}")
    no_longer = (
        f"DELETE FROM prompt_postings WHERE relation = {CITES} AND key = {_cited_id('{old}')}"
        f" AND number = {_number('{old}')} AND NOT EXISTS (SELECT 1 FROM citations"
        f" WHERE prompt_id = {{old}}.prompt_id AND {_SAME.format(row='{old}')})"
    )
    return (
        Trigger("citations_added", "citations", "INSERT", (called, cites)),
        Trigger(
            "citations_changed",
            "citations",
            "UPDATE OF document_id, source, external_id",
            (no_longer, called, cites),
        ),
        Trigger("citations_gone", "citations", "DELETE", (no_longer,)),
    )


def _cited_id(row: str) -> str:
    return f"(SELECT min(cited_id) FROM cited_documents WHERE {_SAME.format(row=row)})"


def _number(row: str) -> str:
    return f"(SELECT number FROM prompts WHERE prompt_id = {row}.prompt_id)"


def _tag_id(row: str) -> str:
    return f"(SELECT min(name_id) FROM prompt_names WHERE name = {row}.tag)"


def _posting(relation: int, key: str, row: str) -> str:
    return (
        f"INSERT INTO prompt_postings (relation, key, number) SELECT {relation}, {key},"
        f" {_number(row)} WHERE NOT EXISTS (SELECT 1 FROM prompt_postings WHERE"
        f" relation = {relation} AND key = {key} AND number = {_number(row)})"
    )


def _create_sqlite_words() -> None:
    op.execute(
        "CREATE VIRTUAL TABLE prompt_words USING fts5(question, answer, content='prompts',"
        " content_rowid='number', tokenize='unicode61 remove_diacritics 2')"
    )


def _create_postgresql_words() -> None:
    op.execute("CREATE TABLE prompt_words (number bigint PRIMARY KEY, words tsvector NOT NULL)")
    op.execute("CREATE INDEX ix_prompt_words_words ON prompt_words USING gin (words)")


def _fill(*, is_sqlite: bool) -> None:
    """Says of what is there already what the triggers say of what comes."""
    kind = _kind("prompts")
    op.execute(
        f"INSERT INTO prompt_kinds ({', '.join(kind)})"
        f" SELECT DISTINCT {', '.join(kind.values())} FROM prompts"
    )
    op.execute(
        "INSERT INTO prompt_names (name) SELECT DISTINCT tag FROM prompt_tags"
        " WHERE NOT EXISTS (SELECT 1 FROM prompt_names WHERE name = tag)"
    )
    facts = _facts("prompts", is_sqlite=is_sqlite)
    op.execute(
        sa.text(
            f"INSERT INTO prompt_facts ({', '.join(facts)})"
            f" SELECT {', '.join(facts.values())} FROM prompts"
        )
    )
    op.execute(
        "INSERT INTO cited_documents (document_id, source, external_id)"
        " SELECT DISTINCT document_id, source, external_id FROM citations"
    )
    for relation, key, table in (
        (HAS_TAG, _tag_id("prompt_tags"), "prompt_tags"),
        (SHOWN, "document_id", "prompt_evidence"),
        (CITES, _cited_id("citations"), "citations"),
    ):
        op.execute(
            "INSERT INTO prompt_postings (relation, key, number)"
            f" SELECT DISTINCT {relation}, {key}, {_number(table)} FROM {table}"
        )
    if is_sqlite:
        op.execute("INSERT INTO prompt_words (prompt_words) VALUES ('rebuild')")
    else:
        words = _vector("prompts").replace(":", r"\:")
        op.execute(sa.text(f"INSERT INTO prompt_words SELECT number, {words} FROM prompts"))


def _create_tables() -> None:
    op.create_table(
        "prompt_names",
        sa.Column("name_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name_id", name="pk_prompt_names"),
    )
    op.create_index("ix_prompt_names_name", "prompt_names", ["name"], postgresql_using="hash")
    op.create_table(
        "prompt_kinds",
        sa.Column("kind_id", KEY, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("collection", sa.String(length=200), nullable=False),
        sa.Column("application", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=11), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("template_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("kind_id", name="pk_prompt_kinds"),
    )
    op.create_index(
        "ix_prompt_kinds_kind",
        "prompt_kinds",
        ["category", "application", "state", "status", "template_id"],
    )
    op.create_table(
        "prompt_facts",
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.Column("kind_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("rating", sa.Double(), nullable=True),
        sa.Column("asked_us", KEY, nullable=False),
        sa.Column("session_id", KEY, nullable=False),
        sa.Column("generation", KEY, nullable=False),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("prompt_tokens", KEY, nullable=True),
        sa.Column("completion_tokens", KEY, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_prompt_facts"),
    )
    for name, columns in (
        ("kind", ["kind_id", "number"]),
        ("user", ["user_id", "number"]),
        ("session", ["session_id", "number"]),
        ("seconds", ["seconds"]),
        ("asked", ["asked_us"]),
    ):
        op.create_index(f"ix_prompt_facts_{name}", "prompt_facts", columns)
    op.create_index(
        "ix_prompt_facts_rating",
        "prompt_facts",
        ["rating"],
        sqlite_where=sa.text("rating IS NOT NULL"),
        postgresql_where=sa.text("rating IS NOT NULL"),
    )
    op.create_table(
        "prompt_postings",
        sa.Column("relation", sa.SmallInteger(), nullable=False),
        sa.Column("key", KEY, autoincrement=False, nullable=False),
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("relation", "key", "number", name="pk_prompt_postings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cited_documents",
        sa.Column("cited_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cited_id", name="pk_cited_documents"),
    )
    op.create_index("ix_cited_documents_document", "cited_documents", ["document_id"])
    op.create_table(
        "prompt_means",
        sa.Column("metric_id", KEY, autoincrement=False, nullable=False),
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("metric_id", "number", name="pk_prompt_means"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_prompt_means_value", "prompt_means", ["metric_id", "value", "number"])
    _create_vectors()


def _create_vectors() -> None:
    op.create_table(
        "question_vectors",
        sa.Column("question_id", KEY, nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("space_sha256", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("question_id", name="pk_question_vectors"),
    )
    op.create_index(
        "uq_question_vectors_text", "question_vectors", ["text_sha256", "space_sha256"], unique=True
    )
    op.create_table(
        "prompt_questions",
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.Column("question_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_prompt_questions"),
    )
    op.create_index("ix_prompt_questions_question", "prompt_questions", ["question_id"])
