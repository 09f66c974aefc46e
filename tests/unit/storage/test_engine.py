"""What a database says when it can't be used, in one line, without secrets and documents."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from support.corpora import place, writing

from storage.engine import Database
from storage.errors import DatabaseUnreachableError, InvalidRecordError, StorageError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no database URL"),
        ("knowledge.db", "'knowledge.db' is no database URL"),
        ("postgresql://user@host:port/name", "no database URL"),
        ("mysql://host/name", "'mysql' is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_names_no_database_is_refused_with_the_remedy(url: str, said: str) -> None:
    with pytest.raises(StorageError, match=said) as raised:
        Database(url)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@host:port/x", "postgres//u:hunter2@h/x"])
def test_a_refused_url_never_shows_its_password(url: str) -> None:
    with pytest.raises(StorageError) as raised:
        Database(url)
    assert "hunter2" not in str(raised.value)


def test_an_unreachable_server_is_named_without_its_password() -> None:
    database = Database("postgresql://u:hunter2@127.0.0.1:1/x")
    with pytest.raises(DatabaseUnreachableError, match="127.0.0.1") as raised, database.read():
        pass
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.retryable


def test_a_folder_that_is_missing_makes_sqlite_unreachable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'rag.db'}")
    with pytest.raises(DatabaseUnreachableError, match=r"missing/rag\.db"), database.read():
        pass


def test_a_file_that_is_no_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "rag.db"
    path.write_bytes(b"not a database at all " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="restore it from a backup"), database.read():
        pass


def test_a_refused_record_is_never_mistaken_for_a_full_disk_whatever_it_says(
    database: Database,
) -> None:
    title = "the house is full, the connection malformed, No space left"
    with writing(database) as writer:
        with pytest.raises(InvalidRecordError, match="refuses this record") as raised:
            writer.commit([place("full", "full", title=title, generator_id="g")])
    assert title not in str(raised.value)


def test_a_write_that_raises_leaves_no_trace(database: Database) -> None:

    with pytest.raises(StorageError, match="no_such_column"), _bumped(database) as connection:
        connection.execute(text("SELECT no_such_column FROM corpus_state"))
    with database.read() as connection:
        assert connection.execute(text("SELECT fence FROM corpus_state")).scalar_one() == 0


def test_a_read_sees_one_state_while_another_writes(database: Database) -> None:
    fence = text("SELECT fence FROM corpus_state")
    with database.read() as reading:
        before = reading.execute(fence).scalar_one()
        with database.write() as writing_:
            writing_.execute(text("UPDATE corpus_state SET fence = fence + 1"))
        assert reading.execute(fence).scalar_one() == before
    with database.read() as reading:
        assert reading.execute(fence).scalar_one() == before + 1


def test_a_connection_that_breaks_in_the_middle_of_many_rows_says_so_once(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(postgres_url)
    with pytest.raises(DatabaseUnreachableError, match="can't be reached"):
        _insert_over_a_broken_connection(database)
    database.close()
    assert caplog.messages == []


def _insert_over_a_broken_connection(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE numbers (n integer)"))
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with database.own_connection() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        rows = [{"n": n} for n in range(1000)]
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), rows)


@contextmanager
def _bumped(database: Database) -> Iterator[Connection]:
    """A transaction that has changed something."""
    with database.write() as connection:
        connection.execute(text("UPDATE corpus_state SET fence = fence + 1"))
        yield connection
