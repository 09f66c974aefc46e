"""Records as columns of one kind each, with what is missing marked as such.

Numbers, truth values (0 and 1) and times (seconds since 1970, UTC) are float64 with NaN where
nothing is; categories and texts are objects: strings, with None where nothing is.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import TableError

Kind = Literal["number", "integer", "boolean", "datetime", "category", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Numbers: TypeAlias = npt.NDArray[np.float64]
Names: TypeAlias = npt.NDArray[np.object_]
Values: TypeAlias = Numbers | Names

_MOST_DECIMALS = 9
_TEXT_WORDS = 8
"""So many words on average make a text of what could be categories."""
_TRUTHS: Mapping[str, float] = {"true": 1.0, "false": 0.0}
_LARGEST_WHOLE = 2.0**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One field of all records."""

    name: str
    kind: Kind
    decimals: int | None = None
    """How many digits behind the point its numbers have; None: as many as there are."""
    is_key: bool = False
    """Whether each record has a value of its own, which says nothing but which record it is."""

    @property
    def is_numeric(self) -> bool:
        """Whether its values are float64."""
        return self.kind in ("number", "integer", "boolean", "datetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Raise `TableError` for names that don't tell columns apart."""
        names = [column.name for column in self.columns]
        if not names:
            raise TableError("a table needs a column; none is there")
        for name in names:
            if not name or names.count(name) > 1:
                raise TableError(f"the name {name!r} stands for {names.count(name)} columns")

    @property
    def sha256(self) -> str:
        """The same for the same columns."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def column(self, name: str) -> Column:
        """The column of that name. Raises `TableError`."""
        for column in self.columns:
            if column.name == name:
                return column
        there = ", ".join(repr(column.name) for column in self.columns)
        raise TableError(f"there is no column {name!r}; there are {there}")

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, columns: Sequence[Mapping[str, Any]]) -> "Schema":
        """What `as_json` gave. Raises `TypeError` or `TableError` for anything else."""
        return cls(columns=tuple(Column(**column) for column in columns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Records, column by column."""

    schema: Schema
    values: Mapping[str, Values]
    """By the name of the column; all of one length."""

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def rows(self, at: npt.NDArray[np.int64]) -> "Table":
        """The records at these places, in this order."""
        return Table(
            schema=self.schema, values={name: column[at] for name, column in self.values.items()}
        )

    def records(self) -> list[dict[str, Any]]:
        """One mapping a record, with JSON values; times in ISO 8601."""
        columns = [
            [_shown(value, column) for value in self.values[column.name].tolist()]
            for column in self.schema.columns
        ]
        names = [column.name for column in self.schema.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def table_of(records: Iterable[Mapping[str, Any]], schema: Schema | None = None) -> Table:
    """The table that records make; the kinds of columns are found out unless `schema` says them.

    What is empty, None or no number where one belongs is missing. Raises `TableError` for no
    records, and for a value that the schema has no room for, naming both.
    """
    rows = list(records)
    if not rows:
        raise TableError("there are no records; give at least one")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_given(row.get(name)) for row in rows] for name in names}
    if schema is None:
        schema = Schema(columns=tuple(_column(name, given) for name, given in columns.items()))
    missing: list[object] = [None] * len(rows)
    return Table(
        schema=schema,
        values={
            column.name: _values(column, columns.get(column.name, missing))
            for column in schema.columns
        },
    )


def _given(value: object) -> object:
    """A value as it counts: what says nothing is None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _column(name: str, given: Sequence[object]) -> Column:
    present = [value for value in given if value is not None]
    kind = _kind(present)
    numbers = [n for value in present if (n := _number(value, kind)) is not None]
    return Column(
        name=name,
        kind=kind,
        decimals=_decimals(numbers) if kind == "number" else None,
        is_key=_is_key(kind, present, len(given)),
    )


def _kind(present: Sequence[object]) -> Kind:
    """The narrowest kind that has room for all of it."""
    if not present:
        return "category"
    for kind in ("boolean", "integer", "number", "datetime"):
        if all(_number(value, kind) is not None for value in present):
            return kind
    words = sum(len(str(value).split()) for value in present)
    return "text" if words >= _TEXT_WORDS * len(present) else "category"


def _is_key(kind: Kind, present: Sequence[object], records: int) -> bool:
    is_name = kind == "category" and len(set(map(str, present))) == len(present)
    return is_name and len(present) == records > 1


def _number(value: object, kind: Kind) -> float | None:
    """The number that `value` is in a column of that kind; None where it is none."""
    if kind == "boolean":
        return float(value) if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
    if kind == "datetime":
        return _instant(value)
    try:
        number = float(str(value))
    except ValueError:
        return None
    if isinstance(value, bool) or not math.isfinite(number):
        return None
    is_whole = number == int(number) and abs(number) <= _LARGEST_WHOLE
    return number if kind == "number" or is_whole else None


def _instant(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _decimals(numbers: Sequence[float]) -> int | None:
    values = np.array(numbers, np.float64)
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(values, decimals), values):
            return decimals
    return None


def _values(column: Column, given: Sequence[object]) -> Values:
    if not column.is_numeric:
        return np.array([None if one is None else str(one) for one in given] or [], np.object_)
    found = np.full(len(given), np.nan)
    for place, value in enumerate(given):
        if value is None:
            continue
        number = _number(value, column.kind)
        if number is None:
            raise TableError(
                f"record {place + 1} has {value!r} in {column.name!r}, which is no {column.kind};"
                " correct it, or declare the column otherwise"
            )
        found[place] = number
    return found


def _shown(value: Any, column: Column) -> Any:
    if value is None or (column.is_numeric and math.isnan(value)):
        return None
    if column.kind == "boolean":
        return bool(value)
    if column.kind == "integer":
        return int(value)
    if column.kind == "datetime":
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value
