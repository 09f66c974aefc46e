"""Where real records come from: files, folders of images, queries. Read twice, never held.

source = source_at(Path("people.csv"))
schema = source.schema()
sets.create_with("people", source.records(schema), source=source.name, schema=schema.as_json())
"""

import reprlib
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.files import Line, lines_of
from rag_pipeline.synthetic.tables.image_files import checked_png, image_beside, images_in
from rag_pipeline.synthetic.tables.table import Column, Schema, schema_in
from rag_pipeline.synthetic.tables.values import given, image_of, name_of, number_of, shown
from storage.record_sets.coding import MAX_TEXT, TAGS
from storage.sql_source import SqlSource
from storage.words import UNSTORABLE

_REMEMBERED = 1_000
"""Values of a column whose reading is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSource:
    """Records that can be read again and again."""

    name: str
    """What is put on record: a path, or a database and its query."""
    lines: Callable[[], Iterator[Line]]
    folder: Path | None = None
    """Where the images lie that its records name."""
    has_header: bool = False
    """Whether each record has all columns that there are."""

    def schema(self) -> Schema:
        """What its columns are, found out of all records. Raises `TableError`, `StorageError`."""
        return schema_in(_untagged(line) for line in self.lines())

    def records(self, schema: Schema) -> Iterator[dict[str, Any]]:
        """The records as sets keep them.

        Raises `TableError`, naming the line, for what the schema has no room for, and for what is
        tagged as synthetic: an export of synthetic records never comes back as real.
        """
        known = {column.name for column in schema.columns}
        read: dict[str, dict[str, Any]] = {name: {} for name in known}
        for line in self.lines():
            record = _untagged(line)
            _check_columns(record.keys(), known, line.place, has_header=self.has_header)
            yield {
                column.name: self._once(record, column, line.place, read[column.name])
                for column in schema.columns
            }

    def _once(
        self, record: Mapping[str, Any], column: Column, place: str, read: dict[str, Any]
    ) -> Any:
        """What is stored of a value: in most columns the same few come again and again."""
        value = record.get(column.name)
        if not isinstance(value, str) or column.kind == "image":
            return self._stored(value, column, place)
        if value not in read:
            if len(read) >= _REMEMBERED:
                read.clear()
            read[value] = self._stored(value, column, place)
        return read[value]

    def _stored(self, value: object, column: Column, place: str) -> Any:
        value = given(value)
        if value is None:
            return None
        found = self._read(value, column, place)
        if found is None or (isinstance(found, str) and _is_unstorable(found)):
            raise TableError(
                f"{place}: {reprlib.repr(value)} in {column.name!r} is no {column.kind} that can"
                " be stored; correct it, or declare the column otherwise"
            )
        return shown(found, column.kind)

    def _read(self, value: object, column: Column, place: str) -> object:
        if column.is_numeric:
            return number_of(value, column.kind)
        if column.kind != "image":
            return name_of(value)
        if isinstance(value, str) and self.folder is not None:
            return image_beside(self.folder, value)
        image = image_of(value)
        try:
            return image and checked_png(image)
        except TableError as error:
            raise TableError(f"{place}: {column.name!r}: {error}") from error


def source_at(path: Path) -> RecordSource:
    """A .csv, .jsonl or .parquet file, or a folder of images."""
    name = str(path.resolve())
    if path.is_dir():
        return RecordSource(name=name, lines=lambda: images_in(path))
    return RecordSource(
        name=name,
        lines=lambda: lines_of(path),
        folder=path.parent,
        has_header=path.suffix.lower() in (".csv", ".parquet"),
    )


def source_of_query(url: str, query: str) -> RecordSource:
    """What a SELECT gives. Raises `StorageError` where `url` can't name a database."""
    source = SqlSource.at(url, query)

    def lines() -> Iterator[Line]:
        for number, row in enumerate(source.rows(), start=1):
            yield Line(f"row {number} of the query", row)

    return RecordSource(name=f"{source.place}: {source.query}", lines=lines, has_header=True)


def _untagged(line: Line) -> Mapping[str, Any]:
    """The record without the tags of an export. Raises `TableError` for a synthetic one."""
    record = line.record
    if not any(tag in record for tag in TAGS):
        return record
    if str(record.get(TAGS[0]) or "real") != "real" or record.get(TAGS[1]):
        raise TableError(
            f"{line.place}, is tagged as synthetic, which is never loaded as real; leave such"
            " records out"
        )
    return {name: value for name, value in record.items() if name not in TAGS}


def _check_columns(names: Set[str], known: set[str], place: str, *, has_header: bool) -> None:
    """Raise `TableError` for columns that the schema lacks, or that it alone has."""
    if unknown := sorted(names - known):
        raise TableError(f"{place}: the schema has no column {unknown[0]!r}; declare or drop it")
    if has_header and (lacking := sorted(known - names)):
        raise TableError(f"{place}: there is no column {lacking[0]!r}, which the schema declares")


def _is_unstorable(text: str) -> bool:
    return len(text) > MAX_TEXT or UNSTORABLE.search(text) is not None
