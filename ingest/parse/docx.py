"""Word documents (Office Open XML): paragraphs and tables in the order in which they are read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from itertools import chain
from typing import Any
from zipfile import ZipFile, ZipInfo

from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import Part, PartFactory, XmlPart
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from lxml import etree

from ingest.errors import RefusedError
from ingest.parse.lines import body, cells, heading, limited
from ingest.parse.package import check_marks, malformed, opened
from ingest.records import ParsedText

_CORE_PROPERTIES = RELATIONSHIP_TYPE.CORE_PROPERTIES

_NO_DOCUMENT = "it is a zip archive, but not a Word document"
_ALSO_DOCUMENTS = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
for _media_type in _ALSO_DOCUMENTS:
    # Documents with macros, and templates: read alike, and nothing in them is ever run.
    PartFactory.part_type_for[_media_type] = DocumentPart

_STEP = 1024 * 1024
_HEADING_STYLE = re.compile(r"heading (\d)", re.I)
_WRAPPERS = frozenset(
    qn(f"w:{name}") for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")
)
_SPACES = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# Old texts of tracked changes, drawings' second copies for old readers, and paragraphs inside
# text boxes, which come after the paragraph that they are anchored in.
_TEXTS = frozenset((qn("w:t"), "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"))
_NOTES = {qn("w:footnoteReference"): "footnotes", qn("w:endnoteReference"): "endnotes"}
_MARGINS = ("header", "footer")
_PAGE_NUMBER = re.compile(r"(?:\D{0,12}\d+){0,2}\D{0,3}")
_NOT_RUNNING_TEXT = frozenset(
    (
        *(qn(f"w:{name}") for name in ("del", "moveFrom", "txbxContent", "pPr")),
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    )
)


def parse(data: bytes) -> ParsedText:
    """Headings in Markdown, list items with a dash, table rows as `cell | cell`.

    A note follows the paragraph or table that refers to it; each header and footer stands once, at
    the end. The title is that of the document's properties, else its first paragraph in the style
    "Title". Tracked changes read as accepted, comments are left out. Raises RefusedError for what
    is no Word document, is packed like a bomb, or brings its own XML entities.
    """
    _check_package(data)
    document = _opened(data)
    try:
        lines = list(limited(_lines(document)))
    except RecursionError as error:
        raise RefusedError("its elements are nested too deeply: it is broken") from error
    properties = _properties(document)
    title = properties.pop("title", "").strip() or _first_titled(document)
    return ParsedText(text="\n".join(lines), title=title, metadata=properties, has_headings=True)


@dataclass(frozen=True, slots=True)
class _Styles:
    """What a paragraph's own element does not say."""

    headings: Mapping[str, int]
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The elements of foot- and endnotes, by kind and id."""
    told: set[tuple[str, str]] = field(default_factory=set)
    """Notes that stand in the text already: hundreds of references may lead to one."""


def _lines(document: Document) -> Iterator[str]:
    headings = _heading_levels(document)
    notes = {kind: _notes(document, kind) for kind in _NOTES.values()}
    yield from _blocks(document.element.body, _Styles(headings, notes))
    yield from _margins(document)


def _related(document: Document, kind: str) -> Iterator[Part]:
    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            yield relation.target_part


def _root(part: Part) -> Any:
    """Its root element; python-docx leaves parts that it does not know as bytes."""
    if isinstance(part, XmlPart):
        return part.element
    try:
        return parse_xml(part.blob)
    except etree.XMLSyntaxError as error:
        raise malformed(str(part.partname), error) from error


def _notes(document: Document, kind: str) -> dict[str, Any]:
    """By their ids; separators, which are notes of a type, left out."""
    roots = map(_root, _related(document, kind))
    return {
        note.get(qn("w:id")): note
        for note in chain.from_iterable(roots)
        if note.get(qn("w:type")) in (None, "normal")
    }


def _margins(document: Document) -> Iterator[str]:
    """What headers and footers say, each once, but for page numbers."""
    parts = chain.from_iterable(_related(document, kind) for kind in _MARGINS)
    lines = chain.from_iterable(_blocks(_root(part), _Styles({})) for part in parts)
    for line in dict.fromkeys(filter(None, lines)):
        if not _PAGE_NUMBER.fullmatch(line):
            yield from (line, "")


def _check_package(data: bytes) -> None:
    """Look at every part before python-docx, which builds the trees of them all, does."""
    with opened(data, "a Word document") as package:
        marks = 0
        for member in package.archive.infolist():
            if member.filename.endswith((".xml", ".rels")):
                marks += package.xml(member.filename).count(b"<")
                check_marks(marks)
            else:
                _check_whole(package.archive, member)


def _check_whole(archive: ZipFile, member: ZipInfo) -> None:
    """Read to the end, where the checksum is compared; pictures may be larger than memory."""
    with archive.open(member) as part:
        while part.read(_STEP):
            pass


def _opened(data: bytes) -> Document:
    try:
        part = Package.open(BytesIO(data)).main_document_part
    except (PackageNotFoundError, KeyError, ValueError) as error:
        raise RefusedError(_NO_DOCUMENT) from error
    except etree.XMLSyntaxError as error:
        raise malformed("word/document.xml", error) from error
    if not isinstance(part, DocumentPart):
        raise RefusedError(_NO_DOCUMENT)
    document: Document = part.document
    return document


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


def _blocks(parent: Any, styles: _Styles) -> Iterator[str]:
    """Lines of text, a blank one after each paragraph and table; `parent` is an lxml element."""
    for element in parent:
        if element.tag == qn("w:p"):
            yield from _paragraph(element, styles)
        elif element.tag == qn("w:tbl"):
            yield from _table(element)
            yield ""
            yield from _notes_of(element, styles)
        elif element.tag in _WRAPPERS:
            yield from _blocks(element, styles)


def _paragraph(element: Any, styles: _Styles) -> Iterator[str]:
    text = "".join(_running_text(element)).strip()
    if text:
        is_item = element.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        level = styles.headings.get(element.style or "", 0)
        if is_item:
            yield f"- {text}"
        else:
            yield from ("", heading(level, text) if level else body(text), "")
    yield from _notes_of(element, styles)
    for box in _text_boxes(element):
        yield from _blocks(box, styles)


def _running_text(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag in _TEXTS:
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag in _NOTES:
            yield f"[{child.get(qn('w:id'))}]"
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


def _notes_of(element: Any, styles: _Styles) -> Iterator[str]:
    """The notes that the element refers to, where they were not told before."""
    for reference in element.iter(*_NOTES):
        kind, number = _NOTES[reference.tag], reference.get(qn("w:id"))
        note = styles.notes.get(kind, {}).get(number)
        if note is not None and (kind, number) not in styles.told:
            styles.told.add((kind, number))
            yield f"[{number}] " + " ".join(filter(None, _blocks(note, _Styles({}))))
            yield ""


def _table(element: Any) -> Iterator[str]:
    inside = _Styles({})
    for row in _parts(element, qn("w:tr")):
        found = _parts(row, qn("w:tc"))
        if line := cells(" ".join(_blocks(cell, inside)) for cell in found):
            yield body(line)


def _parts(element: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also those that stand in a content control."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _parts(child, tag)
