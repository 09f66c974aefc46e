"""Migrations up and down, and what is said to a database at another one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import bindparam, inspect, text

from storage import schema
from storage.engine import Database
from storage.errors import DatabaseUnreachableError, SchemaError, StorageError
from storage.models.base import JsonValue


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(schema.migrations_folder()))
    assert scripts.get_heads() == [schema.HEAD]


def test_migrations_and_models_say_the_same(database: Database) -> None:
    with database.write() as connection:
        command.check(schema.alembic_config(connection))


def test_down_and_up_again_leaves_the_same_tables(database: Database) -> None:
    before = set(inspect(database.engine).get_table_names())
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "base")
    assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}
    schema.upgrade(database)
    assert set(inspect(database.engine).get_table_names()) == before


def test_preparing_twice_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE corpus_state SET fence = 41"))
    schema.prepare(database)
    schema.upgrade(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT fence FROM corpus_state")).scalar() == 41


def test_many_that_open_a_new_database_at_once_all_succeed(empty_database_url: str) -> None:
    databases = [Database(empty_database_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(schema.prepare, databases))
    with databases[0].read() as connection:
        assert connection.execute(text("SELECT count(*) FROM corpus_state")).scalar() == 1
    for database in databases:
        database.close()


@pytest.mark.parametrize(
    ("revision", "said"),
    [("0000", "run `rag db upgrade`"), ("9999", "install the newer")],
)
def test_another_migration_is_refused_with_the_remedy(
    database: Database, revision: str, said: str
) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(SchemaError, match=said):
        schema.prepare(database)


def test_a_database_of_somebody_else_is_left_alone(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE recipes (name text)"))
    with pytest.raises(SchemaError, match="other tables"):
        schema.prepare(database)
    assert inspect(database.engine).get_table_names() == ["recipes"]
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"These are my notes, not a database. " * 50)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="not an intact database"):
        schema.prepare(database)
    database.close()


def test_a_database_that_cant_be_reached_is_named(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/missing/x.db", "postgresql://nobody@127.0.0.1:1/x"):
        database = Database(url)
        with pytest.raises(DatabaseUnreachableError, match="can't be reached"):
            schema.prepare(database)
        database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/x", "sqlite://"])
def test_a_url_that_names_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="use sqlite or postgresql|database URL|needs a file"):
        Database(url)


def test_a_password_is_never_shown() -> None:
    assert "secret" not in Database("postgresql://me:secret@127.0.0.1:1/x").shown_url


def test_a_filled_database_keeps_its_documents_on_the_way_up_and_down(
    empty_database_url: str,
) -> None:
    database = Database(empty_database_url)
    with database.write() as connection:
        command.upgrade(schema.alembic_config(connection), "0001")
    with database.write() as connection:
        for statement in _FILLED:
            connection.execute(text(statement))
    schema.upgrade(database)
    with database.read() as connection:
        found = connection.execute(text("SELECT text, is_held_back, outline FROM documents")).all()
    assert [tuple(row) for row in found] == [("Words.", False, None)]
    with pytest.raises(StorageError), database.write() as connection:
        connection.execute(text("UPDATE documents SET is_held_back = true"))
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0001")
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM chunks")).scalar() == 1
    database.close()


def test_what_is_stored_can_be_filtered_by_after_the_upgrade(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.write() as connection:
        command.upgrade(schema.alembic_config(connection), "0002")
    with database.write() as connection:
        for statement in _FILLED:
            connection.execute(text(statement))
        for number, metadata in enumerate(_METADATA, start=1):
            connection.execute(
                text(_SOURCE).bindparams(bindparam("metadata", type_=JsonValue)),
                {"number": number, "metadata": metadata},
            )
    schema.upgrade(database)
    statement = (
        "SELECT source_id, ordinal, collection_id, field, kind, number, text_key, long_text"
        " FROM source_values ORDER BY source_id, ordinal"
    )
    with database.read() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    day = 1_577_836_800.0
    assert found == [
        (1, 0, 1, "year", "number", 2020.0, None, None),
        (1, 1, 1, "y-tags", "text", None, "a", None),
        (1, 2, 1, "y-tags", "truth", 1.0, None, None),
        (3, 0, 1, "by.day", "text", None, "2020-01-01", None),
        (3, 1, 1, "by.day", "date", day, None, None),
        (3, 2, 1, "by.long", "long", None, "x" * 200, "x" * 300),
    ]
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0002")
    schema.upgrade(database)
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(text(statement))] == found
    database.close()


_METADATA = (
    {"year": 2020, "y-tags": ["a", True, None]},
    {},
    {"by": {"day": "2020-01-01", "long": "x" * 300}},
)
_SOURCE = (
    "INSERT INTO sources (source_id, collection_id, document_id, place_sha256, uri, external_id,"
    " title, source_metadata, media_type, record_sha256, fingerprint, origin, from_generation)"
    " VALUES (:number, 1, 1, CAST(:number AS TEXT), 'u', 'e', '', :metadata, 'text/plain',"
    " 'r', 'f', 'real', 1)"
)
_FILLED = (
    "INSERT INTO collections (collection_id, name, created_at)"
    " VALUES (1, 'main', '2026-01-01 00:00:00')",
    "INSERT INTO documents (document_id, collection_id, content_sha256, fingerprint, title, text,"
    " from_generation) VALUES (1, 1, 'c', 'f', '', 'Words.', 1)",
    "INSERT INTO chunks (chunk_id, collection_id, document_id, start_offset, end_offset, text,"
    " embedded_sha256, vector, from_generation) VALUES (1, 1, 1, 0, 6, 'Words.', 'e', '', 1)",
)
