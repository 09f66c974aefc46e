"""Short statements that are run often: SQLAlchemy takes longer to hand one over than the database
to run it.

It writes them here as it does everywhere, but once for each database. What it does beside that
each time, above all for results, is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase

Values: TypeAlias = Mapping[str, Any]
_STATEMENTS = 64


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement as the driver takes it."""

    text: str
    order: tuple[str, ...]
    """The names of its parameters, from the first on."""
    fixed: Values
    """Of those that no value is given for."""
    conversions: tuple[tuple[str, Callable[[Any], Any]], ...]
    """What makes of a value one that the driver takes."""
    is_positional: bool

    def given(self, values: Values) -> Sequence[Any] | Values:
        """`values` as the driver takes them."""
        row = {**self.fixed, **values}
        for name, convert in self.conversions:
            row[name] = convert(row[name])
        return tuple(map(row.__getitem__, self.order)) if self.is_positional else row


def change(connection: Connection, statement: UpdateBase, rows: Sequence[Values]) -> int:
    """Run a statement that returns nothing with the values of each of `rows`; how many rows of the
    table it changed.

    All of `rows` name the same parameters. `statement` must be the same object each time.
    """
    written = _written(statement, connection.dialect, tuple(rows[0]))
    given = [written.given(values) for values in rows]
    return connection.exec_driver_sql(written.text, given[0] if len(given) == 1 else given).rowcount


@lru_cache(_STATEMENTS)
def _written(statement: UpdateBase, dialect: Dialect, names: tuple[str, ...]) -> _Written:
    compiled = statement.compile(dialect=dialect, column_keys=names)
    assert isinstance(compiled, SQLCompiler)
    binds = compiled.binds
    conversions = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    return _Written(
        text=str(compiled),
        order=tuple(compiled.positiontup or binds),
        fixed={name: bind.effective_value for name, bind in binds.items() if name not in names},
        conversions=tuple((name, convert) for name, convert in conversions.items() if convert),
        is_positional=compiled.positional,
    )
