"""Who turns a file into its documents: a port, and the reader for what is safe to read here."""

from typing import Protocol

from ingest.parse import registry
from ingest.records import Part, RawDocument
from ingest.settings import ParseSettings


class DocumentReader(Protocol):
    """Reads one file at a time."""

    def parts(self, raw: RawDocument) -> list[Part]:
        """The documents of `raw`, at least one, each with a path of its own.

        What can't be read, for whatever reason, is a Refusal in its place.
        """

    def interrupt(self) -> None:
        """Give up soon what another thread is reading now; what comes of it is not wanted."""


class InProcessReader:
    """Reads in this process: for JSONL lines, which only the standard library decodes."""

    def __init__(self, limits: ParseSettings) -> None:
        self._limits = limits

    def parts(self, raw: RawDocument) -> list[Part]:
        """See `DocumentReader`."""
        return registry.parts(raw, self._limits)

    def interrupt(self) -> None:
        """See `DocumentReader`: one line takes no time."""
