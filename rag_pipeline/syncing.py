"""`rag sync`: the declared sources of a home, wired to the pipeline's parts."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ingest.feeds.declaration import FILE_NAME, AnySource, read_declaration
from ingest.pipeline import Ingestion, Observer
from ingest.read import SourceDefaults
from ingest.sync import Outcome, Sync, SyncOptions
from rag_pipeline.composition import Composition
from rag_pipeline.metrics_file import rendered, write_atomically
from storage.clock import now
from storage.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a sync is asked for."""

    names: Sequence[str] = ()
    """Of sources; none: all that are enabled."""
    declaration: Path | None = None
    """None: `sync.toml` in the home."""
    options: SyncOptions = field(default_factory=SyncOptions)
    wait: bool = False
    """For another writer to finish; otherwise what it is busy with is left to it."""


def sync(
    parts: Composition, request: SyncRequest, *, observer: Observer | None = None
) -> Iterator[Outcome]:
    """The outcome of each source, as soon as it is known.

    Raises `DeclarationError` before anything is done.
    """
    told = observer or Observer()

    def open_ingestion(
        source: AnySource, defaults: SourceDefaults
    ) -> AbstractContextManager[Ingestion]:
        if request.options.dry_run:
            return parts.preview(source.collection, defaults=defaults, observer=told)
        return parts.ingestion(
            source.collection,
            defaults=defaults,
            observer=told,
            wait=request.wait,
            source_name=source.name,
        )

    path = request.declaration or parts.settings.home / FILE_NAME
    order = Sync(
        declaration=read_declaration(path),
        open_ingestion=open_ingestion,
        last_completed=Runs(parts.database).last_completed,
        now=now,
        database_patience_s=parts.settings.database_patience_s,
    )
    return order.run(request.names, request.options)


def write_metrics(parts: Composition, path: Path) -> None:
    """Put what is on record of all runs into a file that Prometheus's node-exporter reads."""
    runs = Runs(parts.database)
    write_atomically(
        path, rendered(runs.totals(), generation=runs.generation(), written_at=time.time())
    )
