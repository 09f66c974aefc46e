"""OpenDocument, as LibreOffice writes it: texts, and presentations and spreadsheets too."""

import re
from collections.abc import Iterator
from itertools import chain

from lxml import etree

from ingest.errors import RefusedError, SkippedError
from ingest.parse.lines import body, cells, heading, limited
from ingest.parse.package import Package, attribute, local_name, opened
from ingest.parse.tables import Row, sheet_lines
from ingest.records import PAGE_BREAK, ParsedText

_WRAPPERS = frozenset(
    (
        "section",
        "index-body",
        "index-title",
        "list-header",
        "table-of-content",
        "alphabetical-index",
    )
)
# Comments, old texts of tracked changes, and what is not on the page or comes in its own place.
_NOT_RUNNING_TEXT = frozenset(
    (
        "annotation",
        "annotation-end",
        "tracked-changes",
        "note",
        "ruby-text",
        "frame",
        "g",
        "custom-shape",
        "notes",
        "text-box",
    )
)
_SHAPES = frozenset(("frame", "g", "text-box", "custom-shape", "rect", "ellipse", "line"))
_WHITE = re.compile(r"[ \t\r\n]+")
_BREAKS = {"tab": "\t", "line-break": "\n", "s": " "}
_GROUPS = frozenset(("table-header-rows", "table-rows", "table-row-group"))
_MAX_COLUMNS = 16_384
_PROPERTIES = {
    "title": "title",
    "initial-creator": "author",
    "creator": "author",
    "subject": "subject",
    "keyword": "keywords",
    "date": "modified",
}


def parse(data: bytes) -> ParsedText:
    """Headings in Markdown, list items with a dash, table rows as `cell | cell`, notes after their
    paragraph.

    A slide is a page; a sheet reads like one of Excel. Tracked changes read as accepted, comments
    are left out. Raises RefusedError for what is no such file, needs a password or is packed like a
    bomb, and SkippedError for one without text.
    """
    with opened(data, "an OpenDocument file") as package:
        _check_encryption(package)
        content = package.tree("content.xml").find("{*}body")
        kind, parts = _read(content)
        text = "\n".join(limited(parts))
        properties = _properties(package)
    if not text.strip():
        raise SkippedError("it holds no text")
    return ParsedText(
        text=text,
        title=properties.pop("title", ""),
        metadata=properties,
        has_headings=True,
        has_pages=kind == "presentation",
    )


def _check_encryption(package: Package) -> None:
    manifest = "META-INF/manifest.xml"
    if manifest in package and b"encryption-data" in package.read(manifest):
        raise RefusedError("it needs a password: save it without one")


def _read(content: etree._Element | None) -> tuple[str, Iterator[str]]:
    """What kind of document it is, and its lines."""
    if content is None or not len(content):
        raise RefusedError("it is a zip archive, but not an OpenDocument file")
    document = content[0]
    match local_name(document):
        case "spreadsheet":
            return "spreadsheet", _sheets(document)
        case "presentation":
            return "presentation", _slides(document)
        case _:
            return "text", _blocks(document)


def _properties(package: Package) -> dict[str, str]:
    if "meta.xml" not in package:
        return {}
    said: dict[str, str] = {}
    for element in package.tree("meta.xml").iterfind("{*}meta/*"):
        name, text = _PROPERTIES.get(local_name(element)), (element.text or "").strip()
        if name and text:
            said.setdefault(name, text)
    return said


def _blocks(parent: etree._Element) -> Iterator[str]:
    """Lines of text, a blank one after each paragraph and table."""
    for element in parent:
        match local_name(element):
            case "h":
                yield heading(_level(element), _text(element))
                yield ""
            case "p":
                yield from (body(_text(element).strip()), "")
            case "list":
                yield from _items(element)
                yield ""
            case "table":
                yield from filter(None, map(_row, _rows(element)))
                yield ""
            case name if name in _WRAPPERS:
                yield from _blocks(element)
        if local_name(element) in ("p", "h", "list", "table"):
            yield from _asides(element)


def _level(element: etree._Element) -> int:
    level = attribute(element, "outline-level")
    return int(level) if level.isdecimal() and len(level) < 3 else 1


def _items(element: etree._Element) -> Iterator[str]:
    """A line an item; those of lists in it follow it."""
    for item in element:
        for part in item:
            if local_name(part) == "list":
                yield from _items(part)
            elif local_name(part) == "h":
                yield from ("", heading(_level(part), _text(part)), "")
            elif text := " ".join(_text(part).split()):
                yield f"- {text}"


def _text(element: etree._Element) -> str:
    return "".join(_running_text(element))


def _running_text(element: etree._Element) -> Iterator[str]:
    """What stands in its line, with the tails of what does not."""
    yield _BREAKS.get(local_name(element), "")
    yield _WHITE.sub(" ", element.text or "")
    for child in element:
        name = local_name(child)
        if name == "note":
            yield f"[{_citation(child)}]"
        elif name and name not in _NOT_RUNNING_TEXT:
            yield from _running_text(child)
        yield _WHITE.sub(" ", child.tail or "")


def _citation(note: etree._Element) -> str:
    citation = note.find("{*}note-citation")
    return "" if citation is None else _text(citation).strip()


def _asides(element: etree._Element) -> Iterator[str]:
    """Notes and text boxes that are anchored in a paragraph, list or table."""
    for child in element:
        match local_name(child):
            case "note":
                lines = chain.from_iterable(map(_blocks, child.iterchildren("{*}note-body")))
                yield f"[{_citation(child)}] " + "\n".join(filter(None, lines))
                yield ""
            case "text-box":
                yield from _blocks(child)
            case "annotation" | "tracked-changes" | "":
                pass
            case _:
                yield from _asides(child)


def _rows(table: etree._Element) -> Iterator[etree._Element]:
    for element in table:
        if local_name(element) == "table-row":
            yield element
        elif local_name(element) in _GROUPS:
            yield from _rows(element)


def _row(row: etree._Element) -> str:
    return body(cells(_cell(cell) for cell in row.iterchildren("{*}table-cell")))


def _cell(cell: etree._Element) -> str:
    """Its paragraphs, lists and tables on one line; a date as ISO 8601."""
    day = attribute(cell, "date-value")
    return day.replace("T00:00:00", "").replace("T", " ") or " ".join(_in_a_cell(cell))


def _in_a_cell(cell: etree._Element) -> Iterator[str]:
    for element in cell:
        if local_name(element) in ("p", "h"):
            yield _text(element)
        elif local_name(element) not in _NOT_RUNNING_TEXT:
            yield from _in_a_cell(element)


def _slides(document: etree._Element) -> Iterator[str]:
    """A page each: the title, then the shapes in their order, then the notes."""
    for slide in document.iterchildren("{*}page"):
        shapes = [shape for shape in slide if local_name(shape) != "notes"]
        titles = [shape for shape in shapes if attribute(shape, "class") == "title"]
        for shape in titles:
            yield from (heading(1, " ".join(map(_text, shape.iter("{*}p", "{*}h")))), "")
        for shape in shapes:
            if shape not in titles:
                yield from _shape(shape)
        yield from _slide_notes(slide)
        yield PAGE_BREAK


def _shape(shape: etree._Element) -> Iterator[str]:
    """The text of a frame or of what is drawn, also in groups."""
    yield from _blocks(shape)
    for inner in shape:
        if local_name(inner) in _SHAPES:
            yield from _shape(inner)


def _slide_notes(slide: etree._Element) -> Iterator[str]:
    for box in slide.iterfind("{*}notes/{*}frame/{*}text-box"):
        if lines := list(filter(None, _blocks(box))):
            yield "Notes: " + "\n".join(lines)


def _sheets(document: etree._Element) -> Iterator[str]:
    for sheet in document.iterchildren("{*}table"):
        lines = sheet_lines(_numbered(sheet))
        first = next(lines, None)
        if first is not None:
            yield from (heading(1, attribute(sheet, "name")), "")
            yield from map(body, chain((first,), lines))
            yield ""


def _numbered(sheet: etree._Element) -> Iterator[tuple[int, Row]]:
    """Rows that hold anything; what is said to be repeated is repeated."""
    number = 0
    for element in _rows(sheet):
        times = _repeated(element, "number-rows-repeated")
        if row := _sheet_row(element):
            yield from ((number + place, row) for place in range(times))
        number += times


def _sheet_row(element: etree._Element) -> Row:
    row: dict[int, str] = {}
    column = 0
    for cell in element.iterchildren("{*}table-cell", "{*}covered-table-cell"):
        times = _repeated(cell, "number-columns-repeated")
        if words := " ".join(_cell(cell).split()):
            row.update((place, words) for place in range(column, min(column + times, _MAX_COLUMNS)))
        column += times
    return row


def _repeated(element: etree._Element, name: str) -> int:
    times = attribute(element, name)
    return int(times) if times.isdecimal() and len(times) < 10 else 1
