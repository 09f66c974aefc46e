"""PDF: the text layer, page by page, with words that a line end had cut in two made whole.

Pages without a text layer can be handed, as pictures, to whoever reads pictures.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import pypdfium2
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_PAGEOBJ_IMAGE

from ingest.errors import RefusedError, SkippedError
from ingest.parse.lines import body, heading
from ingest.records import PAGE_BREAK, ParsedText

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_CHARACTERS = 64 * 1024 * 1024
"""Text of one document: a few bytes of PDF can draw the same words without end."""

MAX_PIXELS = 24_000_000
"""Of the picture of one page: an A4 page at 400 dots an inch has 15 million."""
_READING_SCALE = 300 / 72
"""Pixels a point: text recognition is trained on 300 dots an inch."""
_MAX_BOOKMARKS = 10_000
_MAX_HEADING_LINES = 3

# PDFium keeps global state: two documents at once, in one process, corrupt each other.
_ONE_AT_A_TIME = Lock()

_CUT = "\x02"
"""PDFium writes this for a hyphen at the end of a line, and leaves the line end out."""
_CUT_WORD = re.compile(rf"([^\W\d_]+){_CUT}([^\W\d_]+)")
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*[.):]?|(?:[ivxlc]+|[a-z])[.):])(?=\D)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_FIELDS = ("Author", "Subject", "Keywords")
# Titles that programs put in, and that say nothing of the text.
_MADE_UP_TITLE = re.compile(
    r"untitled|(?:new )?document ?\d*|dokument ?\d*|presentation ?\d*|book ?\d*|slide \d+"
    r"|powerpoint presentation|paper title\b.*|\(?anonymous\)?|unknown|none|title"
    r"|microsoft (?:word|powerpoint|excel)\b.*"
    r"|.*\.(?:docx?|pdf|pptx?|xlsx?|indd|tex|dvi|odt|rtf|txt|qxd)"
    r"|\S*[\\/_-]\S*|[\W\d_]*",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one pass over a document finds."""

    pages: list[str]
    title: str
    said: dict[str, str]
    bookmarks: Mapping[int, Sequence["_Bookmark"]]
    """By the page that they lead to, from 0."""
    scanned: list[int] = field(default_factory=list)
    """Pages that show pictures and have no text."""


@dataclass(frozen=True, slots=True)
class _Bookmark:
    level: int
    """1 is the highest."""
    title: str


def parse(data: bytes, read_image: "Callable[[Image], str] | None" = None) -> ParsedText:
    """The pages' text, each ended by `PAGE_BREAK`; bookmarks whose words stand on their page in a
    line of their own make it a heading.

    `read_image` gives the text of pages that are pictures only. Raises RefusedError for a file that
    needs a password or is broken, SkippedError for one without text.
    """
    read = _read(data)
    pages = read.pages
    if read_image and read.scanned:
        images = page_images(data, read.scanned, _READING_SCALE)
        for number, image in zip(read.scanned, images, strict=True):
            pages[number] = read_image(image).replace(PAGE_BREAK, "\n")
    if not any(page.strip() for page in pages):
        raise SkippedError(_reason(read.scanned, has_reader=read_image is not None))
    # Mended as one: whether a cut word has a hyphen is told by the rest of the document.
    mended = _mended(PAGE_BREAK.join(pages))
    marked = [
        _with_headings(page, read.bookmarks.get(number, ()))
        for number, page in enumerate(mended.split(PAGE_BREAK))
    ]
    return ParsedText(
        text="".join(page + PAGE_BREAK for page in marked),
        title=_sensible(read.title),
        metadata={**read.said, "pages": len(pages)},
        has_headings=True,
        has_pages=True,
    )


def page_images(data: bytes, numbers: Iterable[int], scale: float) -> "Iterator[Image]":
    """Pictures, in shades of grey, of the pages with these numbers, from 0, in their order.

    `scale` counts pixels a point; a page too large for it is drawn smaller. RefusedError for a page
    that can't be drawn.
    """
    with _ONE_AT_A_TIME:
        document = _opened(data)
    try:
        for number in numbers:
            with _ONE_AT_A_TIME:
                image = _drawn(document, number, scale)
            yield image
    finally:
        with _ONE_AT_A_TIME:
            document.close()


def _drawn(document: pypdfium2.PdfDocument, number: int, scale: float) -> "Image":
    try:
        with closing(document[number]) as page:
            points = max(page.get_width() * page.get_height(), 1)
            fitting = min(scale, (MAX_PIXELS / points) ** 0.5)
            image: Image = page.render(scale=fitting, grayscale=True).to_pil()
            return image.copy()
    except (pypdfium2.PdfiumError, ValueError, MemoryError) as error:
        raise RefusedError(f"its page {number + 1} is damaged and can't be drawn") from error


def _reason(scanned: Sequence[int], *, has_reader: bool) -> str:
    if not scanned:
        return "it holds no text"
    if has_reader:
        return "it holds no text: nothing could be read in the pictures of its pages"
    return "it holds no text: it is probably scanned, and OCR is needed to read it"


def _read(data: bytes) -> _Read:
    with _ONE_AT_A_TIME, closing(_opened(data)) as document:
        pages = list(_pages(document))
        empty = (number for number, page in enumerate(pages) if not page.strip())
        said = {name.lower(): _field(document, name) for name in _FIELDS}
        return _Read(
            pages=pages,
            title=_field(document, "Title"),
            said={name: value for name, value in said.items() if value},
            bookmarks=_bookmarks(document),
            scanned=[number for number in empty if _holds_pictures(document, number)],
        )


def _holds_pictures(document: pypdfium2.PdfDocument, number: int) -> bool:
    with closing(document[number]) as page:
        return any(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=3))


def _bookmarks(document: pypdfium2.PdfDocument) -> dict[int, list[_Bookmark]]:
    found: dict[int, list[_Bookmark]] = defaultdict(list)
    for bookmark in islice(document.get_toc(max_depth=6), _MAX_BOOKMARKS):
        page, title = _destination(bookmark), " ".join(bookmark.get_title().split())
        if page is not None and title:
            found[page].append(_Bookmark(bookmark.level + 1, title.translate(_LIGATURES)))
    return found


def _destination(bookmark: pypdfium2.PdfBookmark) -> int | None:
    destination = bookmark.get_dest()
    page: int | None = None if destination is None else destination.get_index()
    return page


def _with_headings(page: str, bookmarks: Sequence[_Bookmark]) -> str:
    """The page's lines, those that say what a bookmark says as headings."""
    if not bookmarks:
        return body(page)
    levels = {_squeezed(bookmark.title): bookmark.level for bookmark in reversed(bookmarks)}
    lines, out, place = page.splitlines(), [], 0
    while place < len(lines):
        count, level = _heading_at(lines[place : place + _MAX_HEADING_LINES], levels)
        title = " ".join(lines[place : place + count])
        out.append(heading(level, title) if level else body(lines[place]))
        place += count or 1
    return "\n".join(out)


def _heading_at(lines: Sequence[str], levels: dict[str, int]) -> tuple[int, int]:
    """How many of the first lines are a heading, and its level, taken from `levels`; else zeros."""
    for count in range(1, len(lines) + 1):
        said = _squeezed("".join(lines[:count]))
        for words in (said, _NUMBERING.sub("", said)):
            if words in levels:
                return count, levels.pop(words)
    return 0, 0


def _squeezed(title: str) -> str:
    return "".join(title.split()).casefold()


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == FPDF_ERR_PASSWORD:
            raise RefusedError("it needs a password: save it without one") from error
        raise RefusedError("it is not a whole PDF: it is damaged or cut short") from error


def _field(document: pypdfium2.PdfDocument, name: str) -> str:
    try:
        value: str = document.get_metadata_value(name)
    except UnicodeDecodeError:
        # A garbled author is no reason to do without the text.
        return ""
    return value


def _pages(document: pypdfium2.PdfDocument) -> Iterator[str]:
    left = MAX_CHARACTERS
    for number in range(len(document)):
        text = _page_text(document, number)
        left -= len(text)
        if left < 0:
            raise RefusedError(f"it holds more than {MAX_CHARACTERS:,} characters: split it")
        yield text


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as text_page:
            text: str = text_page.get_text_bounded()
            return text.replace("\r\n", "\n").replace(PAGE_BREAK, "\n")
    except pypdfium2.PdfiumError as error:
        raise RefusedError(f"its page {number + 1} is damaged and can't be read") from error


def _mended(text: str) -> str:
    words = frozenset(_WORD.findall(_CUT_WORD.sub(" ", text)))
    whole = _CUT_WORD.sub(lambda cut: _rejoined(cut.group(1), cut.group(2), words), text)
    return whole.replace(_CUT, "-").translate(_LIGATURES)


def _rejoined(left: str, right: str, words: frozenset[str]) -> str:
    """One word or two with a hyphen, whichever the rest of the document speaks for."""
    joined, hyphenated = left + right, f"{left}-{right}"
    if joined in words:
        return joined
    both_stand_alone = min(len(left), len(right)) > 2 and left in words and right in words
    compound = hyphenated in words or both_stand_alone or not right.islower()
    return hyphenated if compound else joined


def _sensible(title: str) -> str:
    title = " ".join(title.split())
    return "" if _MADE_UP_TITLE.fullmatch(title) else title
