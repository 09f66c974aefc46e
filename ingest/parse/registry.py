"""From bytes to the text that is stored: the parser of the format, then one normal form for all."""

import re

from ingest.errors import IngestError, RefusedError, SkippedError
from ingest.normalise import normalise, one_line
from ingest.parse import csv_table, json_tree, jsonl_record, markdown, text
from ingest.parse.metadata import clean
from ingest.records import Format, ParsedText, RawDocument, Refusal

PARSER_VERSION = "1"
"""Part of the pipeline's fingerprint: raise it with every change of what a parser returns."""

MAX_TITLE = 300
"""Characters. A title is embedded again with every chunk of its document."""
_MAX_FOREIGN_MESSAGE = 200


def parse(raw: RawDocument) -> ParsedText:
    """What `raw` says, in normal form; its title on one line.

    Raises RefusedError for a document that can't be read, whatever goes wrong in its parser, and
    SkippedError for one without text.
    """
    try:
        parsed = _parse_as(raw.format, raw.data)
        body, metadata = normalise(parsed.text), clean(parsed.metadata)
    except IngestError:
        raise
    except Exception as error:
        raise RefusedError(_unforeseen(raw.format, error)) from error
    if not body:
        raise SkippedError("it holds no text")
    return ParsedText(text=body, title=_shortened(one_line(parsed.title)), metadata=metadata)


def parse_or_refuse(raw: RawDocument) -> ParsedText | Refusal:
    """The same, with what can't be read as a value: one bad document never stops a run."""
    try:
        return parse(raw)
    except SkippedError as error:
        return Refusal(source=raw.label, reason=str(error), outcome="skipped")
    except RefusedError as error:
        return Refusal(source=raw.label, reason=str(error), outcome="refused")


def _parse_as(name: Format, data: bytes) -> ParsedText:
    match name:
        case "text":
            return text.parse(data)
        case "markdown":
            return markdown.parse(data)
        case "html":
            return _parse_html(data)
        case "pdf":
            return _parse_pdf(data)
        case "docx":
            return _parse_docx(data)
        case "csv":
            return csv_table.parse(data)
        case "json":
            return json_tree.parse(data)
        case "jsonl":
            return jsonl_record.parse(data)


# These three load large packages: only when a document of theirs turns up.
def _parse_html(data: bytes) -> ParsedText:
    from ingest.parse import html

    return html.parse(data)


def _parse_pdf(data: bytes) -> ParsedText:
    from ingest.parse import pdf

    return pdf.parse(data)


def _parse_docx(data: bytes) -> ParsedText:
    from ingest.parse import docx

    return docx.parse(data)


def _unforeseen(name: Format, error: Exception) -> str:
    said = re.sub(r"\s+", " ", str(error))[:_MAX_FOREIGN_MESSAGE]
    return f"it can't be read as {name} and is probably damaged ({type(error).__name__}: {said})"


def _shortened(title: str) -> str:
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"
