"""Markdown, kept as it was written: its marks tell the chunker where sections begin."""

import re
from collections.abc import Iterable, Iterator

from ingest.parse.encoding import decode
from ingest.records import ParsedText

_FRONT_MATTER = re.compile(
    r"\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S | re.M
)
_FIELD = re.compile(r"([A-Za-z_][\w .-]*?)[ \t]*:(?:[ \t]+(.*))?$")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()]*\)")


def parse(data: bytes) -> ParsedText:
    """The text without its front matter, whose fields become metadata.

    The title is the front matter's `title`, else the first heading.
    """
    text = decode(data)
    matter = _FRONT_MATTER.match(text)
    fields = _fields(matter.group(1).splitlines()) if matter else {}
    body = text[matter.end() :] if matter else text
    return ParsedText(text=body, title=fields.get("title") or _first_heading(body), metadata=fields)


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


def _first_heading(text: str) -> str:
    above = ""
    for line in _outside_fences(text.splitlines()):
        if heading := _HEADING.match(line):
            return _plain(heading.group(1))
        if _UNDERLINE.match(line) and above:
            return _plain(above)
        above = line.strip()
    return ""


def _outside_fences(lines: Iterable[str]) -> Iterator[str]:
    """Lines that are not code: there `#` begins a comment."""
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and line.strip().startswith(fence):
            fence = ""
        elif not fence:
            yield line


def _plain(heading: str) -> str:
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading)).strip()
