"""Tables in CSV and TSV: each row as a line that can be understood without the rows above it."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from itertools import islice

from ingest.errors import RefusedError
from ingest.parse.encoding import decode
from ingest.parse.lines import limited
from ingest.parse.tables import Row, records
from ingest.records import ParsedText

DELIMITERS = ",;\t|"
"""Tried in this order; a tie goes to the first."""
_SAMPLE_ROWS = 50
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\r?\n")


def parse(data: bytes) -> ParsedText:
    """`header: value; header: value`, a line a row; without a header row, `value | value`.

    Empty cells are left out. Raises RefusedError for a quote that is never closed, and
    for a table whose words, such as the columns' names, are too many together.
    """
    text = decode(data)
    declared = _SEPARATOR_LINE.match(text)
    body = text[declared.end() :] if declared else text
    rows = _rows(body, declared.group(1) if declared else _delimiter(body))
    return ParsedText(text="\n".join(limited(records(rows))))


def _rows(text: str, delimiter: str) -> list[Row]:
    """Rows that hold anything, each cell on one line."""
    try:
        return [
            cells
            for row in csv.reader(StringIO(text, newline=""), delimiter=delimiter)
            if (cells := _cells(row))
        ]
    except csv.Error as error:
        raise RefusedError(
            f"it can't be read as a table ({error}): is a quote left open?"
        ) from error


def _cells(row: Sequence[str]) -> Row:
    words = ((column, " ".join(cell.split())) for column, cell in enumerate(row))
    return {column: cell for column, cell in words if cell}


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
