"""Rows that come as one value say what the same rows say one by one, on both databases."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, select

from storage.bulk import rows_in_one_where, rows_where
from storage.engine import Database
from storage.models.base import BigKey, JsonValue

_ROWS = Table(
    "some_rows",
    MetaData(),
    Column("number", BigKey, primary_key=True),
    Column("said", Text),
    Column("rank", Integer),
    Column("noted", JsonValue),
)
# PostgreSQL takes no NUL in texts, and no database a half of a surrogate pair.
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_NOTES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_FOUND = st.fixed_dictionaries(
    {
        "said": st.none() | _TEXTS,
        "rank": st.none() | st.integers(-(2**31), 2**31 - 1),
        "noted": st.none() | _NOTES,
    }
)


def _by_number(rows: Any) -> list[list[Any]]:
    return sorted(list(row) for row in rows)


@given(rows=st.dictionaries(st.integers(0, 2**63 - 1), _FOUND, max_size=6), data=st.data())
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_they_are_the_same(
    database: Database, rows: dict[int, dict[str, Any]], data: st.DataObject
) -> None:
    with database.write() as connection:
        _ROWS.create(connection, checkfirst=True)
        connection.execute(delete(_ROWS))
        if rows:
            connection.execute(
                insert(_ROWS), [{"number": number, **row} for number, row in rows.items()]
            )
    wanted = data.draw(st.lists(st.sampled_from([*rows, 7]), unique=True))
    look_up: Any = (select(*_ROWS.columns), _ROWS.c.number, wanted)
    with database.read() as connection:
        one_by_one = list(rows_where(connection, *look_up))
        in_one = rows_in_one_where(connection, *look_up)
    assert _by_number(in_one) == _by_number(one_by_one)
    assert {row[0] for row in in_one} == rows.keys() & set(wanted)
