"""What the service counts and times, for Prometheus: requests, answers, searches, and the queues.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels have few values: a
route is its template, and whatever matched none is one. With several workers each writes into a
folder that they share, and whichever is asked adds them up.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipeline.observing import Answered, Embedded, Searched
from rag_pipeline.service.admission import QueueObserver

APPLIED = "rag_index_applied_generation"
UNMATCHED = "unmatched"
_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)

# A second time for each counter, under a name without a unit, which no rule would read.
disable_created_metrics()  # type: ignore[no-untyped-call]


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Let the processes that are started meanwhile count together."""
    with TemporaryDirectory(prefix="rag-metrics-") as folder:
        os.environ[_SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_SHARED_FOLDER]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    """The figures of one queue."""

    at_work: Gauge
    waiting: Gauge
    away: Counter

    def changed(self, *, at_work: int, waiting: int) -> None:
        self.at_work.set(at_work)
        self.waiting.set(waiting)

    def turned_away(self) -> None:
        self.away.inc()


class Metrics:
    """All that one process counts; the pipeline's observer, and told of requests and queues."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "rag_http_requests_total",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rag_http_request_duration_seconds",
            "From a request's first byte to the last byte of its response.",
            ["route"],
            buckets=_SLOW_S,
            registry=registry,
        )
        self._in_flight = Gauge(
            "rag_http_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._at_work = Gauge(
            "rag_admission_running",
            "Requests that have a turn.",
            ["kind"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waiting = Gauge(
            "rag_admission_waiting",
            "Requests that wait for a turn.",
            ["kind"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._turned_away = Counter(
            "rag_admission_turned_away_total",
            "Requests that were told to come back later.",
            ["kind"],
            registry=registry,
        )
        self._searches = Counter(
            "rag_searches_total", "Searches.", ["mode", "outcome"], registry=registry
        )
        self._search_seconds = Histogram(
            "rag_search_duration_seconds",
            "How long searches took, with the wait for a place.",
            buckets=_QUICK_S,
            registry=registry,
        )
        self._answers = Counter(
            "rag_answers_total",
            "Questions, by what became of them.",
            ["state"],
            registry=registry,
        )
        self._answer_seconds = Histogram(
            "rag_answer_duration_seconds",
            "How long answers took that were completed.",
            buckets=_SLOW_S,
            registry=registry,
        )
        self._step_seconds = Histogram(
            "rag_answer_step_duration_seconds",
            "How long each step of an answer took.",
            ["step"],
            buckets=_SLOW_S,
            registry=registry,
        )
        self._first_piece_seconds = Histogram(
            "rag_answer_first_piece_seconds",
            "How long readers waited for the first piece of a draft.",
            buckets=_SLOW_S,
            registry=registry,
        )
        self._tokens = Counter(
            "rag_tokens_total", "Tokens that models read and wrote.", ["kind"], registry=registry
        )
        self._embedded = Counter(
            "rag_embedded_texts_total", "Texts that callers had embedded.", registry=registry
        )
        self._applied = Gauge(
            APPLIED,
            "The generation that an index stands at; of several workers, the one furthest behind.",
            ["collection", "kind"],
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._shared = os.environ.get(_SHARED_FOLDER)
        if self._shared is None:
            ProcessCollector(registry=registry)

    @property
    def is_shared(self) -> bool:
        """Whether other processes serve the same port, and count together with this one."""
        return self._shared is not None

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        shown = method if method in _METHODS else "other"
        self._requests.labels(shown, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """A request is being answered."""
        with self._in_flight.track_inprogress():
            yield

    def queue(self, kind: str) -> QueueObserver:
        """Counts for one queue."""
        return _Queue(
            at_work=self._at_work.labels(kind),
            waiting=self._waiting.labels(kind),
            away=self._turned_away.labels(kind),
        )

    def searched(self, event: Searched) -> None:
        """Count a search and time it."""
        outcome = "ok" if event.done.error is None else "error"
        self._searches.labels(event.mode, outcome).inc()
        self._search_seconds.observe(event.done.seconds)

    def answered(self, event: Answered) -> None:
        """Count an answer by its state, with its tokens, and time it by steps."""
        if event.first_piece_s is not None:
            self._first_piece_seconds.observe(event.first_piece_s)
        answer = event.done.value
        if answer is None:
            is_cancelled = isinstance(event.done.error, GeneratorExit)
            self._answers.labels("cancelled" if is_cancelled else "failed").inc()
            return
        self._answers.labels(answer.state).inc()
        self._answer_seconds.observe(event.done.seconds)
        for kind in ("prompt", "completion"):
            self._tokens.labels(kind).inc(answer.usage.get(f"{kind}_tokens", 0))
        for step, seconds in answer.timings.items():
            self._step_seconds.labels(step.removesuffix("_s")).observe(seconds)

    def embedded(self, event: Embedded) -> None:
        """Count texts."""
        self._embedded.inc(event.texts)

    def applied(self, collection: str, kind: str, generation: int) -> None:
        """An index of this process stands at `generation`."""
        self._applied.labels(collection, kind).set(generation)

    def families(self) -> list[Metric]:
        """Everything that was counted, by all workers."""
        return [*self._source().collect()]

    def _source(self) -> CollectorRegistry | MultiProcessCollector:
        if self._shared is None:
            return self._registry
        _forget_dead_workers(Path(self._shared))
        return MultiProcessCollector(None, path=self._shared)  # type: ignore[no-untyped-call]


def _forget_dead_workers(folder: Path) -> None:
    """What a worker that is gone had under way is under way no more."""
    pids = {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


class _Families(Collector):
    """Families that were collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def encoded(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """The families in the best format that `accept` names, and its media type."""
    registry = CollectorRegistry()
    registry.register(_Families([*families]))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class MeasuredRequests:
    """Tells `metrics` of every request, with all that stands around its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # An error that nobody answered is answered further out.
        status, since = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._metrics.in_flight():
                await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - since
            self._metrics.requested(scope["method"], route_of(scope), status, seconds)


def route_of(scope: Scope) -> str:
    """The template of the route that a request matched."""
    # FastAPI names only routes of its own kind; an application at a path says itself where it is.
    matched = scope.get("route") or scope.get("endpoint")
    return str(getattr(matched, "path", UNMATCHED))
