"""Tables in files: CSV, JSON lines and Parquet."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.table import Schema, Table, table_of


def read_table(path: Path, schema: Schema | None = None) -> Table:
    """The table in a .csv, .jsonl or .parquet file.

    Raises `TableError` for a file that can't be read as one, naming the line.
    """
    read = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}.get(path.suffix.lower())
    if read is None:
        raise TableError(f"{path.name!r} is no table; give a .csv, .jsonl or .parquet file")
    try:
        return table_of(read(path), schema)
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} can't be read: {error}") from error


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise TableError(
                        f"{path}, line {reader.line_num}, has not as many fields as the first line"
                    )
                yield row
        except csv.Error as error:
            raise TableError(f"{path}, line {reader.line_num}: {error}") from error


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise TableError(f"{path}, line {number}: {error}") from error
            if not isinstance(record, dict):
                raise TableError(f"{path}, line {number}, is no JSON object")
            yield record


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise TableError(
            "Parquet needs pyarrow: pip install 'rag-pipeline-service[parquet]'"
        ) from error
    try:
        yield from parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise TableError(f"{path} can't be read: {error}") from error
