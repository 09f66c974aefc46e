"""Which format a file is in: by its name, unless its bytes say otherwise."""

import re
from collections.abc import Mapping
from pathlib import PurePath

from ingest.errors import RefusedError, SkippedError
from ingest.parse.encoding import is_binary
from ingest.records import Format

HEAD = 8 * 1024
"""Bytes from the beginning of a file that `detect` wants to see."""

FORMATS: Mapping[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".log": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
SUPPORTED = ".txt .md .html .pdf .docx .csv .tsv .json .jsonl"

MEDIA_TYPES: Mapping[Format, str] = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PDF_WITHIN = 1024
"""Bytes that may stand before a PDF's header (PDF 1.7, annex H.3, note 13)."""
_KINDS_BY_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (_OLE, "an old Office document (.doc, .xls, .ppt or .msg)"),
)
_KINDS_IN_ZIP = (
    (b"xl/", "an Excel workbook"),
    (b"ppt/", "a PowerPoint presentation"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"mimetypeapplication/epub", "an EPUB book"),
)
_KINDS_BY_NAME = {
    "an old Word document": ".doc .dot",
    "an Excel workbook": ".xls .xlsx .xlsm .xlsb",
    "a PowerPoint presentation": ".ppt .pptx .pps .ppsx",
    "an OpenDocument file": ".odt .ods .odp",
    "an EPUB book": ".epub",
    "an RTF document": ".rtf",
    "an e-mail": ".eml .msg .mbox",
    "an image": ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .svg .ico .heic",
    "a sound recording": ".mp3 .wav .flac .ogg .m4a",
    "a film": ".mp4 .mov .avi .mkv .webm",
    "an archive": ".zip .tar .gz .tgz .bz2 .xz .7z .rar .zst",
}
_KIND_OF_NAME = {suffix: kind for kind, names in _KINDS_BY_NAME.items() for suffix in names.split()}
_EXTENSION = re.compile(r"\.[a-z0-9]{1,10}", re.I)
_HTML = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S)


def detect(name: str, head: bytes) -> Format:
    """The format of a file called `name` whose first `HEAD` bytes are `head`.

    Raises SkippedError for a format that is not supported, and RefusedError for a file that is
    not what its name says.
    """
    extension = extension_of(name)
    named = FORMATS.get(extension)
    found = _by_content(head, extension)
    if found is not None:
        return found
    if named in ("pdf", "docx"):
        raise RefusedError(f"it is named {extension} but is not a {_noun(named)}: check the file")
    if is_binary(head):
        raise _unreadable(extension, named)
    if named is None and extension:
        raise SkippedError(_unsupported(extension))
    return named or ("html" if _HTML.match(head) else "text")


def extension_of(name: str) -> str:
    """In lower case, with its dot; empty where what follows the last dot is no extension."""
    suffix = PurePath(name).suffix
    return suffix.lower() if _EXTENSION.fullmatch(suffix) else ""


def _by_content(head: bytes, extension: str) -> Format | None:
    """The format that the bytes prove; None where they prove nothing."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"%PDF-") or (extension == ".pdf" and b"%PDF-" in head[:_PDF_WITHIN]):
        return "pdf"
    if head.startswith(_ZIP):
        return _zip_format(head, extension)
    if extension == ".docx" and head.startswith(_OLE):
        raise RefusedError("it needs a password, or is an old .doc: save it as .docx without one")
    for magic, kind in _KINDS_BY_MAGIC:
        if head.startswith(magic) and (is_binary(head) or extension not in FORMATS):
            raise SkippedError(_not_supported(_KIND_OF_NAME.get(extension, kind), extension))
    return None


def _zip_format(head: bytes, extension: str) -> Format:
    if extension == ".docx" or (b"word/" in head and extension not in _KIND_OF_NAME):
        return "docx"
    named = _KIND_OF_NAME.get(extension)
    inside = (kind for mark, kind in _KINDS_IN_ZIP if mark in head)
    raise SkippedError(_not_supported(named or next(inside, "a zip archive"), extension))


def _unreadable(extension: str, named: Format | None) -> RefusedError | SkippedError:
    if named is not None:
        return RefusedError(f"it is named {extension} but is binary data, not text: check the file")
    if extension:
        return SkippedError(_unsupported(extension))
    return SkippedError(f"it is binary data of an unknown format; supported are {SUPPORTED}")


def _unsupported(extension: str) -> str:
    kind = _KIND_OF_NAME.get(extension)
    if kind:
        return _not_supported(kind, extension)
    return f"the format {extension!r} is not supported; supported are {SUPPORTED}"


def _not_supported(kind: str, extension: str) -> str:
    misnamed = f", though it is named {extension}" if extension in FORMATS else ""
    return f"it is {kind}{misnamed}, which is not supported; supported are {SUPPORTED}"


def _noun(named: Format) -> str:
    return "PDF document" if named == "pdf" else "Word document"
