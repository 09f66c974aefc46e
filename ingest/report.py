"""What a run did, counted; the shape that `rag ingest --json` prints."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest.records import Refusal
from storage.records import Committed, RunId


@dataclass(slots=True)
class DocumentCounts:
    """How each source that was looked at came out."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicate: int = 0
    """New sources of a text that is stored already."""
    near_duplicate: int = 0
    """New texts that say nearly what a stored one says."""
    failed: int = 0
    skipped: int = 0
    deleted: int = 0


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """The result of one run, built up while it goes on."""

    run_id: RunId
    generation: int
    documents: DocumentCounts = field(default_factory=DocumentCounts)
    chunks_added: int = 0
    chunks_removed: int = 0
    embedded: int = 0
    """Texts that went through the model."""
    suspicious: int = 0
    """Texts that were stored with spans that speak to a model."""
    bytes_read: int = 0
    seconds: float = 0.0
    failures: list[Refusal] = field(default_factory=list)

    def refuse(self, refusal: Refusal) -> None:
        """Count a document that was not ingested."""
        self.failures.append(refusal)
        if refusal.outcome == "skipped":
            self.documents.skipped += 1
        else:
            self.documents.failed += 1

    def add(self, committed: Committed) -> None:
        """Count what one COMMIT made durable."""
        self.generation = committed.position.generation
        self.chunks_added += committed.chunks_added
        self.chunks_removed += committed.chunks_removed
        self.documents.deleted += committed.sources_removed

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface; keys may be added, none is changed or removed."""
        return {
            "run_id": self.run_id,
            "generation": self.generation,
            "documents": asdict(self.documents),
            "chunks": {"added": self.chunks_added, "removed": self.chunks_removed},
            "embedded": self.embedded,
            "suspicious": self.suspicious,
            "bytes_read": self.bytes_read,
            "seconds": round(self.seconds, 3),
            "failures": [asdict(refusal) for refusal in self.failures],
        }
