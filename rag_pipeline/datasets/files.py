"""Data sets as files, each written whole or not at all."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.rows import COLUMNS, Label, Row, as_json

if TYPE_CHECKING:
    import pyarrow as pa

FileFormat = Literal["jsonl", "parquet"]
LabelKind = Literal["text", "truth value", "whole number", "number", "list"]
Write = Callable[[BinaryIO, Iterable[Row]], None]

_CHARACTERS_A_GROUP = 8_000_000
_ROWS_A_GROUP = 5_000


def format_of(path: Path) -> FileFormat:
    """By the name's suffix. Raises `DatasetError` for any but .jsonl and .parquet."""
    match path.suffix.lower():
        case ".jsonl":
            return "jsonl"
        case ".parquet":
            return "parquet"
    raise DatasetError(f"{path} names no known format: let it end in .jsonl or .parquet")


def kind_of(label: Label) -> LabelKind:
    """What a column of such labels holds."""
    match label:
        case bool():
            return "truth value"
        case int():
            return "whole number"
        case float():
            return "number"
        case str():
            return "text"
        case _:
            return "list"


def writer_for(file_format: FileFormat, kinds: frozenset[LabelKind]) -> Write:
    """What writes rows whose labels are of these kinds.

    Raises `DatasetError` where Parquet can't hold them in one column, or is not installed.
    """
    if file_format == "jsonl":
        return write_jsonl
    pa = arrow()
    schema = _schema(pa, _column_kind(kinds))
    return lambda file, rows: _write_parquet(pa, file, rows, schema)


def write_jsonl(file: BinaryIO, rows: Iterable[Row]) -> None:
    """An object a line, in UTF-8."""
    for row in rows:
        line = json.dumps(as_json(row), ensure_ascii=False, allow_nan=False)
        file.write(line.encode() + b"\n")


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A file that is at `path` when this is left, and leaves no trace if it raises.

    Raises `DatasetError` where there is one already, or where none can be written.
    """
    try:
        _refuse_existing(path, overwrite=overwrite)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # It takes minutes to fill: another may have been put there meanwhile.
            _refuse_existing(path, overwrite=overwrite)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(
            f"{path} can't be written: {error.strerror or error}; name another file"
        ) from error


def sha256_of(path: Path) -> str:
    """Of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise DatasetError(f"{path} is a folder: name a file in it")
    if path.exists() and not overwrite:
        raise DatasetError(f"{path} is there already: name another file, or replace it by --force")


def arrow() -> Any:
    """pyarrow, with what writes Parquet. Raises `DatasetError` where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            "Parquet needs a package that is not installed:"
            " run pip install 'rag-pipeline-service[parquet]', or write a .jsonl file"
        ) from error
    return pyarrow


def _column_kind(kinds: frozenset[LabelKind]) -> LabelKind:
    for column, takes in _COLUMNS:
        if kinds <= takes:
            return column
    raise DatasetError(
        "the labels are of kinds that no Parquet column holds together"
        f" ({', '.join(sorted(kinds))}): correct the sources, name another"
        " --label-field, or write a .jsonl file"
    )


_COLUMNS: tuple[tuple[LabelKind, frozenset[LabelKind]], ...] = (
    ("text", frozenset({"text"})),
    ("truth value", frozenset({"truth value"})),
    ("whole number", frozenset({"whole number"})),
    ("number", frozenset({"whole number", "number"})),
    ("list", frozenset({"text", "list"})),
)
"""Kinds of columns and the labels that each takes; the first that takes all is the one."""


def _schema(arrow: Any, column: LabelKind) -> "pa.Schema":
    string, label = arrow.string(), _label_type(arrow, column)
    types = {"label": label, "document_id": arrow.int64()}
    return arrow.schema([(name, types.get(name, string)) for name in COLUMNS])


def _label_type(arrow: Any, column: LabelKind) -> "pa.DataType":
    match column:
        case "text":
            return arrow.string()
        case "truth value":
            return arrow.bool_()
        case "whole number":
            return arrow.int64()
        case "number":
            return arrow.float64()
        case "list":
            return arrow.list_(arrow.string())


def _write_parquet(arrow: Any, file: BinaryIO, rows: Iterable[Row], schema: "pa.Schema") -> None:
    label = schema.field("label").type
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows):
            columns = [_column(arrow, name, group, label) for name in COLUMNS]
            writer.write_batch(
                arrow.record_batch(
                    [
                        arrow.array(values, type=field.type)
                        for values, field in zip(columns, schema, strict=True)
                    ],
                    schema=schema,
                )
            )


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in the portions that Parquet keeps and compresses together."""
    group: list[Row] = []
    characters = 0
    for row in rows:
        group.append(row)
        characters += len(row.text)
        if len(group) == _ROWS_A_GROUP or characters >= _CHARACTERS_A_GROUP:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _column(arrow: Any, name: str, rows: Sequence[Row], label: "pa.DataType") -> list[Any]:
    if name == "metadata":
        return [json.dumps(dict(row.metadata), ensure_ascii=False) for row in rows]
    if name != "label":
        return [getattr(row, name) for row in rows]
    if arrow.types.is_list(label):
        return [[row.label] if isinstance(row.label, str) else row.label for row in rows]
    if arrow.types.is_floating(label):
        # Arrow refuses whole numbers that a float64 would round.
        return [float(row.label) if isinstance(row.label, int) else row.label for row in rows]
    return [row.label for row in rows]
