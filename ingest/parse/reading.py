"""From the bytes of one document to the text that is stored: its parser, then one normal form."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from ingest.errors import SkippedError
from ingest.normalise import normalise, one_line
from ingest.outline import headings
from ingest.parse.language import detect_language
from ingest.parse.metadata import clean
from ingest.records import PAGE_BREAK, Format, ParsedText, ReadText
from storage.records import Outline

MAX_TITLE = 300
"""Characters. A title is embedded again with every chunk of its document."""

# By name, as many load large packages: only when a document of theirs turns up.
_PARSERS: Mapping[Format, str] = {
    "text": "text",
    "markdown": "markdown",
    "rst": "rst",
    "html": "html",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx",
    "odt": "odt",
    "epub": "epub",
    "rtf": "rtf",
    "csv": "csv_table",
    "json": "json_tree",
    "jsonl": "jsonl_record",
    "xml": "xml_tree",
}


class _Parser(Protocol):
    def parse(self, data: bytes) -> ParsedText:
        """A module of `ingest.parse`."""


def parse_as(found: Format, data: bytes, name: str, *, ocr: bool) -> ParsedText:
    """What the parser of the format makes of a document called `name`."""
    match found:
        case "pdf":
            return _parse_pdf(data, ocr=ocr)
        case "image":
            return _parse_image(data, name, ocr=ocr)
        case "audio":
            return _parse_audio(data, name)
        case _:
            parser: _Parser = import_module(f"ingest.parse.{_PARSERS[found]}")
            return parser.parse(data)


def _parse_pdf(data: bytes, *, ocr: bool) -> ParsedText:
    from ingest.parse import pdf

    if not ocr:
        return pdf.parse(data)
    from ingest.parse.ocr import read_image

    return pdf.parse(data, read_image=read_image)


def _parse_image(data: bytes, name: str, *, ocr: bool) -> ParsedText:
    from ingest.parse import image

    if not ocr:
        return image.parse(data, name)
    from ingest.parse.ocr import read_image

    return image.parse(data, name, read_image=read_image)


def _parse_audio(data: bytes, name: str) -> ParsedText:
    from ingest.parse import audio

    return audio.parse(data, name)


def read_text(parsed: ParsedText) -> ReadText:
    """`parsed` in normal form, with its outline and language.

    Raises SkippedError where no text is left of it.
    """
    if parsed.has_pages:
        body, page_starts = _paged(parsed.text)
    else:
        body, page_starts = normalise(parsed.text), ()
    if not body:
        raise SkippedError("it holds no text")
    return ReadText(
        text=body,
        title=_shortened(one_line(parsed.title)),
        metadata=clean(parsed.metadata),
        outline=Outline(
            headings=headings(body) if parsed.has_headings else (), page_starts=page_starts
        ),
        language=detect_language(body),
    )


def _paged(text: str) -> tuple[str, tuple[int, ...]]:
    """The pages in normal form, joined by blank lines, and where each begins.

    An empty page begins where the next one does; at the end of the text if none follows.
    """
    pages = [normalise(page) for page in text.removesuffix(PAGE_BREAK).split(PAGE_BREAK)]
    starts, position = [], 0
    for page in pages:
        starts.append(position)
        position += len(page) + len("\n\n") if page else 0
    joined = "\n\n".join(filter(None, pages))
    return joined, tuple(min(start, len(joined)) for start in starts)


def _shortened(title: str) -> str:
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"
