"""What travels through ingestion before it is stored."""

from dataclasses import dataclass, field
from typing import Literal

from storage.records import NO_OUTLINE, Metadata, Outline

Format = Literal[
    "text",
    "markdown",
    "rst",
    "html",
    "pdf",
    "docx",
    "pptx",
    "xlsx",
    "odt",
    "epub",
    "rtf",
    "csv",
    "json",
    "jsonl",
    "xml",
    "email",
    "outlook",
    "archive",
    "image",
    "audio",
]
"""`outlook` is a .msg file; `archive` a zip, a tar or one gzipped file."""

PAGE_BREAK = "\f"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """The bytes of one file and where they were found; of one line, where lines are records."""

    uri: str
    """The file's absolute path in POSIX form, or its URL."""
    external_id: str
    """The record's own `_id`, else the path relative to the folder that was named."""
    data: bytes
    format: Format
    media_type: str

    @property
    def label(self) -> str:
        """How messages name it."""
        return self.uri if self.format != "jsonl" else f"{self.uri} [{self.external_id}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    """What the parser of a format makes of bytes; nothing in it is in normal form yet.

    `title` is empty where the document has none; it is never made up from a file name.
    """

    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    has_headings: bool = False
    """Lines that begin with one to six # and a space are headings, as in Markdown."""
    has_pages: bool = False
    """`PAGE_BREAK` ends a page; without this it is white space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A file inside a file: an attachment, or a member of an archive."""

    path: str
    """Its name in there, in POSIX form and safe to print; it is never opened as a path."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """A document's text in normal form, as it will be stored, and what is known of it."""

    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    outline: Outline = NO_OUTLINE
    language: str | None = None
    """ISO 639 code, detected; None where the text is too short to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A document that was not ingested, and why, in words for the person who has it."""

    source: str
    reason: str
    outcome: Literal["refused", "skipped"]
    """refused: something is wrong with it. skipped: there is nothing in it for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document of a file: its own text, or that of a file inside it."""

    path: str
    """Empty for the file itself; else `report.pdf`, or `inner.zip!/a.txt` further in."""
    media_type: str
    content: ReadText | Refusal
