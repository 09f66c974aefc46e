"""What is remembered of a database is what it says now, whoever has written to it since."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Connection, text

from storage.engine import Database

Read = Callable[[Connection], int]


@pytest.fixture
def counted(database: Database) -> tuple[Read, list[int]]:
    """Counts collections, and notes each time it is asked to."""
    asked: list[int] = []

    def read(connection: Connection) -> int:
        asked.append(1)
        found: int = connection.execute(text("SELECT count(*) FROM collections")).scalar_one()
        return found

    return read, asked


def add_collection(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO collections (name, created_at) VALUES (:name, :now)"),
            {"name": name, "now": "2026-01-01 00:00:00+00:00"},
        )


def test_what_was_committed_by_anybody_is_seen_at_once(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, _ = counted
    other = Database(database.engine.url)
    for number in range(4):
        assert database.remembered("count", read) == number
        add_collection(database if number % 2 else other, f"c{number}")
    database.close()
    assert database.remembered("count", read) == 4
    other.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_is_asked_again_only_after_a_commit(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, asked = counted
    assert [database.remembered("count", read) for _ in range(5)] == [0] * 5
    assert len(asked) == 1
    add_collection(database, "new")
    assert [database.remembered("count", read) for _ in range(5)] == [1] * 5
    assert len(asked) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_numbers_of_two_connections_are_not_taken_for_each_other(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, _ = counted
    assert database.remembered("count", read) == 0
    database.close()
    path = database.sqlite_path
    assert path is not None
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO collections (name, created_at) VALUES ('x', '2026-01-01')")
    other.close()
    assert database.remembered("count", read) == 1


def test_many_threads_never_see_less_than_what_they_committed(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, _ = counted
    late: list[tuple[int, int]] = []

    def work(name: str) -> None:
        for number in range(10):
            add_collection(database, f"{name}{number}")
            seen = database.remembered("count", read)
            if seen < number + 1:
                late.append((seen, number + 1))

    threads = [Thread(target=work, args=[name]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert late == []
    assert database.remembered("count", read) == 30


def test_what_can_not_be_read_says_why(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "none" / "truth.db")
    with pytest.raises(Exception, match="can't be reached"):
        database.remembered("x", lambda connection: 1)


def test_a_failing_read_is_not_remembered(database: Database) -> None:
    def fail(_connection: Connection) -> int:
        raise KeyError("once")

    with pytest.raises(KeyError):
        database.remembered("x", fail)
    assert database.remembered("x", lambda _connection: 7) == 7


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_within_one_look_a_commit_is_not_looked_for_again(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, asked = counted
    with database.one_look():
        assert database.remembered("count", read) == 0
        add_collection(database, "new")
        assert database.remembered("count", read) == 0
        elsewhere: list[int] = []
        thread = Thread(target=lambda: elsewhere.append(database.remembered("count", read)))
        thread.start()
        thread.join()
        assert elsewhere == [1]
    assert database.remembered("count", read) == 1
    assert len(asked) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_read_for_the_first_time_in_a_look_is_what_is_there_now(
    database: Database, counted: tuple[Read, list[int]]
) -> None:
    read, _ = counted
    with database.one_look():
        assert database.remembered("other", lambda _: 7) == 7
        add_collection(database, "new")
        assert database.remembered("count", read) == 1
    assert database.remembered("count", read) == 1
