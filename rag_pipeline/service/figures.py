"""What monitoring reads of the corpus: how far indexes are behind, how much there is, how fresh.

It is read when somebody asks. Nothing of it is counted by this process, so it is right whichever
worker answers and whoever ingested.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from rag_pipeline.composition import Composition
from rag_pipeline.service.metrics import APPLIED, Metrics
from storage.errors import StorageError
from storage.listing import CollectionCounts
from storage.records import LOCAL_OWNER
from storage.runs import Runs

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """Where the corpus stands, and what is in it."""

    committed: int
    served: int
    counts: Mapping[str, CollectionCounts]
    last_successes: Mapping[str, datetime]


class Figures:
    """Reads the figures; what is expensive only when another generation is served."""

    def __init__(self, parts: Composition, metrics: Metrics) -> None:
        self._parts = parts
        self._metrics = metrics

    def families(self) -> Iterator[Metric]:
        """All that was counted and all that is known; without a database, what was counted."""
        note_applied(self._parts, self._metrics)
        counted = self._metrics.families()
        yield from counted
        try:
            standing = self._standing()
        except StorageError as error:
            _LOG.warning("metrics of the corpus are left out: %s", error)
            yield _gauge("rag_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("rag_database_up", "Whether the database answers.", 1)
        yield from _families(standing)
        yield _drift(counted, standing.committed)

    def _standing(self) -> _Standing:
        reader, documents = self._parts.reader, self._parts.documents
        return _Standing(
            committed=reader.committed().generation,
            served=reader.served().generation,
            counts={
                collection.name: documents.counts(collection, principal=LOCAL_OWNER)
                for collection in reader.collections(principal=LOCAL_OWNER)
            },
            last_successes=Runs(self._parts.database).last_successes(),
        )


def note_applied(parts: Composition, metrics: Metrics) -> None:
    """Say where the indexes of this process stand."""
    for name, (vectors, keywords) in parts.open_followers().items():
        metrics.applied(name, "vector", vectors.index.applied.generation)
        metrics.applied(name, "keyword", keywords.index.applied.generation)


def _families(standing: _Standing) -> Iterator[Metric]:
    yield _gauge("rag_generation", "The generation that is committed.", standing.committed)
    yield _gauge(
        "rag_served_generation",
        "The generation that is served; an earlier one while a quality gate holds it.",
        standing.served,
    )
    yield _by_collection(
        "rag_documents",
        "Documents that are served.",
        {name: counts.documents for name, counts in standing.counts.items()},
    )
    yield _by_collection(
        "rag_chunks",
        "Chunks that are served.",
        {name: counts.chunks for name, counts in standing.counts.items()},
    )
    yield _by_collection(
        "rag_last_ingest_success_timestamp_seconds",
        "When the last completed run ended.",
        {name: at.timestamp() for name, at in standing.last_successes.items()},
    )


def _drift(counted: Iterable[Metric], committed: int) -> Metric:
    """How far each index that is open is behind, by where all workers say that it stands."""
    drift = GaugeMetricFamily(
        "rag_index_drift_generations",
        "Generations that are committed, and that an index has not applied yet.",
        labels=["collection", "kind"],
    )
    for family in counted:
        if family.name == APPLIED:
            for sample in family.samples:
                labels = [sample.labels["collection"], sample.labels["kind"]]
                drift.add_metric(labels, committed - sample.value)
    return drift


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _by_collection(name: str, said: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=["collection"])
    for collection, value in values.items():
        family.add_metric([collection], value)
    return family
