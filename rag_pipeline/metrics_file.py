"""What monitoring reads: Prometheus's text format, in a file of node-exporter's collector.

All of it comes from the record of runs, so that a sync that was killed, or that found another one
at work, is told too. Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag_pipeline.errors import SettingsError
from storage.runs import OUTCOMES, RunTotals

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_READABLE_BY_ALL = 0o644

Labels = Mapping[str, str]
Sample = tuple[Labels, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric with all its samples; a sample without a value is left out."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            if value is not None:
                yield f"{self.name}{_labels(labels)} {value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """What a quality gate found: means over its queries, by the name of the measure."""

    collection: str
    passed: bool
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]


def rendered(
    totals: Sequence[RunTotals],
    *,
    generation: int,
    served: int,
    written_at: float,
    gates: Sequence[GateFigures] = (),
) -> str:
    """The text of the file; `written_at` in seconds since the epoch."""
    families = [
        *_families(totals),
        *_gate_families(gates),
        *_standing(generation, served, written_at),
    ]
    return "".join(f"{line}\n" for family in families for line in family.lines())


def write_atomically(path: Path, text: str) -> None:
    """Replace the file whole: who reads it sees the old text or the new one.

    Raises `SettingsError` where it can't be written.
    """
    # A collector reads *.prom only.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.chmod(_READABLE_BY_ALL)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the metrics can't be written to {path}: {error.strerror}; name another file"
        ) from error


def _families(totals: Sequence[RunTotals]) -> Iterator[Family]:
    yield Family(
        name="rag_last_ingest_success_timestamp_seconds",
        kind="gauge",
        help="When the last completed run ended.",
        samples=[
            (_of(total), total.last_success_at.timestamp() if total.last_success_at else None)
            for total in totals
        ],
    )
    yield Family(
        name="rag_last_ingest_duration_seconds",
        kind="gauge",
        help="How long the last run that has ended took.",
        samples=[(_of(total), total.last_seconds) for total in totals],
    )
    yield Family(
        name="rag_ingest_runs_total",
        kind="counter",
        help="Runs that were begun.",
        samples=[(_of(total), total.runs) for total in totals],
    )
    yield Family(
        name="rag_ingest_failures_total",
        kind="counter",
        help="Runs that failed or were killed.",
        samples=[(_of(total), total.failures) for total in totals],
    )
    yield Family(
        name="rag_ingest_documents_total",
        kind="counter",
        help="Documents that ended runs looked at, by outcome.",
        samples=[
            ({**_of(total), "outcome": outcome}, total.documents[outcome])
            for total in totals
            for outcome in OUTCOMES
        ],
    )


def _gate_families(gates: Sequence[GateFigures]) -> Iterator[Family]:
    if not gates:
        return
    yield Family(
        name="rag_gate_passed",
        kind="gauge",
        help="Whether the quality gate let the last generation that it judged be served.",
        samples=[({"collection": gate.collection}, int(gate.passed)) for gate in gates],
    )
    yield Family(
        name="rag_gate_metric",
        kind="gauge",
        help="What the quality gate measured, on average over its queries.",
        samples=[sample for gate in gates for sample in _means(gate.collection, gate.metrics)],
    )
    yield Family(
        name="rag_gate_baseline",
        kind="gauge",
        help="What it was compared with.",
        samples=[sample for gate in gates for sample in _means(gate.collection, gate.baseline)],
    )


def _means(collection: str, means: Mapping[str, float]) -> list[Sample]:
    return [({"collection": collection, "metric": name}, mean) for name, mean in means.items()]


def _standing(generation: int, served: int, written_at: float) -> Iterator[Family]:
    yield Family(
        name="rag_generation",
        kind="gauge",
        help="The generation that is committed.",
        samples=[({}, generation)],
    )
    yield Family(
        name="rag_served_generation",
        kind="gauge",
        help="The generation that is served; an earlier one while a quality gate holds it.",
        samples=[({}, served)],
    )
    yield Family(
        name="rag_metrics_written_timestamp_seconds",
        kind="gauge",
        help="When this file was written.",
        samples=[({}, written_at)],
    )


def _of(total: RunTotals) -> Labels:
    """Runs of `rag ingest` have no source's name."""
    return {"source": total.source_name or "", "collection": total.collection}


def _labels(labels: Labels) -> str:
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""
