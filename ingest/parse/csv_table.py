"""Tables in CSV and TSV: each row as a line that can be understood without the rows above it."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from itertools import islice

from ingest.errors import RefusedError
from ingest.parse.encoding import decode
from ingest.records import ParsedText

Row = Sequence[str]

DELIMITERS = ",;\t|"
"""Tried in this order; a tie goes to the first."""
_SAMPLE_ROWS = 50
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\r?\n")
_NUMBER = re.compile(r"[-+]?[\d.,\s%$€£:/-]*\d[\d.,\s%$€£:/-]*$")


def parse(data: bytes) -> ParsedText:
    """`header: value; header: value`, a line a row; without a header row, `value | value`.

    Empty cells are left out. Raises RefusedError for a quote that is never closed.
    """
    text = decode(data)
    declared = _SEPARATOR_LINE.match(text)
    body = text[declared.end() :] if declared else text
    rows = _rows(body, declared.group(1) if declared else _delimiter(body))
    if _has_header(rows):
        lines = [_record(rows[0], row) for row in rows[1:]]
    else:
        lines = [" | ".join(filter(None, row)) for row in rows]
    return ParsedText(text="\n".join(filter(None, lines)))


def _rows(text: str, delimiter: str) -> list[Row]:
    """Rows that hold anything, each cell on one line."""
    try:
        return [
            cells
            for row in csv.reader(StringIO(text, newline=""), delimiter=delimiter)
            if any(cells := [" ".join(cell.split()) for cell in row])
        ]
    except csv.Error as error:
        raise RefusedError(
            f"it can't be read as a table ({error}): is a quote left open?"
        ) from error


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the same number of cells, more than one, most often."""
    sample = text.splitlines()[:_SAMPLE_ROWS]
    return max(DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(lines: Sequence[str], delimiter: str) -> tuple[float, int]:
    try:
        widths = [len(row) for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS)]
    except csv.Error:
        return (0.0, 0)
    width, rows = (
        Counter(width for width in widths if width).most_common(1)[0] if any(widths) else (0, 0)
    )
    return (rows / len(widths), width) if width > 1 else (0.0, 0)


def _has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns: no name twice, none a number, and rows below it."""
    if len(rows) < 2:
        return False
    names = [name for name in rows[0] if name]
    distinct = len(names) == len(set(names)) and len(names) >= max(1, len(rows[1]) - 1)
    return distinct and not any(_NUMBER.match(name) for name in names)


def _record(names: Row, row: Row) -> str:
    """One row; cells beyond the last name stand without one."""
    named = [*names, *[""] * (len(row) - len(names))]
    cells = [(name, cell) for name, cell in zip(named, row, strict=False) if cell]
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells)
