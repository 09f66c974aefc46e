"""Statements over more values than one statement can take."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Connection, Row, Select, any_, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute

T = TypeVar("T")
VALUES_A_STATEMENT = 5_000
_AMONG = "among"
_STATEMENTS = 128


def batches(values: Iterable[T], size: int = VALUES_A_STATEMENT) -> Iterator[list[T]]:
    """`values` in lists of at most `size`."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def rows_where(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    column: InstrumentedAttribute[Any],
    values: Sequence[Any],
) -> Iterator[Row[*tuple[Any, ...]]]:
    """The rows of `statement` whose `column` is among `values`.

    The values go as one, so that a statement is the same for any number of them: it is written
    once, and prepared once. SQLite takes any index over a list of values: a `statement` must not
    demand anything else that has one and leaves many rows, such as their collection.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    narrowed = _narrowed(statement, column, is_sqlite=is_sqlite)
    for batch in batches(values):
        found = connection.execute(narrowed, {_AMONG: json.dumps(batch) if is_sqlite else batch})
        # One by one, each row would cost a hand-over between threads.
        yield from found.all()


@lru_cache(_STATEMENTS)
def _narrowed(
    statement: Select[*tuple[Any, ...]], column: InstrumentedAttribute[Any], *, is_sqlite: bool
) -> Select[*tuple[Any, ...]]:
    """The same object for the same statement: SQLAlchemy does less with one it has compiled."""
    if is_sqlite:
        listed = func.json_each(bindparam(_AMONG)).table_valued("value")
        return statement.where(column.in_(select(listed.c.value)))
    return statement.where(column == any_(bindparam(_AMONG, type_=ARRAY(column.type))))
