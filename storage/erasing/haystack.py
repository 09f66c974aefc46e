"""Everything that a database and a folder hold, as bytes: whatever tables and files there are.

Tables are found by asking the database, so that one that is added later is looked through too.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, inspect, literal_column, select, table

from storage.models.tables import METADATA
from storage.versions.datasets import members_as_lines

BLOCK_BYTES = 1 << 16
"""What fits into a processor's cache along with all that is computed of it."""
_ROWS_AT_ONCE = 500
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip", ".parquet", ".tgz", ".7z"})
WORDS = (
    "prompt_words",
    "prompt_words_data",
    "prompt_words_idx",
    "prompt_words_docsize",
    "prompt_words_config",
)
"""Tables that say again what exchanges say."""
Skipped = Mapping[str, ColumnElement[bool] | None]
"""Tables that are left out, or the rows of them that are kept; None: all of it is left out."""


def cells(connection: Connection, skipped: Skipped) -> Iterator[tuple[str, bytes]]:
    """The bytes of every value that is text or bytes, in blocks, each with the name of its table
    and column."""
    for name in inspect(connection).get_table_names():
        kept = skipped.get(name)
        if name not in skipped or kept is not None:
            yield from _of_table(connection, name, kept)
    if "dataset_versions" not in skipped:
        yield from _in_blocks("dataset_versions.members", members_as_lines(connection))


def files(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, links not followed."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def blocks(path: Path, overlap: int) -> Iterator[bytes]:
    """The bytes of a file; each block begins with the last `overlap` ones of the one before."""
    kept = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield kept + block
            kept = (kept + block)[-overlap:] if overlap else b""


def is_compressed(path: Path) -> bool:
    """Whether its bytes don't show what it holds."""
    return path.suffix.lower() in _COMPRESSED


def _of_table(
    connection: Connection, name: str, kept: ColumnElement[bool] | None
) -> Iterator[tuple[str, bytes]]:
    known = METADATA.tables.get(name)
    statement: Any = (
        select(literal_column("*")).select_from(table(name)) if known is None else select(known)
    )
    if kept is not None:
        statement = statement.where(kept)
    found = connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE))
    columns = list(found.keys())
    gathered: dict[str, list[bytes]] = {column: [] for column in columns}
    sizes = dict.fromkeys(columns, 0)
    for row in found:
        for column, value in zip(columns, row, strict=True):
            said = as_bytes(value)
            if said:
                gathered[column].append(said)
                sizes[column] += len(said)
                if sizes[column] >= BLOCK_BYTES:
                    yield f"{name}.{column}", b"\0".join(gathered[column])
                    gathered[column], sizes[column] = [], 0
    for column, some in gathered.items():
        if some:
            yield f"{name}.{column}", b"\0".join(some)


def _in_blocks(name: str, lines: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield name, b"\0".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield name, b"\0".join(gathered)


def as_bytes(value: object) -> bytes:
    """A value as its database keeps it, more or less; nothing for numbers and times."""
    match value:
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str).encode(
                "utf-8", "surrogatepass"
            )
        case None | bool() | int() | float() | date():
            return b""
        case _:
            return str(value).encode("utf-8", "surrogatepass")
