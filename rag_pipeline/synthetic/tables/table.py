"""Records as columns of one kind each, with what is missing marked as such.

Numbers, truth values (0 and 1) and times (seconds since 1970, UTC) are float64 with NaN where
nothing is; categories and texts are objects: strings, with None where nothing is; so are images,
which are bytes of PNG.
"""

import hashlib
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.inferring import Seen
from rag_pipeline.synthetic.tables.values import (
    KINDS,
    Kind,
    given,
    image_of,
    name_of,
    number_of,
    shown,
)

Numbers: TypeAlias = npt.NDArray[np.float64]
Names: TypeAlias = npt.NDArray[np.object_]
Values: TypeAlias = Numbers | Names

Role = Literal["series", "time"]
"""Of a column where records make series: which series each belongs to, or when it was in it."""

_KINDS_OF_ROLE: Mapping[Role, tuple[Kind, ...]] = {
    "series": ("category",),
    "time": ("integer", "number", "datetime"),
}
_SAYS: Mapping[Role, str] = {
    "series": "which series a record belongs to",
    "time": "when a record was in its series",
}
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One field of all records."""

    name: str
    kind: Kind
    decimals: int | None = None
    """How many digits behind the point its numbers have; None: as many as there are."""
    is_key: bool = False
    """Whether it says nothing but which record it is: the keys together are another for each."""
    role: Role | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether its values are float64."""
        return self.kind in ("number", "integer", "boolean", "datetime")

    @property
    def is_learnt(self) -> bool:
        """Whether generators of tables learn it: keys, texts and images they leave out."""
        is_name = self.is_key or self.role == "series"
        return not is_name and self.kind not in ("text", "image")

    def as_json(self) -> dict[str, Any]:
        """Without a role where it has none, as all columns were before there were series."""
        said = asdict(self)
        return said if self.role is not None else {n: v for n, v in said.items() if n != "role"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Raise `TableError` for names that don't tell columns apart, for no kind of column, and
        for roles that make no series."""
        names = [column.name for column in self.columns]
        if not names:
            raise TableError("a table needs a column; none is there")
        for name in names:
            if not name or names.count(name) > 1:
                raise TableError(f"the name {name!r} stands for {names.count(name)} columns")
        for column in self.columns:
            if column.kind not in KINDS:
                raise TableError(
                    f"{column.name!r} can't be a {column.kind!r}; there are {', '.join(KINDS)}"
                )
        self._check_roles()

    def _check_roles(self) -> None:
        for column in self.columns:
            if column.role is not None:
                self._check_role(column, column.role)
        series, time = self.with_role("series"), self.with_role("time")
        if time is not None and series is None:
            raise TableError(
                f"{time!r} orders the records of series, and no column says which series each"
                " belongs to: name one, too"
            )
        if series is not None and any(column.kind == "image" for column in self.columns):
            raise TableError("pictures make no series: leave out their column, or the series")

    def _check_role(self, column: Column, role: Role) -> None:
        kinds = _KINDS_OF_ROLE.get(role)
        if kinds is None:
            raise TableError(
                f"{column.name!r} can't have the role {role!r}; there are"
                f" {', '.join(get_args(Role))}"
            )
        if self.with_role(role) != column.name:
            raise TableError(f"two columns have the role {role!r}: give it to one")
        if column.is_key:
            raise TableError(
                f"{column.name!r} can't be a key, of which each record has another, and say"
                f" {_SAYS[role]}: name another column for one of both"
            )
        if column.kind not in kinds:
            raise TableError(
                f"{column.name!r} is of the kind {column.kind}, and can't say {_SAYS[role]}: name a"
                f" column of the kind {' or '.join(kinds)}"
            )

    def with_role(self, role: Role) -> str | None:
        """The column that has it; None where none does."""
        return next((column.name for column in self.columns if column.role == role), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that together tell records apart."""
        return tuple(column.name for column in self.columns if column.is_key)

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
        return [column.as_json() for column in self.columns]

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
            [shown(value, column.kind) for value in self.values[column.name].tolist()]
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
    columns = {name: [given(row.get(name)) for row in rows] for name in names}
    if schema is None:
        found = tuple(_column(name, Seen.of(values)) for name, values in columns.items())
        schema = Schema(columns=found)
    missing: list[object] = [None] * len(rows)
    return Table(
        schema=schema,
        values={
            column.name: _values(column, columns.get(column.name, missing))
            for column in schema.columns
        },
    )


def schema_in(records: Iterable[Mapping[str, Any]]) -> Schema:
    """The schema that `table_of` finds in these records, in memory that doesn't grow with them."""
    seen: dict[str, Seen] = {}
    count = 0
    for rows in _portions(records):
        for name in dict.fromkeys([*seen, *(name for row in rows for name in row)]):
            before = seen.get(name) or Seen.of([None] * count)
            seen[name] = before.followed_by(Seen.of([given(row.get(name)) for row in rows]))
        count += len(rows)
    if not count:
        raise TableError("there are no records; give at least one")
    return Schema(columns=tuple(_column(name, of_name) for name, of_name in seen.items()))


def table_in(records: Iterable[Mapping[str, Any]], schema: Schema) -> Table:
    """`table_of`, with no more in memory than the table, in which equal names are one."""
    names: dict[str, str] = {}
    portions = [
        [_shared(column, names) for column in table_of(rows, schema).values.values()]
        for rows in _portions(records)
    ]
    if not portions:
        raise TableError("there are no records; give at least one")
    joined = [np.concatenate(columns) for columns in zip(*portions, strict=True)]
    return Table(
        schema=schema,
        values=dict(zip((column.name for column in schema.columns), joined, strict=True)),
    )


def _shared(column: Values, names: dict[str, str]) -> Values:
    if column.dtype != np.object_ or not all(isinstance(one, str | None) for one in column):
        return column
    shared = [None if one is None else names.setdefault(one, one) for one in column]
    return np.array(shared, np.object_)


def _portions(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    rows = iter(records)
    while some := [*islice(rows, _ROWS_AT_ONCE)]:
        yield some


def _column(name: str, seen: Seen) -> Column:
    kind = seen.kind
    return Column(
        name=name,
        kind=kind,
        decimals=seen.decimals if kind == "number" else None,
        is_key=seen.is_key,
    )


def _values(column: Column, values: Sequence[object]) -> Values:
    if column.is_numeric:
        read: Callable[[object], object] = partial(number_of, kind=column.kind)
    else:
        read = image_of if column.kind == "image" else name_of
    found = np.full(len(values), np.nan if column.is_numeric else None)
    for place, value in enumerate(values):
        if value is None:
            continue
        one = read(value)
        if one is None:
            raise TableError(
                f"record {place + 1} has {reprlib.repr(value)} in {column.name!r}, which is no"
                f" {column.kind}; correct it, or declare the column otherwise"
            )
        found[place] = one
    return found
