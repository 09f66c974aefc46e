"""PDF: the text layer, page by page, with words that a line end had cut in two made whole."""

import re
from collections.abc import Iterator
from contextlib import closing
from threading import Lock

import pypdfium2
from pypdfium2.raw import FPDF_ERR_PASSWORD

from ingest.errors import RefusedError, SkippedError
from ingest.records import ParsedText

MAX_CHARACTERS = 64 * 1024 * 1024
"""Text of one document: a few bytes of PDF can draw the same words without end."""

# PDFium keeps global state: two documents at once, in one process, corrupt each other.
_ONE_AT_A_TIME = Lock()

_CUT = "\x02"
"""PDFium writes this for a hyphen at the end of a line, and leaves the line end out."""
_CUT_WORD = re.compile(rf"([^\W\d_]+){_CUT}([^\W\d_]+)")
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


def parse(data: bytes) -> ParsedText:
    """The pages' text, joined by blank lines.

    Raises RefusedError for a file that needs a password or is broken, SkippedError for one that
    holds pictures of text only.
    """
    with _ONE_AT_A_TIME, closing(_opened(data)) as document:
        pages = list(_pages(document))
        title = _field(document, "Title")
        said = {name.lower(): _field(document, name) for name in _FIELDS}
        page_count = len(document)
    text = _mended("\n\n".join(page for page in pages if page.strip()))
    if not text:
        raise SkippedError("it holds no text: it is probably scanned, and OCR is needed to read it")
    metadata = {name: value for name, value in said.items() if value}
    return ParsedText(text=text, title=_sensible(title), metadata={**metadata, "pages": page_count})


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
            return text
    except pypdfium2.PdfiumError as error:
        raise RefusedError(f"its page {number + 1} is damaged and can't be read") from error


def _mended(text: str) -> str:
    words = frozenset(_WORD.findall(_CUT_WORD.sub(" ", text)))
    whole = _CUT_WORD.sub(lambda cut: _rejoined(cut.group(1), cut.group(2), words), text)
    return whole.replace(_CUT, "-").translate(_LIGATURES).strip()


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
