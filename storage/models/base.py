"""What all tables share: names for constraints, and column types that mean the same everywhere."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_origin, get_type_hints

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    FromClause,
    Integer,
    MetaData,
    Text,
    TypedColumns,
    schema,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

BigKey = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key; SQLite makes its fast row key only of a column declared INTEGER."""

ByteOrdered = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared by its bytes in UTF-8, which is by code points, on both databases."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class JsonValue(TypeDecorator[Any]):
    """What JSON can hold; on PostgreSQL as it is searched, not as it was written."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return super().load_dialect_impl(dialect)
        # Imported where it is there anyway: it takes a while.
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB(none_as_null=True))

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        return self.impl_instance.coerce_compared_value(op, value)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. SQLite forgets time zones, so both databases are given and give back UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give a UTC time")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Microseconds(TypeDecorator[datetime]):
    """An instant, as whole microseconds from 1970: in a small row, no text has room."""

    impl = BigKey
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


V = TypeVar("V")


class Column(schema.Column[V]):
    """A column that a table's class has as its attribute."""

    inherit_cache = True

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: Any) -> schema.Column[V]: ...  # type: ignore[override]


class _Selectable(type):
    """Of classes that a statement takes for a table."""

    __table__: FromClause

    def __clause_element__(cls) -> FromClause:
        return cls.__table__


class Table(metaclass=_Selectable):
    """The root of all tables: a class under it is one, and its attributes are the columns.

    They are declared as the ORM has it, and without it: no row is ever an object here, and
    preparing for that would take a quarter of a short command's time.
    """

    __table__: ClassVar[schema.Table[Any]]
    __tablename__: ClassVar[str]
    __table_args__: ClassVar[tuple[SchemaItem, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__()
        hints = {n: hint for n, hint in get_type_hints(cls).items() if get_origin(hint) is Column}
        given = {name: getattr(cls, name) for name in hints if hasattr(cls, name)}
        columns = type(cls.__name__, (TypedColumns,), {"__annotations__": hints, **given})
        cls.__table__ = schema.Table(
            cls.__tablename__, METADATA, columns, *cls.__table_args__, **options
        )
        for column in cls.__table__.columns:
            setattr(cls, column.key, column)


T = TypeVar("T", bound=Table)


def aliased(table: type[T]) -> type[T]:
    """The table under another name, to be joined with itself."""
    alias = table.__table__.alias()
    return cast(
        "type[T]", _Selectable(table.__name__, (), {"__table__": alias, **dict(alias.columns)})
    )
