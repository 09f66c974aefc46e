"""EPUB books: their chapters in reading order, each as the page of HTML that it is."""

import re
from collections.abc import Iterator
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from lxml import etree

from ingest.errors import RefusedError, SkippedError
from ingest.parse import html
from ingest.parse.lines import limited
from ingest.parse.package import Package, local_name, opened
from ingest.records import ParsedText

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "publisher": "publisher",
    "date": "date",
    "language": "language",
}
# XML ends these at once; HTML would read on for their end and take the chapter for their text.
_SELF_CLOSED = re.compile(
    rb"<(title|script|style|iframe|textarea|xmp|noembed|noframes)\b([^<>]*)/>", re.I
)


def parse(data: bytes) -> ParsedText:
    """The chapters as HTML reads, joined by blank lines; title and author as the book says.

    The table of contents, which repeats the headings, is left out. Raises RefusedError for what is
    no EPUB, is locked or is packed like a bomb, and SkippedError for a book without text.
    """
    with opened(data, "an EPUB book", forbidden="<!ENTITY") as package:
        name = _package_document(package)
        book = package.tree(name)
        chapters = [part for part in _chapters(book, dirname(name)) if part in package]
        _check_locks(package, chapters)
        text = "\n\n".join(limited(_text(package.read(part)) for part in chapters))
        properties = _properties(book)
    if not text.strip():
        raise SkippedError("it holds no text: its pages may be pictures")
    return ParsedText(
        text=text, title=properties.pop("title", ""), metadata=properties, has_headings=True
    )


def _package_document(package: Package) -> str:
    """The name of the part that lists all others."""
    root = package.tree(_CONTAINER).find("{*}rootfiles/{*}rootfile")
    path: str = "" if root is None else root.get("full-path", "")
    return path


def _chapters(book: etree._Element, folder: str) -> list[str]:
    """The parts of the spine in its order, each once."""
    items = {item.get("id"): item for item in book.iterfind("{*}manifest/{*}item")}
    listed = (items.get(place.get("idref")) for place in book.iterfind("{*}spine/{*}itemref"))
    return list(
        dict.fromkeys(
            normpath(join(folder, unquote(item.get("href", ""))))
            for item in listed
            if item is not None
            and item.get("media-type") in _PAGES
            and "nav" not in item.get("properties", "").split()
        )
    )


def _check_locks(package: Package, chapters: list[str]) -> None:
    """Fonts may be scrambled; a chapter that is can be read by nobody but its buyer."""
    if _ENCRYPTION not in package:
        return
    references = package.tree(_ENCRYPTION).iter("{*}CipherReference")
    if {unquote(reference.get("URI", "")) for reference in references} & set(chapters):
        raise RefusedError("it is locked (DRM): get a copy without a lock")


def _text(page: bytes) -> str:
    return html.parse(_SELF_CLOSED.sub(rb"<\1\2></\1>", page)).text.strip()


def _properties(book: etree._Element) -> dict[str, str]:
    return dict(_said(book))


def _said(book: etree._Element) -> Iterator[tuple[str, str]]:
    """The first of each, in the elements of Dublin Core."""
    seen = set()
    for element in book.iterfind("{*}metadata//*"):
        name, text = _PROPERTIES.get(local_name(element)), (element.text or "").strip()
        if name and text and name not in seen:
            seen.add(name)
            yield name, text
