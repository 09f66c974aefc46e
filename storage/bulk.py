"""Statements over more values than one statement can take."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam
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

    Drivers keep the statements they have prepared, each with room for all its values: so the list
    is filled up, by repeating its last value, to one of a few lengths.
    """
    narrowed = _narrowed(statement, column)
    for batch in batches(values):
        filled = min(1 << (len(batch) - 1).bit_length(), VALUES_A_STATEMENT)
        filler = [batch[-1]] * (filled - len(batch))
        yield from connection.execute(narrowed, {_AMONG: [*batch, *filler]})


@lru_cache(_STATEMENTS)
def _narrowed(
    statement: Select[*tuple[Any, ...]], column: InstrumentedAttribute[Any]
) -> Select[*tuple[Any, ...]]:
    """The same object for the same statement: SQLAlchemy does less with one it has compiled."""
    return statement.where(column.in_(bindparam(_AMONG, expanding=True)))
