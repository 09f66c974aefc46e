"""The one place that states the order of the steps: read, prepare, place, commit, prune.

Documents go through in batches, and each batch is one transaction. What is known and unchanged
costs a look at its stamp, or a hash; a text that is stored already costs no forward pass; a
document that can't be read is counted with its reason, and the version of it that is stored, if
any, stays.
"""

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from ingest.errors import IngestError
from ingest.feed import Feed
from ingest.overlap import overlapped
from ingest.parse.media import MediaReader
from ingest.place import Placer, Plan, Prepared
from ingest.read import Batch, Reading, Seen, SourceDefaults, fingerprint_of
from ingest.report import IngestReport
from ingest.sandbox.readers import DocumentReader
from ingest.settings import BatchSettings
from storage.bulk import batches
from storage.corpus import CorpusWriter
from storage.errors import DatabaseLostError, DatabaseUnreachableError, StorageError
from storage.records import Committed, KnownSource, ReadResource, SourceId

_BATCHES_UNDER_WAY = 4
"""While a batch is cut: one that is being stored, two that are being embedded, and one that waits
for that."""


def ignore(_event: object) -> None:
    """The observer of a run that nobody observes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Who is told how a run goes on."""

    committed: Callable[[Committed], None] = ignore
    """Called after each COMMIT with what is durable from then on."""
    progressed: Callable[[IngestReport], None] = ignore
    """Called after each batch with the counts so far."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A batch whose texts are cut, and then embedded, as far as can be told before its turn."""

    prepared: Prepared
    read: Sequence[ReadResource]


@contextmanager
def _heap_at_rest() -> Iterator[None]:
    """Whatever is in memory already is not looked through for garbage again and again: that was a
    tenth of a run's work, the model aside."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """Brings documents into one collection, under a writer's lease that its caller holds."""

    writer: CorpusWriter
    placer: Placer
    documents: DocumentReader
    lines: DocumentReader
    batching: BatchSettings
    media: MediaReader | None = None
    ocr: bool = False
    """Whether `documents` reads pictures of text."""
    defaults: SourceDefaults = field(default_factory=SourceDefaults)
    observer: Observer = field(default_factory=Observer)

    def run(self, feed: Feed, *, prune: bool = False) -> IngestReport:
        """Ingest `feed`; with `prune`, also remove what came from it and is gone.

        The run is on record from its beginning, and complete when this returns; what breaks it off
        is on record too. Raises `EmbeddingError`, `FeedError` and `StorageError`, which leave all
        batches before them committed.
        """
        return self._on_record(
            lambda report, started: self._ingest(feed, report, started, prune=prune)
        )

    def remove(self, sources: Sequence[SourceId]) -> IngestReport:
        """Remove `sources` in one generation, if there are any; on record as a run is."""

        def remove(report: IngestReport, _started: float) -> None:
            if sources:
                self._commit(self.placer.after_removal(sources), sources, report)

        return self._on_record(remove)

    def preview(self, feed: Feed, *, prune: bool = False) -> IngestReport:
        """What `run` would do, as far as can be told without embedding; nothing is written."""
        started = time.monotonic()
        report = IngestReport(run_id=self.writer.run_id, generation=self.writer.generation())
        reading = self._reading(report, prune=prune)
        present: set[str] = set()
        for batch in reading.batches(feed):
            self.placer.count(batch.found, present, report.documents)
            self.observer.progressed(report)
        if prune:
            report.documents.deleted = len(self._gone(feed, reading.seen))
        report.seconds = time.monotonic() - started
        return report

    def _on_record(self, work: Callable[[IngestReport, float], None]) -> IngestReport:
        started = time.monotonic()
        report = IngestReport(run_id=self.writer.run_id, generation=self.writer.generation())
        try:
            self.writer.start_run()
            work(report, started)
        except (IngestError, StorageError, KeyboardInterrupt) as error:
            report.seconds = time.monotonic() - started
            # Where the database is away, the run stays without an end, as it does after a kill.
            with suppress(StorageError):
                reason = str(error) or "it was interrupted"
                self.writer.end_run({**report.as_json(), "error": reason})
            if isinstance(error, DatabaseUnreachableError):
                raise DatabaseLostError(str(error)) from error
            raise
        report.seconds = time.monotonic() - started
        self.writer.end_run(report.as_json())
        return report

    def _ingest(self, feed: Feed, report: IngestReport, started: float, *, prune: bool) -> None:
        reading = self._reading(report, prune=prune)
        coming: deque[Sequence[str]] = deque(maxlen=_BATCHES_UNDER_WAY)

        def cut(batch: Batch) -> _Ready:
            prepared = self.placer.cut_ahead(batch.found, coming)
            coming.append(prepared.contents)
            return _Ready(prepared, batch.read)

        def embed(ready: _Ready) -> _Ready:
            return replace(ready, prepared=self.placer.embed_ahead(ready.prepared))

        batches = reading.batches(feed)
        with (
            _heap_at_rest(),
            overlapped(batches, cut, embed, hurry=self.documents.interrupt) as ready,
        ):
            for batch in ready:
                self._store(batch, report)
                report.seconds = time.monotonic() - started
                self.observer.progressed(report)
        if prune:
            self._prune(self._gone(feed, reading.seen), report)

    def _reading(self, report: IngestReport, *, prune: bool) -> Reading:
        return Reading(
            writer=self.writer,
            documents=self.documents,
            lines=self.lines,
            media=self.media,
            batching=self.batching,
            defaults=self.defaults,
            fingerprint=fingerprint_of(
                self.placer.maker.fingerprint,
                self.defaults,
                ocr=self.ocr,
                media=self.media is not None,
            ),
            report=report,
            seen=Seen(keeps_places=prune),
        )

    def _store(self, ready: _Ready, report: IngestReport) -> None:
        if ready.prepared.found:
            plan = self.placer.place(ready.prepared)
            self._commit(plan, (), report)
            report.documents.new += plan.new
            report.documents.changed += plan.changed
            report.documents.duplicate += plan.duplicate
            report.documents.near_duplicate += plan.near_duplicate
        self.writer.remember(ready.read)

    def _gone(self, feed: Feed, seen: Seen) -> list[KnownSource]:
        """The stored sources that came from `feed` and were not found there any more.

        What is there and could not be read keeps the version that is stored; what has nothing in
        it any more does not. A folder that can't be opened speaks for all below it, a line that is
        no record for its whole file, for it may be any of the file's.
        """
        stored = self.writer.live_sources()
        return [source for source in stored if feed.covers(source.uri) and seen.is_gone(source)]

    def _prune(self, gone: Sequence[KnownSource], report: IngestReport) -> None:
        places = [(source.uri, source.external_id) for source in gone]
        for batch in batches(places, self.batching.max_documents):
            # Looked up anew: a commit that renews a text gives its other sources new keys.
            known = self.writer.known_sources(batch)
            removals = [source.source_id for source in known.values()]
            self._commit(self.placer.after_removal(removals), removals, report)

    def _commit(self, plan: Plan, removals: Sequence[SourceId], report: IngestReport) -> None:
        committed = self.writer.commit(
            plan.placements, renewed=plan.renewed, removals=removals, confirmed=plan.confirmed
        )
        report.add(committed)
        report.embedded += plan.embedded
        report.suspicious += plan.suspicious
        self.observer.committed(committed)
