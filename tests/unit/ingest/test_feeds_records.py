"""Records of a program and rows of a query become the documents that their lines would be."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from ingest.feed import Item, ReadThrough
from ingest.feeds.errors import FeedError
from ingest.feeds.records import RecordsFeed
from ingest.feeds.sql import Columns, SqlFeed
from ingest.records import RawDocument, Refusal
from storage.errors import DatabaseUnreachableError, StorageError
from storage.sql_source import SqlSource

COLUMNS = Columns(id="id", text=("body",), title="title", updated="changed")


def read(feed: RecordsFeed | SqlFeed) -> list[Item]:
    return [item for resource in feed.resources() for item in resource.read(None)]


def records(items: list[Item]) -> list[dict[str, Any]]:
    return [json.loads(item.data) for item in items if isinstance(item, RawDocument)]


def test_records_are_documents_under_the_name_of_their_source() -> None:
    given = [{"_id": "a", "title": "T", "text": "x", "metadata": {"year": 1}}, {"text": "y"}]
    feed = RecordsFeed(iter(given), "crm")
    first, second, end = read(feed)
    assert isinstance(first, RawDocument)
    assert isinstance(second, RawDocument)
    assert (first.uri, first.external_id, second.external_id) == ("records:crm", "a", "#2")
    assert end == ReadThrough(None)
    assert feed.covers("records:crm")
    assert not feed.covers("records:crm2")


def test_the_order_of_keys_does_not_change_a_record() -> None:
    one = read(RecordsFeed([{"_id": "a", "text": "x"}], "s"))
    other = read(RecordsFeed([{"text": "x", "_id": "a"}], "s"))
    assert one == other


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"_id": "a"}, '"text"'),
        ({"_id": "a", "text": 7}, '"text"'),
        ({"_id": "a", "text": "x", "metadata": {"at": object()}}, "no JSON value"),
        ({"_id": "a", "text": "\ud800"}, "surrogate"),
        ({"_id": "a\x00", "text": "x"}, "control character"),
        ({"_id": True, "text": "x"}, "neither a string nor a number"),
    ],
)
def test_a_record_that_is_none_is_refused_and_the_next_is_read(
    record: dict[str, Any], said: str
) -> None:
    refusal, document, _ = read(RecordsFeed([record, {"_id": "b", "text": "x"}], "s"))
    assert isinstance(refusal, Refusal)
    assert said in refusal.reason
    assert refusal.source == "records:s:1"
    assert isinstance(document, RawDocument)


def test_of_two_records_with_one_id_the_second_is_refused() -> None:
    twice = [{"_id": "a", "text": "x"}, {"_id": "a", "text": "y"}]
    _, refusal, _ = read(RecordsFeed(twice, "s"))
    assert isinstance(refusal, Refusal)
    assert "record 1" in refusal.reason


def test_values_of_a_database_are_written_as_json() -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    metadata = {"at": at, "price": Decimal("1.50"), "key": UUID(int=7), "tags": {"b", "a"}}
    (record,) = records(read(RecordsFeed([{"_id": "a", "text": "x", "metadata": metadata}], "s")))
    assert record["metadata"] == {
        "at": "2026-01-02T03:04:00+00:00",
        "price": "1.50",
        "key": "00000000-0000-0000-0000-000000000007",
        "tags": ["a", "b"],
    }


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with one table of articles."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'articles.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE IF EXISTS articles",
            "CREATE TABLE articles (id INTEGER, title TEXT, body TEXT, author TEXT, changed TEXT)",
            "INSERT INTO articles VALUES (1, 'Bees', 'Bees dance.', 'Ann', '1')",
            "INSERT INTO articles VALUES (2, NULL, 'Rye 100% at 12\\:30 o''clock.', 'Bo', '1')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    return url


def change(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def feed_of(url: str, query: str = "SELECT * FROM articles ORDER BY id;") -> SqlFeed:
    source = SqlSource.at(url, query)
    return SqlFeed(uri=f"{source.place}#articles", columns=COLUMNS, rows=source.rows)


def test_rows_are_documents_and_other_columns_their_metadata(url: str) -> None:
    feed = feed_of(url)
    items = read(feed)
    assert records(items) == [
        {"_id": "1", "title": "Bees", "text": "Bees dance.", "metadata": {"author": "Ann"}},
        {
            "_id": "2",
            "title": "",
            "text": "Rye 100% at 12:30 o'clock.",
            "metadata": {"author": "Bo"},
        },
    ]
    assert isinstance(items[-1], ReadThrough)
    assert feed.covers(feed.uri)


def test_the_stamp_changes_with_any_row_and_not_with_their_order(url: str) -> None:
    def stamp(query: str = "SELECT * FROM articles") -> str | None:
        (resource,) = feed_of(url, query).resources()
        return resource.stamp

    before = stamp()
    assert before is not None
    assert stamp("SELECT * FROM articles ORDER BY id DESC") == before
    change(url, "UPDATE articles SET changed = '2' WHERE id = 2")
    after = stamp()
    assert after != before
    change(url, "DELETE FROM articles WHERE id = 1")
    change(url, "INSERT INTO articles VALUES (3, 'x', 'x', 'x', '1')")
    assert stamp() not in (before, after)


def test_marks_of_parameters_in_a_query_are_left_alone(url: str) -> None:
    query = "SELECT id, title, ':name 100% ::x' AS body, changed FROM articles WHERE id = 1"
    (record,) = records(read(feed_of(url, query)))
    assert record["text"] == ":name 100% ::x"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM articles",
        "UPDATE articles SET body = ''",
        "INSERT INTO articles VALUES (9, 'x', 'x', 'x', 'x') RETURNING *",
        "DROP TABLE articles",
        "SELECT 1; DELETE FROM articles",
    ],
)
def test_a_query_never_writes(url: str, query: str) -> None:
    with pytest.raises(StorageError):
        list(SqlSource.at(url, query).rows())
    assert len(records(read(feed_of(url)))) == 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELEC 1", "syntax"),
        ("SELECT id, title, changed FROM articles", "'body'"),
    ],
)
def test_a_wrong_query_fails_the_source_in_one_line(url: str, query: str, said: str) -> None:
    with pytest.raises(FeedError) as raised:
        read(feed_of(url, query))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_database_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    with pytest.raises(DatabaseUnreachableError, match="there is no database file"):
        list(SqlSource.at(f"sqlite:///{path}", "SELECT 1").rows())
    assert not path.exists()


def test_a_password_is_neither_stored_nor_said() -> None:
    source = SqlSource.at("postgresql://ann:hunter2@127.0.0.1:9/x?sslpassword=s3cr3t", "SELECT 1")
    assert source.place == "postgresql://127.0.0.1:9/x"
    with pytest.raises(DatabaseUnreachableError) as raised:
        list(source.rows())
    assert "hunter2" not in str(raised.value)
    with pytest.raises(StorageError) as malformed:
        SqlSource.at("hunter2", "SELECT 1")
    assert "hunter2" not in str(malformed.value)
