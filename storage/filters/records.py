"""The columns that the records of a set can be filtered by: each is a place of a JSON array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Double,
    Text,
    TypeDecorator,
    and_,
    cast,
    func,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.errors import FilterError
from storage.filters.expression import Truth, Value, quoted
from storage.filters.sql import (
    Catalogue,
    Field,
    NumberField,
    Order,
    TextField,
    TimeField,
    wrong_type,
)
from storage.filters.sql import Dialect as DialectName
from storage.models.record_sets import RecordRow

_SHOWN = 20


def record_fields(columns: Sequence[Mapping[str, Any]], dialect: DialectName) -> Catalogue:
    """The columns of a set's schema, in the order of its records' contents."""
    kinds = {column["name"]: (place, column["kind"]) for place, column in enumerate(columns)}

    def field(name: str) -> Field:
        if name not in kinds:
            there = ", ".join(quoted(one) for one in list(kinds)[:_SHOWN])
            more = ", …" if len(kinds) > _SHOWN else ""
            raise FilterError(f"the records have no column {quoted(name)}; there are {there}{more}")
        return _field(name, *kinds[name], dialect)

    return field


def _field(name: str, place: int, kind: str, dialect: DialectName) -> Field:
    said = _text(place, dialect)
    match kind:
        case "number" | "integer":
            number = said if dialect == "sqlite" else cast(said, Double)
            return NumberField(name=name, column=type_coerce(number, Double), within=_of_itself)
        case "boolean":
            return _TruthOrNothing(name=name, said=_truth(place, dialect))
        case "datetime":
            by_bytes = said if dialect == "sqlite" else said.collate("C")
            time = type_coerce(by_bytes, _IsoTime())
            return TimeField(
                name=name, column=time, within=lambda holds: and_(said.is_not(None), holds)
            )
        case "image":
            raise FilterError(
                f"{quoted(name)} holds images, which can't be compared; name another column"
            )
    return TextField(name=name, column=said, dialect=dialect, within=_of_itself)


def _text(place: int, dialect: DialectName) -> ColumnElement[Any]:
    """A value of a content; null where it is missing."""
    if dialect == "sqlite":
        return func.json_extract(RecordRow.content, f"$[{place}]", type_=Text())
    said: ColumnElement[Any] = cast(RecordRow.content, JSONB)[place].astext
    return said


def _truth(place: int, dialect: DialectName) -> ColumnElement[Any]:
    """`true`, `false`, or whatever stands for a missing value."""
    if dialect == "sqlite":
        return func.json_type(RecordRow.content, f"$[{place}]", type_=Text())
    return _text(place, dialect)


def _of_itself(holds: ColumnElement[bool]) -> ColumnElement[bool]:
    return holds


class _IsoTime(TypeDecorator[datetime]):
    """Times as contents have them, in ISO 8601 and UTC: their texts have the same order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class _TruthOrNothing:
    """A column of truth values, of which some may be missing."""

    name: str
    said: ColumnElement[Any]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        wanted = {str(self._truth(value)).lower() for value in values}
        return and_(self.present(), self.said.in_(sorted(wanted)))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        raise self._wrong_type()

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        raise self._wrong_type()

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise self._wrong_type()

    def present(self) -> ColumnElement[bool]:
        return and_(self.said.is_not(None), self.said.in_(["true", "false"]))

    def _truth(self, value: Value) -> bool:
        if isinstance(value, Truth):
            return value.value
        raise self._wrong_type()

    def _wrong_type(self) -> FilterError:
        return wrong_type(self.name, "true or false", f"write {quoted(self.name)} = true")
