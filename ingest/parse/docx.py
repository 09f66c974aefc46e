"""Word documents (Office Open XML): paragraphs and tables in the order in which they are read."""

import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml.ns import qn

from ingest.errors import RefusedError
from ingest.records import ParsedText

_CORE_PROPERTIES = RELATIONSHIP_TYPE.CORE_PROPERTIES

MAX_UNPACKED = 256 * 1024 * 1024
MAX_XML_PART = 64 * 1024 * 1024
"""Bytes of one XML part: its tree takes about ten times as much memory."""
_RATIO_FROM = 16 * 1024 * 1024
_MAX_RATIO = 100
"""Real documents shrink to a tenth or a thirtieth."""

_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
_HEADING_STYLE = re.compile(r"heading (\d)", re.I)
_WRAPPERS = frozenset(
    qn(f"w:{name}") for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")
)
_SPACES = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# Old texts of tracked changes, drawings' second copies for old readers, and paragraphs inside
# text boxes, which come after the paragraph that they are anchored in.
_NOT_RUNNING_TEXT = frozenset(
    (
        *(qn(f"w:{name}") for name in ("del", "moveFrom", "txbxContent", "pPr")),
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    )
)


def parse(data: bytes) -> ParsedText:
    """Headings in Markdown, list items with a dash, table rows as `cell | cell`.

    The title is that of the document's properties, else its first paragraph in the style "Title".
    Tracked changes read as accepted. Raises RefusedError for what is no Word document, is packed
    like a bomb, or brings its own XML entities.
    """
    _check_package(data)
    document = _opened(data)
    headings = _heading_levels(document)
    text = "\n".join(_blocks(document.element.body, headings))
    properties = _properties(document)
    title = properties.pop("title", "").strip() or _first_titled(document)
    return ParsedText(text=text, title=title, metadata=properties)


def _check_package(data: bytes) -> None:
    """Look at what every member says of its size, hold it to that, and look at XML for a DTD."""
    try:
        with ZipFile(BytesIO(data)) as package:
            _check_sizes(package, len(data))
            for member in package.infolist():
                _check_part(package, member)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise RefusedError("it is not a whole Word document: it is damaged or cut short") from error


def _check_sizes(package: ZipFile, packed: int) -> None:
    members = package.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise RefusedError("it needs a password: save it without one")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED or unpacked > max(_RATIO_FROM, packed * _MAX_RATIO):
        raise RefusedError(
            f"it would unpack from {packed:,} to {unpacked:,} bytes: that is a zip bomb"
        )


def _check_part(package: ZipFile, member: ZipInfo) -> None:
    name, is_xml = member.filename, member.filename.endswith((".xml", ".rels"))
    if is_xml and member.file_size > MAX_XML_PART:
        raise RefusedError(f"its part {name!r} is over {MAX_XML_PART:,} bytes: split the document")
    with package.open(member) as part:
        # A bounded read, as the size may be a lie; the checksum fails if it is.
        content = part.read(member.file_size + 1)
    if is_xml and any(doctype in content for doctype in _DOCTYPES):
        raise RefusedError(f"its part {name!r} declares a document type, which Word never writes")


def _opened(data: bytes) -> Document:
    try:
        return docx.Document(BytesIO(data))
    except (PackageNotFoundError, KeyError, ValueError) as error:
        raise RefusedError("it is a zip archive, but not a Word document") from error


def _heading_levels(document: Document) -> dict[str, int]:
    """Style ids to levels, 1 to 9; ids differ from language to language, names do not."""
    levels = {}
    for style in document.styles:
        if heading := _HEADING_STYLE.match(style.name or ""):
            levels[style.style_id] = int(heading.group(1))
        elif style.name == "Title":
            levels[style.style_id] = 1
    return levels


def _first_titled(document: Document) -> str:
    titled = (p.text.strip() for p in document.paragraphs if p.style and p.style.name == "Title")
    return next(filter(None, titled), "")


def _properties(document: Document) -> dict[str, str]:
    """What the file says of itself; python-docx makes up a title and a time where it is silent."""
    if not any(rel.reltype == _CORE_PROPERTIES for rel in document.part.package.rels.values()):
        return {}
    properties = document.core_properties
    said = {
        "title": properties.title,
        "author": properties.author,
        "subject": properties.subject,
        "keywords": properties.keywords,
        "modified": _iso(properties.modified),
    }
    return {name: value for name, value in said.items() if value}


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _blocks(parent: Any, headings: dict[str, int]) -> Iterator[str]:
    """Lines of text, a blank one after each paragraph and table; `parent` is an lxml element."""
    for element in parent:
        if element.tag == qn("w:p"):
            yield from _paragraph(element, headings)
        elif element.tag == qn("w:tbl"):
            yield from _table(element)
            yield ""
        elif element.tag in _WRAPPERS:
            yield from _blocks(element, headings)


def _paragraph(element: Any, headings: dict[str, int]) -> Iterator[str]:
    text = "".join(_running_text(element)).strip()
    if text:
        is_item = element.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        level = headings.get(element.style or "", 0)
        yield f"{'#' * min(level, 6)} {text}" if level else f"- {text}" if is_item else text
        if not is_item:
            yield ""
    for box in _text_boxes(element):
        yield from _blocks(box, headings)


def _running_text(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag not in _NOT_RUNNING_TEXT and not _is_hidden_run(child):
            yield from _running_text(child)


def _is_hidden_run(element: Any) -> bool:
    vanish = element.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
    return vanish is not None and vanish.get(qn("w:val")) not in ("0", "false", "off")


def _text_boxes(element: Any) -> Iterator[Any]:
    for child in element:
        if child.tag == qn("w:txbxContent"):
            yield child
        elif child.tag not in _NOT_RUNNING_TEXT:
            yield from _text_boxes(child)


def _table(element: Any) -> Iterator[str]:
    for row in _parts(element, qn("w:tr")):
        cells = [" ".join(" ".join(_blocks(cell, {})).split()) for cell in _parts(row, qn("w:tc"))]
        if any(cells):
            yield " | ".join(cells)


def _parts(element: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also those that stand in a content control."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _parts(child, tag)
