"""`rag synth load`: real records from a file or a query, as a set or more of one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_pipeline.composition import Composition
from rag_pipeline.synthetic.errors import SyntheticError, TableError
from rag_pipeline.synthetic.kinds import kind_of
from rag_pipeline.synthetic.record_sources import RecordSource, source_at, source_of_query
from rag_pipeline.synthetic.record_tables import schema_of
from rag_pipeline.synthetic.tables.constraint_text import constraints_of
from rag_pipeline.synthetic.tables.table import Column, Schema
from storage.errors import NotFoundError
from storage.record_sets.values import RecordBatch, RecordSet
from storage.records import LOCAL_OWNER, Principal

_ID = re.compile(r"(?:^|[_\W])id$|[a-z]I[dD]$|^I[dD]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWanted:
    """Where records come from, and what they are."""

    name: str
    """Of the set: made if it is not there."""
    path: Path | None = None
    """A .csv, .jsonl or .parquet file, or a folder of images."""
    query: str | None = None
    """Instead: a SELECT."""
    url: str | None = None
    """The database that is asked it."""
    schema: Path | None = None
    """A JSON file that declares the columns, which are else found out; only of a new set."""
    keys: tuple[str, ...] = ()
    """Columns that tell records apart, which are not learnt."""
    series: str | None = None
    """The column that says which series a record belongs to, where records make series."""
    time: str | None = None
    """The column that the records of a series are ordered by; None: as they come."""
    constraints: tuple[str, ...] = ()
    """What must hold of every record; only of a new set."""
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was loaded."""

    record_set: RecordSet
    batch: RecordBatch

    @property
    def maybe_keys(self) -> tuple[str, ...]:
        """Columns of whole numbers that are called as keys are, and would be learnt."""
        columns = schema_of(self.record_set).columns
        return tuple(
            column.name
            for column in columns
            if column.kind == "integer" and not column.is_key and _ID.search(column.name)
        )

    def as_json(self) -> dict[str, Any]:
        found, batch = self.record_set, self.batch
        return {
            "set": found.name,
            "batch_id": batch.batch_id,
            "added": 0 if batch.was_there else batch.records,
            "was_there": batch.was_there,
            "dataset": batch.dataset,
            "real": found.real,
            "columns": [dict(column) for column in found.schema],
            "series": schema_of(found).with_role("series"),
            "time": schema_of(found).with_role("time"),
            "constraints": [*found.constraints],
        }


def load(parts: Composition, wanted: LoadWanted) -> Loaded:
    """Add the records to the set of that name; the same file or rows are added once.

    Raises `TableError`, `SyntheticError`, `StorageError`; then nothing is added.
    """
    if not wanted.principal.is_owner:
        raise NotFoundError(f"there is no set of records {wanted.name!r} for you")
    source, sets = _source(wanted), parts.record_sets
    known = next((one for one in sets.sets() if one.name == wanted.name), None)
    if known is not None:
        _check_same(known, wanted)
        records = source.records(schema_of(known))
        batch = sets.add_real(wanted.name, records, source=source.name)
    else:
        schema = _with_keys(_declared(wanted) or _labelled(source.schema()), wanted.keys)
        schema = _with_series(schema, wanted)
        _check_constraints(wanted.constraints, schema)
        batch = sets.create_with(
            wanted.name,
            source.records(schema),
            source=source.name,
            schema=schema.as_json(),
            constraints=wanted.constraints,
        )
    return Loaded(record_set=sets.get(wanted.name), batch=batch)


def _source(wanted: LoadWanted) -> RecordSource:
    if wanted.path is not None and wanted.query is None:
        return source_at(wanted.path)
    if wanted.path is None and wanted.query is not None and wanted.url is not None:
        return source_of_query(wanted.url, wanted.query)
    raise SyntheticError("give either a file, or a query and the URL of a database")


def _declared(wanted: LoadWanted) -> Schema | None:
    """What the file of the schema says: a list of columns."""
    if wanted.schema is None:
        return None
    try:
        columns = json.loads(wanted.schema.read_text("utf-8"))
        return Schema.from_json(columns)
    except (OSError, ValueError, TypeError) as error:
        raise TableError(
            f"{wanted.schema} declares no columns: {error}; write a JSON list such as"
            ' [{"name": "age", "kind": "integer"}]'
        ) from error


def _labelled(schema: Schema) -> Schema:
    """The same, where whole numbers beside pictures are their labels."""
    if kind_of(schema) != "image":
        return schema
    return Schema(
        columns=tuple(
            replace(column, kind="category") if column.kind in ("integer", "boolean") else column
            for column in schema.columns
        )
    )


def _with_keys(schema: Schema, keys: Sequence[str]) -> Schema:
    """The same, with columns that tell records apart: their values are names."""
    for key in keys:
        schema.column(key)
    return Schema(
        columns=tuple(
            replace(column, kind="category", decimals=None, is_key=True)
            if column.name in keys
            else column
            for column in schema.columns
        )
    )


def _with_series(schema: Schema, wanted: LoadWanted) -> Schema:
    """The same, with the columns by which records make series."""
    series, time = wanted.series, wanted.time
    if series is None and time is not None and schema.with_role("series") is None:
        raise SyntheticError(
            f"{time!r} orders the records of series: say by --series which column names these, too"
        )
    if series is not None and (series == time or series in wanted.keys):
        raise SyntheticError(
            f"{series!r} names the series: it can't order their records, or tell each apart, too"
        )
    for name in (series, time):
        if name is not None:
            schema.column(name)
    return Schema(columns=tuple(_in_series(column, series, time) for column in schema.columns))


def _in_series(column: Column, series: str | None, time: str | None) -> Column:
    if column.name == series:
        # That all its values differ was found out of the records: it makes no key of it.
        return replace(column, kind="category", decimals=None, is_key=False, role="series")
    if column.name == time:
        # Series of two records may have no other times than 0 and 1.
        kind = "integer" if column.kind == "boolean" else column.kind
        return replace(column, kind=kind, role="time")
    return column


def _check_constraints(constraints: Sequence[str], schema: Schema) -> None:
    """Raise `SyntheticError` for those that the set can't be held to."""
    constraints_of(constraints, schema)
    if constraints and kind_of(schema) == "series":
        raise SyntheticError(
            "what is drawn of series is held to no constraints: leave them out, or load the"
            " records without --series"
        )


def _check_same(known: RecordSet, wanted: LoadWanted) -> None:
    """Raise `SyntheticError` for what is said of a set that says otherwise."""
    declared = _declared(wanted)
    schema = schema_of(known)
    is_other = declared is not None and declared != schema
    is_other |= wanted.series not in (None, schema.with_role("series"))
    is_other |= wanted.time not in (None, schema.with_role("time"))
    said: Mapping[str, Any] = {column["name"]: column for column in known.schema}
    unkeyed = [key for key in wanted.keys if not said.get(key, {}).get("is_key")]
    if is_other or unkeyed or wanted.constraints:
        raise SyntheticError(
            f"{known.name!r} has its columns, keys, series and constraints already: leave them out,"
            " or load into another set"
        )
