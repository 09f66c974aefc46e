"""What a filter means in SQL: one condition, with every value bound.

Which fields there are is for the caller to say, by a catalogue: it gives a `Field` for a name, or
raises `FilterError` for one that it does not know. What a field answers is true or false, never
null, so that a negation is the exact opposite.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, not_, or_, true

from storage.errors import FilterError
from storage.filters.expression import (
    Absence,
    Comparison,
    Conjunction,
    Disjunction,
    Filter,
    Match,
    Membership,
    Negation,
    Number,
    Operator,
    Range,
    Text,
    Truth,
    Value,
    check_size,
    quoted,
)
from storage.metadata_values import LAST_INSTANT, date_span, instant

Order = Literal["<", "<=", ">", ">="]
Dialect = Literal["sqlite", "postgresql"]

_GLOB = {"%": "*", "_": "?"}
_LAST = "\U0010ffff"


class Field(Protocol):
    """Something that can be asked of whatever is filtered. Each method raises `FilterError` for a
    value that the field can't be compared with."""

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        """One of its values is among `values`."""

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        """One of its values stands to `value` as `operator` says."""

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        """One of its values is neither below `low` nor above `high`."""

    def like(self, pattern: str) -> ColumnElement[bool]:
        """One of its values is a text that fits `pattern`."""

    def present(self) -> ColumnElement[bool]:
        """It has a value."""


Catalogue: TypeAlias = Callable[[str], Field]


def condition(where: Filter, catalogue: Catalogue) -> ColumnElement[bool]:
    """`where`, asked of the fields that `catalogue` gives; `FilterError` if they can't answer."""
    return _condition(check_size(where), catalogue)


def _condition(where: Filter, catalogue: Catalogue) -> ColumnElement[bool]:
    match where:
        case Negation(operand):
            return not_(_condition(operand, catalogue))
        case Conjunction(operands):
            return and_(*(_condition(operand, catalogue) for operand in operands))
        case Disjunction(operands):
            return or_(*(_condition(operand, catalogue) for operand in operands))
        case Comparison(name, operator, value):
            return _compared(catalogue(name), operator, value)
        case Membership(name, values, is_negated):
            return _unless(is_negated, catalogue(name).one_of(values))
        case Range(name, low, high, is_negated):
            return _unless(is_negated, catalogue(name).between(low, high))
        case Match(name, pattern, is_negated):
            return _unless(is_negated, catalogue(name).like(pattern))
        case Absence(name, is_negated):
            return _unless(not is_negated, catalogue(name).present())


def _compared(field: Field, operator: Operator, value: Value) -> ColumnElement[bool]:
    if operator == "=" or operator == "!=":
        return _unless(operator == "!=", field.one_of([value]))
    return field.ordered(operator, value)


def _unless(is_negated: bool, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return not_(condition) if is_negated else condition


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """A column of text, of the filtered table or of one that `within` leads to."""

    name: str
    column: SQLColumnExpression[str | None]
    dialect: Dialect
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self._where(self.column.in_([self._text(value) for value in values]))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        return self._where(compared(self._by_bytes(), operator, self._text(value)))

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self._where(within(self._by_bytes(), self._text(low), self._text(high)))

    def like(self, pattern: str) -> ColumnElement[bool]:
        return self._where(fits(self.column, pattern, self.dialect))

    def present(self) -> ColumnElement[bool]:
        return self._where(self.column.is_not(None))

    def _where(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return self.within(and_(self.column.is_not(None), condition))

    def _text(self, value: Value) -> str:
        if isinstance(value, Text):
            return value.value
        raise wrong_type(self.name, "text", f"write {Text(str(value))} in quotes")

    def _by_bytes(self) -> SQLColumnExpression[str | None]:
        return self.column if self.dialect == "sqlite" else self.column.collate("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeField:
    """A column of instants, never null, of the filtered table or of one that `within` leads to."""

    name: str
    column: SQLColumnExpression[datetime]
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self.within(or_(*(self._within_span(value, value) for value in values)))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        start, end = self._span(value)
        bound = end if operator in ("<=", ">") else start
        if operator in ("<", "<="):
            return self.within(self.column < bound)
        return self.within(self.column >= bound)

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self.within(self._within_span(low, high))

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise wrong_type(self.name, "times", f"write {self.name} >= '2020-01-01'")

    def present(self) -> ColumnElement[bool]:
        return self.within(self.column.is_not(None))

    def _within_span(self, low: Value, high: Value) -> ColumnElement[bool]:
        return and_(self.column >= self._span(low)[0], self.column < self._span(high)[1])

    def _span(self, value: Value) -> tuple[datetime, datetime]:
        span = date_span(value.value) if isinstance(value, Text) else None
        if span is None:
            raise wrong_type(
                self.name, "times", "write a date like '2020-01-31' or a time '2020-01-31T09:30'"
            )
        start, end = map(instant, span)
        # A fraction of a second lasts no microsecond; the last of the calendar has none after it.
        is_over = end > start or start == LAST_INSTANT
        return start, end if is_over else start + datetime.resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberField:
    """A column of numbers, of the filtered table or of one that `within` leads to."""

    name: str
    column: SQLColumnExpression[Any]
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self._where(self.column.in_([self.number(value) for value in values]))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        return self._where(compared(self.column, operator, self.number(value)))

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self._where(self.column.between(self.number(low), self.number(high)))

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise wrong_type(self.name, "numbers", f"write {quoted(self.name)} >= 1")

    def present(self) -> ColumnElement[bool]:
        return self.within(self.column.is_not(None))

    def number(self, value: Value) -> float:
        """What `value` is compared as."""
        if isinstance(value, Number):
            return float(value.value)
        raise wrong_type(self.name, "numbers", "write one without quotes, such as 0.5")

    def _where(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return self.within(and_(self.column.is_not(None), condition))


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthField:
    """Something that is true or false of everything."""

    name: str
    condition: ColumnElement[bool]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        wanted = {self._truth(value) for value in values}
        return or_(
            *(self.condition if is_true else not_(self.condition) for is_true in sorted(wanted))
        )

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        raise self._wrong_type()

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        raise self._wrong_type()

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise self._wrong_type()

    def present(self) -> ColumnElement[bool]:
        return true()

    def _truth(self, value: Value) -> bool:
        if isinstance(value, Truth):
            return value.value
        raise self._wrong_type()

    def _wrong_type(self) -> FilterError:
        return wrong_type(self.name, "true or false", f"write {quoted(self.name)} = true")


def compared(
    column: SQLColumnExpression[str | None] | SQLColumnExpression[float | None],
    operator: Order,
    value: str | float,
) -> ColumnElement[bool]:
    match operator:
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case ">=":
            return column >= value


def within(column: SQLColumnExpression[str | None], low: str, high: str) -> ColumnElement[bool]:
    """Both ends included. (PostgreSQL can't read SQLAlchemy's BETWEEN of what has a collation.)"""
    return and_(column >= low, column <= high)


def fits(
    column: SQLColumnExpression[str | None], pattern: str, dialect: Dialect
) -> ColumnElement[bool]:
    """`column` is like `pattern`, case and all. (SQLite's own LIKE takes A for a.)"""
    parts = _parts(pattern)
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)("".join(map(_glob, parts)))
    return column.like("".join(map(_sql_like, parts)), escape="\\")


def prefix_of(pattern: str) -> str:
    """What every text that fits `pattern` begins with."""
    prefix = ""
    for part, is_wildcard in _parts(pattern):
        if is_wildcard:
            break
        prefix += part
    return prefix


def after_prefix(prefix: str) -> str | None:
    """The first text, by code points, after all that begin with `prefix`; None if there is none."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if code == 0xD800 else code)


def wrong_type(name: str, holds: str, remedy: str) -> FilterError:
    return FilterError(f"{quoted(name)} holds {holds}; {remedy}")


def nothing() -> ColumnElement[bool]:
    """What is true of none."""
    return false()


def _parts(pattern: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard; `%%` counts as one."""
    parts: list[tuple[str, bool]] = []
    is_escaped = False
    for character in pattern:
        if is_escaped:
            # A backslash before anything but a wildcard or another backslash is only itself.
            parts += [] if character in "%_\\" else [("\\", False)]
            parts.append((character, False))
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character != "%" or parts[-1:] != [("%", True)]:
            parts.append((character, character in "%_"))
    return parts + ([("\\", False)] if is_escaped else [])


def _glob(part: tuple[str, bool]) -> str:
    character, is_wildcard = part
    if is_wildcard:
        return _GLOB[character]
    return f"[{character}]" if character in "*?[" else character


def _sql_like(part: tuple[str, bool]) -> str:
    character, is_wildcard = part
    return character if is_wildcard or character not in "%_\\" else f"\\{character}"
