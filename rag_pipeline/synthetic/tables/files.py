"""Tables in files: CSV, JSON lines and Parquet, line by line."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.table import Schema, Table, schema_in, table_in

LONGEST_LINE = 8 << 20
"""Characters."""
_ROWS_AT_ONCE = 5_000


class Line(NamedTuple):
    """A record, and where it stands."""

    place: str
    record: Mapping[str, Any]


def read_table(path: Path, schema: Schema | None = None) -> Table:
    """The table in a .csv, .jsonl or .parquet file.

    Raises `TableError` for a file that can't be read as one, naming the line.
    """
    found = schema or schema_in(line.record for line in lines_of(path))
    return table_in((line.record for line in lines_of(path)), found)


def lines_of(path: Path) -> Iterator[Line]:
    """The records of a file. Raises `TableError`, naming the line, also when half is read."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise TableError(f"{path.name!r} is no table; give a .csv, .jsonl or .parquet file")
    try:
        yield from read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} can't be read: {error}") from error


def _csv(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(_lines(file.readline, path), strict=True)
        try:
            _check_header(reader.fieldnames or (), path)
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise TableError(f"{place}, has not as many fields as the first line")
                yield Line(place, row)
        except csv.Error as error:
            raise TableError(f"{path}, line {reader.reader.line_num}: {error}") from error


def _check_header(names: Sequence[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"{path} has {names.count(name)} columns {name!r}; rename them")


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(_lines(file.readline, path), start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise TableError(f"{place}: {error}") from error
            if not isinstance(record, dict):
                raise TableError(f"{place}, is no JSON object")
            yield Line(place, record)


def _lines(readline: Callable[[int], str], path: Path) -> Iterator[str]:
    """Raises `TableError` for a line that memory may have no room for."""
    number = 0
    while line := readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise TableError(
                f"{path}, line {number}, has more than {LONGEST_LINE:,} characters; is it a table?"
            )
        yield line


def _parquet(path: Path) -> Iterator[Line]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise TableError(
            "Parquet needs pyarrow: pip install 'rag-pipeline-service[parquet]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                for record in batch.to_pylist():
                    number += 1
                    yield Line(f"{path}, row {number}", record)
    except ArrowException as error:
        raise TableError(f"{path} can't be read: {error}") from error


_READERS: Mapping[str, Callable[[Path], Iterator[Line]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
