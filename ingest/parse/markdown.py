"""Markdown, kept as it was written, but for headings: each one stands after # marks."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from ingest.parse.encoding import decode
from ingest.parse.lines import LINE_END, body, heading
from ingest.records import ParsedText

_FRONT_MATTER = re.compile(
    r"\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S | re.M
)
_FIELD = re.compile(r"([A-Za-z_][\w .-]*?)[ \t]*:(?:[ \t]+(.*))?$")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)$")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_MARKED = re.compile(r"#{1,6} (.+)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_PARAGRAPH = re.compile(r" {0,3}(?![-*+][ \t]|[>|#]|\d+[.)][ \t])\S")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()]*\)")


def parse(data: bytes) -> ParsedText:
    """The text without its front matter, whose fields become metadata.

    Underlined headings get # marks. A block of program text with a comment that would pass as a
    heading is indented by a space, which Markdown takes off again. The title is
    the front matter's `title`, else the first heading.
    """
    text = decode(data)
    matter = _FRONT_MATTER.match(text)
    fields = _fields(matter.group(1).splitlines()) if matter else {}
    written = text[matter.end() :] if matter else text
    lines = list(_marked(LINE_END.split(written)))
    return ParsedText(
        text="\n".join(lines),
        title=fields.get("title") or _first_heading(lines),
        metadata=fields,
        has_headings=True,
    )


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """`key: value` lines as strings, a list below a key joined by commas.

    YAML is not evaluated: tags, anchors and nested mappings are not followed.
    """
    fields: dict[str, str] = {}
    key = ""
    for line in lines:
        if field := _FIELD.match(line):
            key = field.group(1)
            fields[key] = _unquoted(field.group(2) or "")
        elif key and (item := _ITEM.match(line)):
            fields[key] = ", ".join(filter(None, (fields[key], _unquoted(item.group(1)))))
    return fields


def _unquoted(value: str) -> str:
    value = value.strip()
    quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
    return value[1:-1] if quoted else value


def _first_heading(lines: Iterable[str]) -> str:
    titles = (_plain(found.group(1)) for found in map(_MARKED.match, lines) if found)
    return next(filter(None, titles), "")


def _marked(lines: Iterable[str]) -> Iterator[str]:
    """The same lines, with # marks at the start of one if and only if it is a heading."""
    for is_code, block in groupby(_told_apart(lines), key=itemgetter(0)):
        written = [line for _, line in block]
        yield from _indented(written) if is_code else _headings_marked(written)


def _told_apart(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """With each line the number of its block of program text, 0 outside of them."""
    fence, blocks = "", 0
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            yield blocks, line
            fence = "" if mark and line.strip().startswith(fence) else fence
        elif mark:
            fence, blocks = mark.group(1), blocks + 1
            yield blocks, line
        else:
            yield 0, line


def _indented(code: list[str]) -> list[str]:
    if all(body(line) == line for line in code):
        return code
    return [f" {line}" for line in code]


def _headings_marked(lines: list[str]) -> Iterator[str]:
    for place, line in enumerate(lines):
        if level := _underlined(lines, place):
            yield heading(level, line)
        elif found := _HEADING.match(line):
            yield heading(len(found.group(1)), found.group(2)) or body(line)
        elif not (place and _underlined(lines, place - 1)):
            yield line


def _underlined(lines: list[str], place: int) -> int:
    """The level of the one-line paragraph at `place` as a heading; 0 where it is none."""
    underline = _UNDERLINE.match(lines[place + 1]) if place + 1 < len(lines) else None
    if not underline or not _PARAGRAPH.match(lines[place]):
        return 0
    above = lines[place - 1] if place else ""
    is_alone = not above.strip() or bool(_HEADING.match(above))
    return (1 if "=" in underline.group() else 2) if is_alone else 0


def _plain(heading: str) -> str:
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading)).strip()
