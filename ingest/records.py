"""What travels through ingestion before it is stored."""

from dataclasses import dataclass, field
from typing import Literal

from storage.records import Metadata

Format = Literal["text", "markdown", "html", "pdf", "docx", "csv", "json", "jsonl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """The bytes of one document and where they were found; one line, where a file holds many."""

    uri: str
    """The file's absolute path in POSIX form."""
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
    """What a parser makes of bytes: normalised text, and what the document says of itself.

    `title` is empty where the document has none; it is never made up from a file name.
    """

    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A document that was not ingested, and why, in words for the person who has it."""

    source: str
    reason: str
    outcome: Literal["refused", "skipped"]
    """refused: something is wrong with it. skipped: there is nothing in it for us."""
