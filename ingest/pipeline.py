"""The one place that states the order of the steps: load, compare, parse, place, commit.

Documents go through in batches, and each batch is one transaction. What is known and unchanged
costs a hash; a text that is stored already costs no forward pass; a document that can't be read is
counted with its reason, and the version of it that is stored, if any, stays.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ingest.load import load
from ingest.parse.registry import PARSER_VERSION, parse_or_refuse
from ingest.place import Found, Placer, Plan
from ingest.records import RawDocument, Refusal
from ingest.report import IngestReport
from ingest.settings import BatchSettings
from storage.bulk import batches
from storage.corpus import CorpusWriter
from storage.places import place_sha256
from storage.records import Committed, KnownSource, NewSource, Origin, SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDefaults:
    """What the caller says of all documents of a run."""

    origin: Origin = Origin.REAL
    generator_id: str | None = None
    read_labels: frozenset[str] = frozenset()


def ignore(_event: object) -> None:
    """The observer of a run that nobody observes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Who is told how a run goes on."""

    committed: Callable[[Committed], None] = ignore
    """Called after each COMMIT with what is durable from then on."""
    progressed: Callable[[IngestReport], None] = ignore
    """Called after each batch with the counts so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """Brings documents into one collection, under a writer's lease that its caller holds."""

    writer: CorpusWriter
    placer: Placer
    batching: BatchSettings
    defaults: SourceDefaults = SourceDefaults()
    observer: Observer = Observer()

    def run(self, paths: Sequence[Path], *, prune: bool = False) -> IngestReport:
        """Ingest `paths`; with `prune`, also remove what was under them and is gone.

        The run is on record from its beginning, and complete when this returns. Raises `PathError`
        before anything is done if a path can't be read; `EmbeddingError` leaves all batches before
        it committed.
        """
        started = time.monotonic()
        loaded = load(paths)
        report = IngestReport(run_id=self.writer.run_id, generation=self.writer.start_run())
        seen: set[str] = set()
        for batch in self._batches(loaded, report):
            self._ingest_batch(batch, report)
            if prune:
                seen.update(place_sha256(raw.uri, raw.external_id) for raw in batch)
            report.seconds = time.monotonic() - started
            self.observer.progressed(report)
        if prune:
            self._prune(paths, report, seen)
        report.seconds = time.monotonic() - started
        self.writer.end_run(report.as_json())
        return report

    def _batches(
        self, loaded: Iterable[RawDocument | Refusal], report: IngestReport
    ) -> Iterator[list[RawDocument]]:
        batch: list[RawDocument] = []
        size = 0
        for item in loaded:
            if isinstance(item, Refusal):
                report.refuse(item)
                continue
            batch.append(item)
            size += len(item.data)
            if len(batch) >= self.batching.max_documents or size >= self.batching.max_bytes:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _ingest_batch(self, batch: Sequence[RawDocument], report: IngestReport) -> None:
        fingerprint = self._fingerprint()
        known = self.writer.known_sources((raw.uri, raw.external_id) for raw in batch)
        found: list[Found] = []
        for raw in batch:
            stored = known.get(place_sha256(raw.uri, raw.external_id))
            record_sha256 = hashlib.sha256(raw.data).hexdigest()
            if _is_unchanged(stored, record_sha256, fingerprint):
                report.documents.unchanged += 1
                continue
            text_and_source = self._read(raw, record_sha256, fingerprint, report)
            if text_and_source is not None:
                found.append(Found(*text_and_source, stored=stored))
        if found:
            plan = self.placer.place(found)
            self._commit(plan, (), report)
            report.documents.new += plan.new
            report.documents.changed += plan.changed
            report.documents.duplicate += plan.duplicate

    def _fingerprint(self) -> str:
        """Everything but a record's bytes that decides what is stored of it."""
        said = [
            PARSER_VERSION,
            self.placer.fingerprint,
            self.defaults.origin,
            self.defaults.generator_id,
            sorted(self.defaults.read_labels),
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _read(
        self, raw: RawDocument, record_sha256: str, fingerprint: str, report: IngestReport
    ) -> tuple[str, NewSource] | None:
        """The text of a document and where it comes from, or None if it has to be refused."""
        parsed = parse_or_refuse(raw)
        if isinstance(parsed, Refusal):
            report.refuse(parsed)
            return None
        source = NewSource(
            uri=raw.uri,
            external_id=raw.external_id,
            title=parsed.title,
            metadata=parsed.metadata,
            media_type=raw.media_type,
            record_sha256=record_sha256,
            fingerprint=fingerprint,
            origin=self.defaults.origin,
            generator_id=self.defaults.generator_id,
            read_labels=self.defaults.read_labels,
        )
        return parsed.text, source

    def _prune(self, paths: Sequence[Path], report: IngestReport, seen: Set[str]) -> None:
        """Remove the sources under `paths` that were not found there any more.

        What is there and could not be read keeps the version that is stored; what has nothing in
        it any more does not. A refused folder speaks for all below it, and a refused line
        (`uri:LINE`) for its whole file, for it may be any of the file's records.
        """
        roots = [path.resolve().as_posix() for path in paths]
        refused = [failure.source for failure in report.failures if failure.outcome == "refused"]
        unread = [*refused, *(source.rpartition(":")[0] for source in refused)]
        gone = [
            (source.uri, source.external_id)
            for source in self.writer.live_sources()
            if place_sha256(source.uri, source.external_id) not in seen
            and _is_under(source.uri, roots)
            and not _is_under(source.uri, unread)
        ]
        for places in batches(gone, self.batching.max_documents):
            # Looked up anew: a commit that renews a text gives its other sources new keys.
            known = self.writer.known_sources(places)
            removals = [source.source_id for source in known.values()]
            self._commit(self.placer.after_removal(removals), removals, report)

    def _commit(self, plan: Plan, removals: Sequence[SourceId], report: IngestReport) -> None:
        committed = self.writer.commit(plan.placements, renewed=plan.renewed, removals=removals)
        report.add(committed)
        report.embedded += plan.embedded
        self.observer.committed(committed)


def _is_unchanged(stored: KnownSource | None, record_sha256: str, fingerprint: str) -> bool:
    return stored is not None and (
        (stored.record_sha256, stored.fingerprint) == (record_sha256, fingerprint)
    )


def _is_under(uri: str, roots: Sequence[str]) -> bool:
    """Whether `uri` is one of `roots` or below one; no name is below an empty one."""
    return any(root and (uri == root or uri.startswith(f"{root.rstrip('/')}/")) for root in roots)
