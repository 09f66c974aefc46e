"""Rows of tables as lines that can be understood without the rows above them."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from types import MappingProxyType

from ingest.parse.lines import cells

_NUMBER = re.compile(r"[-+]?[\d.,\s%$€£:/-]*\d[\d.,\s%$€£:/-]*$")
_MAX_NAME = 200
"""Characters of a column's name: it is repeated in every row."""

Row = Mapping[int, str]
"""The cells that hold anything, by their column, in its order."""


def sheet_lines(rows: Iterable[tuple[int, Row]]) -> Iterator[str]:
    """Blocks of rows with none missing between them, each with its own captions and names.

    `rows` are numbered, in their order; a caption is a row of one cell above a table.
    """
    numbered = ((number - place, row) for place, (number, row) in enumerate(rows))
    above: Row = {}
    for index, (_, block) in enumerate(groupby(numbered, key=lambda found: found[0])):
        if index:
            yield ""
        above = yield from _captions_and_records((row for _, row in block), above)


def _captions_and_records(rows: Iterator[Row], above: Row) -> Generator[str, None, Row]:
    for row in rows:
        if len(row) > 1:
            return (yield from records(chain((row,), rows), above))
        yield cells(row.values())
    return {}


def records(rows: Iterable[Row], above: Row = MappingProxyType({})) -> Generator[str, None, Row]:
    """`name: value; name: value`, a line a row; `value | value` where no row names the columns.

    Names may also stand in `above`, the last row before a blank one. Returns the last row where it
    may name what follows.
    """
    remaining = iter(rows)
    first = list(islice(remaining, 2))
    own = has_header(first)
    names = first[0] if own else above if _is_named_by(above, first) else {}
    last: Row = {}
    for last in chain(first[own:], remaining):
        yield _record(names, last) if names else " | ".join(last.values())
    return {} if names else last


def _is_named_by(above: Row, rows: Sequence[Row]) -> bool:
    numbers = bool(rows) and any(_NUMBER.match(cell) for cell in rows[0].values())
    return numbers and has_header((above, rows[0]))


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first of two rows names the columns: no name twice, too long or a number."""
    if len(rows) < 2 or not rows[0]:
        return False
    names = list(rows[0].values())
    # Often the first column, which says what a row is about, has no name.
    covers = rows[1].keys() - rows[0].keys() <= {min(rows[1])}
    distinct = len(names) == len(set(names)) and max(map(len, names)) <= _MAX_NAME
    return covers and distinct and not any(_NUMBER.match(name) for name in names)


def _record(names: Row, row: Row) -> str:
    return "; ".join(
        f"{names[column]}: {cell}" if column in names else cell for column, cell in row.items()
    )
