"""Records of a set as a file: each says of itself whether it is real or drawn, and by what.

Beside the file stands a card (`data_card.py`), as Markdown and as JSON. All of it is written, or
nothing.
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rag_pipeline.csv_cells import harmless, is_formula
from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import arrow, new_file
from rag_pipeline.synthetic.card_page import as_markdown
from rag_pipeline.synthetic.data_card import CardMaker
from rag_pipeline.synthetic.kinds import kind_of
from rag_pipeline.synthetic.series_order import by_series
from rag_pipeline.synthetic.tables.table import Schema
from rag_pipeline.synthetic.tables.values import Kind
from storage.record_sets.coding import TAGS
from storage.record_sets.sets import RecordSets
from storage.record_sets.values import Split, StoredRecord, WantedOrigin

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_GROUP = 5_000
Row = Mapping[str, Any]
Write = Callable[[BinaryIO, Schema, Iterable[Row]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWanted:
    """Which records go where."""

    name: str
    """Of the set."""
    path: Path
    """A .csv, .jsonl or .parquet file."""
    origin: WantedOrigin
    batch_id: int | None = None
    split: Split | None = None
    slices: tuple[str, ...] = ()
    """Columns by whose values the card is divided."""
    raw: bool = False
    """Whether CSV has texts as they are that a spreadsheet would run as formulas."""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    path: Path
    card: Path
    """Markdown; the same as JSON has the ending .json."""
    real: int
    synthetic: int
    images: int
    defused: int
    """Cells of CSV that got an apostrophe, for they begin like formulas."""
    sha256: str
    """Of the file."""

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "card": str(self.card),
            "records": {"real": self.real, "synthetic": self.synthetic},
            "images": self.images,
            "defused": self.defused,
            "sha256": self.sha256,
        }


def export(sets: RecordSets, wanted: ExportWanted) -> Exported:
    """Write the records and the card. Raises `NotFoundError`, `InvalidRecordError`, `TableError`
    for slices by what is no column, and `DatasetError` where files are in the way or can't be
    written."""
    cells = _Cells(is_raw=wanted.raw)
    write = _writer(wanted.path, cells)
    found = sets.get(wanted.name)
    schema = Schema.from_json(found.schema)
    rows = sets.rows(wanted.name, wanted.origin, batch_id=wanted.batch_id, split=wanted.split)
    if kind_of(schema) == "series":
        rows = by_series(rows, schema)
    card = CardMaker(sets, found, schema, wanted.path.name, wanted.slices)
    markdown, as_json = (wanted.path.with_name(f"{wanted.path.name}.card{e}") for e in _ENDINGS)
    with (
        _images_beside(wanted) as images,
        new_file(as_json, overwrite=wanted.overwrite) as json_file,
        new_file(markdown, overwrite=wanted.overwrite) as markdown_file,
        new_file(wanted.path, overwrite=wanted.overwrite) as file,
    ):
        write(file, schema, _tagged(card.seen(rows), schema, images))
        file.flush()
        made = card.made(Path(file.name))
        said = made.as_json() | ({"defused": cells.defused} if cells.defused else {})
        json_file.write(json.dumps(said, indent=1, ensure_ascii=False).encode())
        markdown_file.write(as_markdown(said).encode())
    return Exported(
        path=wanted.path,
        card=markdown,
        real=made.records["real"],
        synthetic=made.records["synthetic"],
        images=images.written,
        defused=cells.defused,
        sha256=made.sha256,
    )


_ENDINGS = (".md", ".json")


@dataclass(slots=True)
class _Images:
    """The folder that a file of text names images in; None: they stand in the file itself."""

    folder: Path | None
    shown_as: str
    written: int = 0

    def put(self, content: bytes) -> object:
        """What the file says of an image."""
        self.written += 1
        if self.folder is None:
            return content
        self.folder.mkdir(exist_ok=True)
        name = f"{hashlib.sha256(content).hexdigest()}.png"
        (self.folder / name).write_bytes(content)
        return f"{self.shown_as}/{name}"


@contextmanager
def _images_beside(wanted: ExportWanted) -> Iterator[_Images]:
    """Where images go; the folder is there when this is left, and not if it raises."""
    target = wanted.path.with_name(f"{wanted.path.stem}_images")
    if wanted.path.suffix.lower() == ".parquet":
        yield _Images(None, "")
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        yield _Images(unfinished, target.name)
        if unfinished.exists():
            _put_in_place(unfinished, target, overwrite=wanted.overwrite)
    except OSError as error:
        raise DatasetError(
            f"{target} can't be written: {error.strerror or error}; name another file"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put_in_place(unfinished: Path, target: Path, *, overwrite: bool) -> None:
    if target.exists():
        if not overwrite:
            raise DatasetError(f"{target} is there already: name another file, or overwrite it")
        shutil.rmtree(target)
    unfinished.replace(target)


def _tagged(records: Iterable[StoredRecord], schema: Schema, images: _Images) -> Iterator[Row]:
    """Each record with what it must never be parted from."""
    shown = [column.name for column in schema.columns if column.kind == "image"]
    for record in records:
        values = dict(record.values)
        for name in shown:
            if values[name] is not None:
                values[name] = images.put(values[name])
        tags = (record.origin, record.generator_id, record.batch_id)
        yield {**values, **dict(zip(TAGS, tags, strict=True))}


def check_form(path: Path) -> None:
    """Raise `DatasetError` for a file that can't be written to, before any work."""
    _writer(path, _Cells())
    if path.exists():
        raise DatasetError(f"{path} is there already: name another file, or remove it")


@dataclass(slots=True)
class _Cells:
    """What stands in CSV for a value."""

    is_raw: bool = False
    defused: int = 0

    def __call__(self, value: object) -> object:
        if isinstance(value, bool):
            return str(value).lower()
        if self.is_raw or not is_formula(value):
            return value
        self.defused += 1
        return harmless(value)


def _writer(path: Path, cells: _Cells) -> Write:
    """By the name's ending. Raises `DatasetError`."""
    match path.suffix.lower():
        case ".csv":
            return partial(_write_csv, cells)
        case ".jsonl":
            return _write_jsonl
        case ".parquet":
            arrow()
            return _write_parquet
    raise DatasetError(f"{path} names no known form: let it end in .csv, .jsonl or .parquet")


def _write_csv(cells: _Cells, file: BinaryIO, schema: Schema, rows: Iterable[Row]) -> None:
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    names = [*(column.name for column in schema.columns), *TAGS]
    writer.writerow(map(cells, names))
    for row in rows:
        writer.writerow([cells(row[name]) for name in names])
    text.detach()


def _write_jsonl(file: BinaryIO, _schema: Schema, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _write_parquet(file: BinaryIO, schema: Schema, rows: Iterable[Row]) -> None:
    pa = arrow()
    fields = _fields(pa, schema)
    times = [column.name for column in schema.columns if column.kind == "datetime"]
    with pa.parquet.ParquetWriter(file, fields, compression="zstd") as writer:
        remaining = iter(rows)
        while some := [_with_times(row, times) for row in islice(remaining, _ROWS_A_GROUP)]:
            writer.write_table(pa.Table.from_pylist(some, schema=fields))


def _with_times(row: Row, times: Sequence[str]) -> Row:
    read = {name: datetime.fromisoformat(row[name]) for name in times if row[name] is not None}
    return {**row, **read}


def _fields(pa: Any, schema: Schema) -> "pa.Schema":
    types: Mapping[Kind, Any] = {
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "datetime": pa.timestamp("us", tz="UTC"),
        "image": pa.binary(),
    }
    columns = [(column.name, types.get(column.kind, pa.string())) for column in schema.columns]
    tags = zip(TAGS, (pa.string(), pa.string(), pa.int64()), strict=True)
    return pa.schema([*columns, *tags])
