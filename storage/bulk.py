"""Statements over more values than one statement can take."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    Connection,
    Dialect,
    Row,
    Select,
    Text,
    any_,
    bindparam,
    func,
    select,
)

T = TypeVar("T")
_Meant: TypeAlias = tuple[int, Callable[[Any], Any]]
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
    column: Column[Any],
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
        # One by one, rows take longer to fetch.
        yield from found.all()


def rows_in_one_where(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    column: Column[Any],
    values: Sequence[Any],
) -> list[Sequence[Any]]:
    """What `rows_where` finds, of columns that SQLite keeps as numbers or texts, in any order.

    SQLite hands the interpreter on at each row, and a search among others then waits for it each
    time: it sends these as one.
    """
    if connection.dialect.name != "sqlite":
        return [*rows_where(connection, statement, column, values)]
    in_one, meant = _in_one(statement, column, connection.dialect)
    found: list[Sequence[Any]] = []
    for batch in batches(values):
        rows = json.loads(connection.execute(in_one, {_AMONG: json.dumps(batch)}).scalar_one())
        for row in rows:
            for place, meaning in meant:
                row[place] = meaning(row[place])
        found += rows
    return found


@lru_cache(_STATEMENTS)
def _in_one(
    statement: Select[*tuple[Any, ...]], column: Column[Any], dialect: Dialect
) -> tuple[Select[*tuple[Any, ...]], list[_Meant]]:
    """The statement whose only value has all rows, and what makes of a cell what is meant by it."""
    cells = list(_narrowed(statement, column, is_sqlite=True).subquery().columns)
    processors = (cell.type.dialect_impl(dialect).result_processor(dialect, None) for cell in cells)
    meant: list[_Meant] = [(at, meaning) for at, meaning in enumerate(processors) if meaning]
    return select(func.json_group_array(func.json_array(*cells), type_=Text)), meant


@lru_cache(_STATEMENTS)
def _narrowed(
    statement: Select[*tuple[Any, ...]], column: Column[Any], *, is_sqlite: bool
) -> Select[*tuple[Any, ...]]:
    """The same object for the same statement: SQLAlchemy does less with one it has compiled."""
    if is_sqlite:
        listed = func.json_each(bindparam(_AMONG)).table_valued("value")
        return statement.where(column.in_(select(listed.c.value)))
    return statement.where(column == any_(bindparam(_AMONG, type_=ARRAY(column.type))))
