"""Which format a file is in: by its bytes where they prove it, else by its name."""

import codecs
import re
from collections.abc import Mapping
from pathlib import PurePath

from ingest.errors import RefusedError, SkippedError
from ingest.parse.encoding import is_binary, mark_of, utf16_of
from ingest.records import Format

HEAD = 8 * 1024
"""Bytes from the beginning of a file that `detect` wants to see."""

_NAMES: Mapping[Format, str] = {
    "text": ".txt .text .log .yaml .yml .toml .ini .cfg .conf .properties",
    "markdown": ".md .markdown",
    "rst": ".rst",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx .docm .dotx .dotm",
    "pptx": ".pptx .pptm .ppsx .ppsm .potx",
    "xlsx": ".xlsx .xlsm .xltx .xltm",
    "odt": ".odt .ott .ods .odp",
    "epub": ".epub",
    "rtf": ".rtf",
    "csv": ".csv .tsv",
    "json": ".json",
    "jsonl": ".jsonl .ndjson",
    "xml": ".xml .svg .rss .atom .kml .gpx",
    "email": ".eml",
    "outlook": ".msg",
    "archive": ".zip .tar .tgz .tbz2 .txz .gz .bz2 .xz .mbox",
    "image": ".png .jpg .jpeg .gif .webp .bmp .tif .tiff",
    "audio": ".mp3 .wav .flac .ogg .oga .opus .m4a .wma .aif .aiff",
}
FORMATS: Mapping[str, Format] = {
    extension: found for found, names in _NAMES.items() for extension in names.split()
}
SUPPORTED = (
    ".txt .md .rst .html .pdf .docx .pptx .xlsx .odt .ods .odp .epub .rtf .csv .json .jsonl .xml "
    ".eml .msg .zip .tar .gz, other text, images and sound"
)

_OFFICE = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: Mapping[Format, str] = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "rst": "text/x-rst",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "epub": "application/epub+zip",
    "rtf": "application/rtf",
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xml": "application/xml",
    "email": "message/rfc822",
    "outlook": "application/vnd.ms-outlook",
    "archive": "application/zip",
    "image": "image/*",
    "audio": "audio/*",
}
"""Of a format; `media_type` tells images, recordings and archives apart."""

_NOUNS: Mapping[Format, str] = {
    "pdf": "a PDF document",
    "docx": "a Word document",
    "pptx": "a PowerPoint presentation",
    "xlsx": "an Excel workbook",
    "odt": "an OpenDocument text",
    "epub": "an EPUB book",
    "rtf": "an RTF document",
    "outlook": "an Outlook message",
    "archive": "an archive",
    "image": "an image",
    "audio": "a sound recording",
}
"""The formats that their bytes prove: a file of another kind that is named so is refused."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAILBOX = b"From "
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PDF_WITHIN = 1024
"""Bytes that may stand before a PDF's header (PDF 1.7, annex H.3, note 13)."""
_TAR_AT = 257
_MAGIC: tuple[tuple[bytes, Format, str], ...] = (
    (b"{\\rtf", "rtf", "application/rtf"),
    (b"\x89PNG\r\n\x1a\n", "image", "image/png"),
    (b"\xff\xd8\xff", "image", "image/jpeg"),
    (b"GIF87a", "image", "image/gif"),
    (b"GIF89a", "image", "image/gif"),
    (b"II*\x00", "image", "image/tiff"),
    (b"MM\x00*", "image", "image/tiff"),
    (b"fLaC", "audio", "audio/flac"),
    (b"OggS", "audio", "audio/ogg"),
    (b"ID3", "audio", "audio/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "audio", "audio/x-ms-wma"),
    (b"\x1f\x8b", "archive", "application/gzip"),
    (b"BZh", "archive", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "archive", "application/x-xz"),
)
_BOXED: tuple[tuple[bytes, int, bytes, Format, str], ...] = (
    (b"RIFF", 8, b"WAVE", "audio", "audio/wav"),
    (b"RIFF", 8, b"WEBP", "image", "image/webp"),
    (b"FORM", 8, b"AIF", "audio", "audio/aiff"),
    (b"", 4, b"ftypM4A", "audio", "audio/mp4"),
    (b"", 4, b"ftypM4B", "audio", "audio/mp4"),
    (b"", _TAR_AT, b"ustar", "archive", "application/x-tar"),
)
"""What begins with one mark and has another further in."""
_MP3_FRAME = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]")
_BITMAP = re.compile(rb"BM.{4}\x00{4}.{3}\x00[\x0c-\x7c]\x00{3}", re.S)
_UNSUPPORTED_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"%!PS", "a PostScript document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\x00asm", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x78\x9f\x3e\x22", "an Outlook winmail.dat"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"wOF", "a font"),
)
_OPEN_DOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument."
_ZIP_FORMATS: tuple[tuple[bytes, Format], ...] = (
    (b"mimetypeapplication/epub", "epub"),
    (_OPEN_DOCUMENT + b"text", "odt"),
    (_OPEN_DOCUMENT + b"spreadsheet", "odt"),
    (_OPEN_DOCUMENT + b"presentation", "odt"),
    (b"word/", "docx"),
    (b"xl/", "xlsx"),
    (b"ppt/", "pptx"),
)
_OPEN_DOCUMENTS = tuple(
    (_OPEN_DOCUMENT + kind.encode(), f"application/vnd.oasis.opendocument.{kind}")
    for kind in ("text", "spreadsheet", "presentation")
)
_OFFICE_FORMATS = frozenset(("docx", "xlsx", "pptx", "odt", "epub"))

_KINDS_BY_NAME = {
    "an old Word document": ".doc .dot",
    "an old or binary Excel workbook": ".xls .xlsb .xlt",
    "an old PowerPoint presentation": ".ppt .pps",
    "an OpenDocument drawing": ".odg",
    "an e-book": ".mobi .azw .azw3",
    "an image": ".ico .heic .heif .avif .psd .raw .cr2 .nef .jp2",
    "a film": ".mp4 .mov .avi .mkv .webm .wmv .mpg .mpeg .m4v",
    "an archive": ".7z .rar .zst .lz4 .cab .iso .dmg .deb .rpm",
    "a program": ".exe .dll .so .dylib .jar .war .class .pyc .wasm .whl .apk .msi",
    "a database": ".sqlite .sqlite3 .db .mdb .accdb .parquet .feather .arrow",
    "a model or an array": (
        ".pkl .pickle .joblib .pt .pth .npy .npz .faiss .h5 .hdf5 .safetensors .gguf .onnx .ckpt"
    ),
    "a font": ".ttf .otf .woff .woff2",
    "a key": ".key .p12 .pfx .jks .keystore .gpg",
    "a mailbox of Outlook": ".pst .ost",
}
_KIND_OF_NAME = {suffix: kind for kind, names in _KINDS_BY_NAME.items() for suffix in names.split()}
_EXTENSION = re.compile(r"\.[a-z0-9_]{1,15}", re.I)
_HTML = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S)
_XML = re.compile(rb"\s*<\?xml\s", re.I)
_PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]{0,30}PRIVATE KEY")
_HIGH = re.compile(rb"[\x80-\xff]")
_MAX_HIGH = 0.3
"""Share of bytes beyond ASCII in text that is not UTF-8."""
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def detect(name: str, head: bytes) -> Format:
    """The format of a file called `name` whose first `HEAD` bytes are `head`.

    Text of an unknown extension is text. Raises SkippedError for a format that is not supported,
    and RefusedError for a file that is not what its name says.
    """
    extension = extension_of(name)
    named = FORMATS.get(extension)
    found = _by_content(head, extension, named)
    if found is not None:
        return found
    if extension in _KIND_OF_NAME:
        raise SkippedError(_not_supported(_KIND_OF_NAME[extension], extension))
    if (
        named is not None
        and named in _NOUNS
        and not (extension == ".mbox" and head.startswith(_MAILBOX))
    ):
        raise RefusedError(f"it is named {extension} but is not {_NOUNS[named]}: check the file")
    if is_binary(head) or (named is None and not _reads_as_text(head)):
        raise _unreadable(extension, named)
    if _PRIVATE_KEY.match(head):
        raise SkippedError("it is a private key, which belongs in no index")
    return named or _markup(head) or "text"


def media_type(found: Format, head: bytes) -> str:
    """The media type of a file in that format which begins with `head`."""
    if found == "archive" and head.startswith(_MAILBOX):
        return "application/mbox"
    if found == "odt":
        return next((media for mark, media in _OPEN_DOCUMENTS if mark in head), MEDIA_TYPES[found])
    if found in ("image", "audio", "archive"):
        return _by_magic(head)[1] or MEDIA_TYPES[found]
    return MEDIA_TYPES[found]


def extension_of(name: str) -> str:
    """In lower case, with its dot; empty where what follows the last dot is no extension."""
    suffix = PurePath(name).suffix
    return suffix.lower() if _EXTENSION.fullmatch(suffix) else ""


def _by_content(head: bytes, extension: str, named: Format | None) -> Format | None:
    """The format that the bytes prove; None where they prove nothing."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"%PDF-") or (extension == ".pdf" and b"%PDF-" in head[:_PDF_WITHIN]):
        return "pdf"
    if head.startswith(_ZIP):
        return _zip_format(head, extension, named)
    if head.startswith(_OLE):
        return _ole_format(extension, named)
    if named is None and head.startswith(b"{\\rtf"):
        return "rtf"
    if named in _NOUNS or is_binary(head):
        found, _ = _by_magic(head)
        if found is not None:
            return found
        _raise_if_unsupported(head, extension)
    return None


def _by_magic(head: bytes) -> tuple[Format | None, str]:
    """The format and the media type that the first bytes tell."""
    for magic, found, media in _MAGIC:
        if head.startswith(magic):
            return found, media
    for magic, at, second, found, media in _BOXED:
        if head.startswith(magic) and head.startswith(second, at):
            return found, media
    if _BITMAP.match(head):
        return "image", "image/bmp"
    return ("audio", "audio/mpeg") if _MP3_FRAME.match(head) and not mark_of(head) else (None, "")


def _raise_if_unsupported(head: bytes, extension: str) -> None:
    for magic, kind in _UNSUPPORTED_MAGIC:
        if head.startswith(magic) and is_binary(head):
            raise SkippedError(_not_supported(_KIND_OF_NAME.get(extension, kind), extension))


def _zip_format(head: bytes, extension: str, named: Format | None) -> Format:
    if extension in _KIND_OF_NAME:
        raise SkippedError(_not_supported(_KIND_OF_NAME[extension], extension))
    if named in _OFFICE_FORMATS:
        return named
    if named == "archive":
        return "archive"
    found = next((found for mark, found in _ZIP_FORMATS if mark in head), None)
    if found is None and _OPEN_DOCUMENT in head:
        raise SkippedError(_not_supported("an OpenDocument file", extension))
    return found or "archive"


def _ole_format(extension: str, named: Format | None) -> Format:
    if named == "outlook":
        return "outlook"
    if named in _OFFICE_FORMATS:
        raise RefusedError(
            f"it needs a password, or is an old Office file: save it as {extension} without one"
        )
    kind = _KIND_OF_NAME.get(extension, "an old Office document (.doc, .xls or .ppt)")
    raise SkippedError(_not_supported(kind, extension))


def _markup(head: bytes) -> Format | None:
    if _HTML.match(head):
        return "html"
    return "xml" if _XML.match(head.removeprefix(codecs.BOM_UTF8)) else None


def _reads_as_text(head: bytes) -> bool:
    """Whether bytes that nothing names are sure to be text."""
    if mark_of(head) or utf16_of(head):
        return True
    if len(_CONTROLS.findall(head)) > len(head) // 200:
        return False
    try:
        # Not final: the head may end inside a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return len(_HIGH.findall(head)) <= _MAX_HIGH * len(head)
    return True


def _unreadable(extension: str, named: Format | None) -> RefusedError | SkippedError:
    if named is not None:
        return RefusedError(f"it is named {extension} but is binary data, not text: check the file")
    if extension:
        return SkippedError(f"the format {extension!r} is not supported; supported are {SUPPORTED}")
    return SkippedError(f"it is binary data of an unknown format; supported are {SUPPORTED}")


def _not_supported(kind: str, extension: str) -> str:
    misnamed = f", though it is named {extension}" if extension in FORMATS else ""
    return f"it is {kind}{misnamed}, which is not supported; supported are {SUPPORTED}"
