"""`rag sync`: the declared sources of a home, wired to the pipeline's parts."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ingest.feeds.declaration import FILE_NAME, AnySource, read_declaration
from ingest.pipeline import Ingestion, Observer
from ingest.read import SourceDefaults
from ingest.sync import Outcome, Sync, SyncOptions
from rag_pipeline.composition import Composition
from rag_pipeline.evaluation.gate import (
    Gate,
    Verdict,
    hold_what_is_served,
    judged,
    means,
    opened_gates,
    standing,
)
from rag_pipeline.metrics_file import GateFigures, rendered, write_atomically
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
) -> Iterator[Outcome | Verdict]:
    """The outcome of each source, as soon as it is known, and then the verdict of each gate.

    Raises `DeclarationError` and `EvaluationError` before anything is done.
    """
    told = observer or Observer()
    path = request.declaration or parts.settings.home / FILE_NAME
    declaration = read_declaration(path)
    gates = opened_gates(declaration, parts.settings.home)

    @contextmanager
    def open_ingestion(source: AnySource, defaults: SourceDefaults) -> Iterator[Ingestion]:
        if request.options.dry_run:
            with parts.preview(source.collection, defaults=defaults, observer=told) as preview:
                yield preview
            return
        with parts.ingestion(
            source.collection,
            defaults=defaults,
            observer=told,
            wait=request.wait,
            source_name=source.name,
        ) as ingestion:
            if gates:
                served = parts.reader.served()
                hold_what_is_served(parts.database, served, fence=ingestion.writer.fence)
            yield ingestion

    order = Sync(
        declaration=declaration,
        open_ingestion=open_ingestion,
        last_completed=Runs(parts.database).last_completed,
        now=now,
        database_patience_s=parts.settings.database_patience_s,
    )
    outcomes = order.run(request.names, request.options)
    return outcomes if request.options.dry_run else _then_judged(parts, request, outcomes, gates)


def _then_judged(
    parts: Composition, request: SyncRequest, outcomes: Iterator[Outcome], gates: Sequence[Gate]
) -> Iterator[Outcome | Verdict]:
    yield from outcomes
    if gates:
        yield from judged(parts, gates, wait=request.wait)


def write_metrics(parts: Composition, path: Path, verdicts: Sequence[Verdict] = ()) -> None:
    """Put what is on record of all runs into a file that Prometheus's node-exporter reads."""
    runs = Runs(parts.database)
    text = rendered(
        runs.totals(),
        generation=runs.generation(),
        served=parts.reader.served().generation,
        gates=_gate_figures(parts, verdicts),
        written_at=time.time(),
    )
    write_atomically(path, text)


def _gate_figures(parts: Composition, verdicts: Sequence[Verdict]) -> list[GateFigures]:
    """Of what was judged now; a gate that had nothing to judge stands where it last passed."""
    now_judged = [
        GateFigures(
            collection=verdict.collection,
            passed=verdict.status == "passed",
            metrics=means(verdict.evaluation),
            baseline=means(verdict.baseline),
        )
        for verdict in verdicts
        if verdict.status != "busy"
    ]
    known = {one.collection for one in now_judged}
    before = [
        GateFigures(
            collection=found.settings["collection"],
            passed=True,
            metrics=means(found),
            baseline=means(found),
        )
        for found in standing(parts.settings.home)
    ]
    return now_judged + [one for one in before if one.collection not in known]
