"""The lines of a text whose headings are marked: those that are, and those that must not be."""

import re
from collections.abc import Iterable, Iterator

from ingest.errors import RefusedError

MAX_CHARACTERS = 32 * 1024 * 1024
"""Of one document's text: a few bytes can refer to the same long words again and again."""

LINE_END = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# What becomes a line end, or nothing, when the text is brought into normal form.
_LINE_START = r"(?:^|(?<=[\n\r\x0b\x0c\x85\u2028\u2029]))"
_NOTHING = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ufeff]*"
_LIKE_A_HEADING = re.compile(rf"({_LINE_START}{_NOTHING})(?=#{_NOTHING}(?:#{_NOTHING}){{0,5}}\s)")


def heading(level: int, title: str) -> str:
    """A line that is a heading in Markdown; empty where there is no title."""
    words = " ".join(title.split())
    return f"{'#' * min(max(level, 1), 6)} {words}" if words else ""


def body(text: str) -> str:
    """`text` with a backslash, Markdown's own, before each line that would pass as a heading."""
    return _LIKE_A_HEADING.sub(r"\1\\", text) if "#" in text else text


def cells(row: Iterable[str]) -> str:
    """One row of a table, `cell | cell`; empty where all of its cells are."""
    words = [" ".join(cell.split()) for cell in row]
    return " | ".join(words).rstrip(" |") if any(words) else ""


def limited(texts: Iterable[str]) -> Iterator[str]:
    """The same texts; RefusedError when together they get too long."""
    left = MAX_CHARACTERS
    for text in texts:
        left -= len(text) + 1
        if left < 0:
            raise RefusedError(f"it holds more than {MAX_CHARACTERS:,} characters: split it")
        yield text
