"""Health, metrics and traces of the service: real requests, real databases, real receivers."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text as sql
from support.cli import PACKAGES, Program
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline
from support.slow_model import EndlessModel

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from rag_pipeline.service.health import Readiness, is_ready
from rag_pipeline.service.metrics import Metrics, shared_by_workers
from storage.records import EmbeddingSpace

ROOT = Path(__file__).parents[2]
LIGHTHOUSE = "The lighthouse of Ravenport is 40 metres high. It was lit in 1874."
QUESTION = "How high is the lighthouse of Ravenport?"
KEY = "a key that is long enough"
HERE = ("127.0.0.1", 50_000)
ELSEWHERE = ("192.0.2.7", 50_000)
NEVER = {"look_every_s": 0}


@pytest.fixture
def tmp_path(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """With a home that has its tables already: to make them takes longer than most tests."""
    (tmp_path / "kb").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "kb/rag.db")
    return tmp_path


def add(rag: RagPipeline, name: str, text: str, collection: str = "default") -> None:
    rag.ingest_records([{"_id": name, "text": text}], source="test", collection=collection)


@contextmanager
def home(path: Path, **settings: Any) -> Iterator[RagPipeline]:
    with word_pipeline(path / "kb", **{"service": NEVER, **settings}) as opened:
        add(opened, "light", LIGHTHOUSE)
        yield opened


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RagPipeline]:
    with home(tmp_path) as opened:
        yield opened


@contextmanager
def served(rag: RagPipeline, *, client: tuple[str, int] = HERE, **how: Any) -> Iterator[TestClient]:
    app = create_app(rag)
    with TestClient(app, client=client, base_url=f"http://{client[0]}", **how) as asking:
        yield asking


def acting(client: TestClient) -> RagPipeline:
    """The pipeline as a route of the service has it."""
    rag: RagPipeline = client.app.state.service.rag  # type: ignore[attr-defined]
    return rag


def families(client: TestClient) -> dict[str, Metric]:
    told = client.get("/metrics")
    assert told.status_code == 200, told.text
    return {family.name: family for family in text_string_to_metric_families(told.text)}


def value(client: TestClient, name: str, **labels: str) -> float | None:
    """The one sample of that name with those labels."""
    found = [
        sample.value
        for family in families(client).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) < 2, (name, found)
    return found[0] if found else None


# --- health ---


def test_a_process_that_lives_says_so_to_anybody_whatever_is_broken(tmp_path: Path) -> None:
    with home(tmp_path, service={"api_key": KEY, **NEVER}) as rag:
        with served(rag, client=ELSEWHERE) as client:
            with rag.parts.database.write() as connection:
                connection.execute(sql("UPDATE alembic_version SET version_num = '0001'"))
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/readyz").status_code == 503
            assert client.get("/metrics").status_code == 401


def test_what_is_ready_is_told_part_by_part(rag: RagPipeline) -> None:
    with served(rag, client=ELSEWHERE) as client:
        told = client.get("/readyz")
        assert (told.status_code, told.json()["status"]) == (200, "ready")
        assert set(told.json()["checks"]) == {"database", "embedder", "indexes", "generator"}
        assert value_of_applied(rag) == {("default", 1)}


def value_of_applied(rag: RagPipeline) -> set[tuple[str, int]]:
    return {
        (name, follower.index.applied.generation)
        for name, followers in rag.parts.open_followers().items()
        for follower in followers
    }


def test_another_migration_or_embedder_is_not_ready_and_no_secret_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with home(tmp_path) as rag:
        add(rag, "plan", "The plan.", collection="takeover-of-acme")
        with served(rag) as client:
            parts_of(rag).embedder = WordEmbedder(version="2")
            told = client.get("/readyz")
            assert told.status_code == 503
            checks = told.json()["checks"]
            assert not checks["embedder"]["ok"]
            assert checks["indexes"]["reason"].startswith("not looked at")
            for secret in (str(tmp_path), "takeover", "Traceback", "rag.db"):
                assert secret not in told.text
            assert "takeover-of-acme" in caplog.text or "default" in caplog.text
            parts_of(rag).embedder = WordEmbedder()
            with rag.parts.database.write() as connection:
                connection.execute(sql("UPDATE alembic_version SET version_num = '0001'"))
            told = client.get("/readyz")
            assert "rag db upgrade" in told.json()["checks"]["database"]["reason"]
            assert "embedder" in told.json()["checks"]


def test_a_generator_that_is_away_is_told_and_the_documents_answer_for_it(tmp_path: Path) -> None:
    cache = tmp_path / "no models"
    for number, generator in enumerate(("http://127.0.0.1:9/v1", "smollm2")):
        with word_pipeline(tmp_path / f"{number}", generator=generator, cache_dir=cache) as rag:
            with served(rag) as client:
                told = client.get("/readyz")
            assert told.status_code == 200
            check = told.json()["checks"]["generator"]
            assert not check["ok"]
            assert check["fallback"] == "extractive"
            assert str(tmp_path) not in told.text
            assert "127.0.0.1" not in told.text
    with word_pipeline(tmp_path / "kb", generator="no-such-model", cache_dir=cache) as rag:
        with served(rag) as client:
            assert client.get("/readyz").status_code == 503


class StuckEmbedder(WordEmbedder):
    """Its space can't be told until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.free = threading.Event()
        super().__init__()

    @property
    def space(self) -> EmbeddingSpace:
        self.asked += 1
        assert self.free.wait(20)
        return self._space

    @space.setter
    def space(self, space: EmbeddingSpace) -> None:
        self._space = space


def test_what_takes_too_long_is_not_ready_and_is_looked_at_once(rag: RagPipeline) -> None:
    stuck = StuckEmbedder()
    parts_of(rag).embedder = stuck

    async def asked() -> None:
        readiness = Readiness(rag.parts, within_s=0.1)
        while not stuck.asked:
            assert not is_ready(await readiness.checks())
        for _ in range(3):
            checks = await readiness.checks()
            assert not is_ready(checks)
            assert checks["database"].ok
            assert "still at it" in (checks["embedder"].reason or "")
        assert stuck.asked == 1
        stuck.free.set()
        patient = Readiness(rag.parts, within_s=10)
        assert is_ready(await patient.checks())

    anyio.run(asked)


# --- metrics ---


def test_metrics_are_for_this_machine_or_whoever_shows_the_key(tmp_path: Path) -> None:
    with home(tmp_path) as rag:
        with served(rag, client=ELSEWHERE) as client:
            assert client.get("/metrics").status_code == 401
        with served(rag) as client:
            assert client.get("/metrics").status_code == 200
            assert client.get("/metrics", headers={"Host": "evil.example"}).status_code == 401
    with home(tmp_path, service={"api_key": KEY, **NEVER}) as rag:
        with served(rag, client=ELSEWHERE) as client:
            assert client.get("/metrics").status_code == 401
            shown = {"Authorization": f"Bearer {KEY}"}
            told = client.get("/metrics", headers=shown)
            assert told.status_code == 200
            assert KEY not in told.text


def test_names_and_units_are_as_prometheus_wants_them_in_either_format(rag: RagPipeline) -> None:
    with served(rag) as client:
        acting(client).ask(QUESTION)
        acting(client).search("lighthouse")
        found = families(client)
        openly = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert openly.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in open_families(openly.text)}
    assert {"rag_http_requests", "rag_index_drift_generations"} <= names
    assert len(found) > 20
    for name, family in found.items():
        assert re.fullmatch(r"(rag|process)_[a-z_]+", name)
        assert family.documentation
        if family.type == "histogram":
            assert name.endswith(("_seconds", "_bytes"))
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), family.samples
        assert not name.endswith(("_milliseconds", "_ms", "_created"))


def test_a_route_is_counted_by_its_template_and_what_matches_none_as_one(rag: RagPipeline) -> None:
    with served(rag) as client:
        for number in (1, 77, 78):
            client.get(f"/api/documents/{number}")
        for path in ("/no/such", "/api/documents/1/2/3", "/%2e%2e/etc", "/x" * 500):
            assert client.get(path).status_code == 404
        client.request("BREW", "/healthz")
        counted = {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
            for sample in families(client)["rag_http_requests"].samples
        }
    assert counted["GET", "/api/documents/{document_id}", "200"] == 1
    assert counted["GET", "/api/documents/{document_id}", "404"] == 2
    assert counted["GET", "unmatched", "404"] == 4
    assert counted["other", "/healthz", "405"] == 1
    assert {route for _, route, _ in counted} <= {
        "/api/documents/{document_id}",
        "unmatched",
        "/healthz",
    }


def test_drift_goes_up_with_a_commit_and_down_with_the_next_search(rag: RagPipeline) -> None:
    def drift(client: TestClient) -> set[float | None]:
        return {
            value(client, "rag_index_drift_generations", collection="default", kind=kind)
            for kind in ("vector", "keyword")
        }

    with served(rag) as client:
        acting(client).search("lighthouse")
        assert drift(client) == {0}
        add(rag, "more", "Another text.")
        add(rag, "much", "A third text.")
        assert drift(client) == {2}
        assert value(client, "rag_generation") == 3
        acting(client).search("text")
        assert drift(client) == {0}
        assert value(client, "rag_documents", collection="default") == 3
        assert value(client, "rag_chunks", collection="default") == rag.doctor().chunks
        rag.remove(["more"])
        assert client.get("/readyz").status_code == 200
        assert drift(client) == {0}
        assert value(client, "rag_documents", collection="default") == 2


def test_figures_are_the_same_on_both_databases(tmp_path: Path, database_url: str) -> None:
    with word_pipeline(tmp_path / "other", database=database_url, service=NEVER) as rag:
        with served(rag) as client:
            assert value(client, "rag_generation") == 0
            assert value(client, "rag_last_ingest_success_timestamp_seconds") is None
            add(rag, "light", LIGHTHOUSE)
            add(rag, "bees", "A hive holds forty thousand bees.", collection="bees")
            rag.remove(["bees"], collection="bees")
            acting(client).search("lighthouse")
            assert value(client, "rag_generation") == 3
            assert value(client, "rag_index_drift_generations", kind="vector") == 0
            for collection, documents in (("default", 1), ("bees", 0)):
                assert value(client, "rag_documents", collection=collection) == documents
                assert value(client, "rag_chunks", collection=collection) == documents
                ended = value(
                    client, "rag_last_ingest_success_timestamp_seconds", collection=collection
                )
                assert ended is not None
                assert abs(time.time() - ended) < 60


def test_indexes_keep_up_while_nobody_asks(tmp_path: Path) -> None:
    with home(tmp_path, service={"look_every_s": 0.02}) as rag:
        with served(rag) as client:
            acting(client).search("lighthouse")
            add(rag, "more", "Another text.")
            until = time.monotonic() + 10
            while value_of_applied(rag) != {("default", 2)}:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert value(client, "rag_index_applied_generation", kind="vector") == 2


def test_the_last_success_is_when_it_ended_and_no_failure_counts(rag: RagPipeline) -> None:
    name = "rag_last_ingest_success_timestamp_seconds"
    with served(rag) as client:
        first = value(client, name, collection="default")
        assert first is not None
        assert abs(time.time() - first) < 60
        parts_of(rag).embedder.fails = True  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="told to"):
            add(rag, "fails", "A text that nobody embedded before.")
        assert value(client, name, collection="default") == first


def test_answers_are_counted_by_what_became_of_them(rag: RagPipeline) -> None:
    with served(rag) as client:
        asking = acting(client)
        grounded = asking.ask(QUESTION)
        asking.ask("Who is the king of Peru?")
        parts_of(rag).language_model = EndlessModel()
        stream = asking.ask_stream(QUESTION)
        next(stream)
        stream.close()
        parts_of(rag).embedder.fails = True  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="told to"):
            asking.ask("A question of new words?")
        counted = {
            sample.labels["state"]: sample.value
            for sample in families(client)["rag_answers"].samples
        }
        assert counted == {grounded.state: 1, "no_evidence": 1, "cancelled": 1, "failed": 1}
        written = value(client, "rag_tokens_total", kind="completion")
        assert written == grounded.usage["completion_tokens"]
        assert value(client, "rag_answer_duration_seconds_count") == 2
        assert value(client, "rag_answer_first_piece_seconds_count") == 2


def test_queues_are_shown_as_they_are(tmp_path: Path) -> None:
    limits = {"searching": 1, "waiting": 1, "patience_s": 30, **NEVER}
    with home(tmp_path, service=limits) as rag:
        with served(rag) as client:
            queue = client.app.state.service.searching  # type: ignore[attr-defined]

            async def crowd() -> None:
                async with queue.turn(), anyio.create_task_group() as tasks:

                    async def wait() -> None:
                        async with queue.turn():
                            pass

                    tasks.start_soon(wait)
                    await anyio.sleep(0.05)
                    with pytest.raises(Exception, match="wait already"):
                        await wait()
                    figures.update(await anyio.to_thread.run_sync(shown))
                    tasks.cancel_scope.cancel()

            def shown() -> dict[str, float | None]:
                return {
                    name: value(client, f"rag_admission_{name}", kind="searching")
                    for name in ("running", "waiting", "turned_away_total")
                }

            figures: dict[str, float | None] = {}
            assert client.portal is not None
            client.portal.call(crowd)
            assert figures == {"running": 1, "waiting": 1, "turned_away_total": 1}
            assert shown() == {"running": 0, "waiting": 0, "turned_away_total": 1}


def test_without_a_database_the_counts_are_still_told(rag: RagPipeline) -> None:
    with served(rag) as client:
        client.get("/healthz")
        with rag.parts.database.write() as connection:
            connection.execute(sql("DROP TABLE corpus_state"))
        assert value(client, "rag_database_up") == 0
        assert value(client, "rag_http_requests_total", route="/healthz") == 1


COUNTING = """
import sys, time
from rag_pipeline.service.metrics import Metrics
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.requested("GET", "/x", 200, 0.3)
metrics.applied("default", "vector", int(sys.argv[2]))
with metrics.in_flight():
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_several_workers_count_is_added_up_and_the_dead_do_nothing() -> None:
    def worker(requests: int, applied: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(requests), str(applied)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PACKAGES,
        )
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    def told() -> dict[str, float]:
        return {sample.name: sample.value for f in metrics.families() for sample in f.samples}

    with shared_by_workers():
        metrics = Metrics()
        assert metrics.is_shared
        one, two = worker(3, 7), worker(4, 9)
        both = told()
        two.kill()
        two.communicate()
        left = told()
        one.communicate()
    assert both["rag_http_requests_total"] == left["rag_http_requests_total"] == 7
    assert both["rag_http_request_duration_seconds_count"] == 7
    assert both["rag_http_requests_in_flight"] == 2
    assert left["rag_http_requests_in_flight"] == 1
    assert both["rag_index_applied_generation"] == 7


def test_every_alert_asks_for_metrics_that_there_are(rag: RagPipeline) -> None:
    known = {"time", "rate", "sum", "max", "by", "histogram_quantile"}
    labels = {"instance", "collection", "kind", "le", "status", "state"}
    with served(rag) as client:
        acting(client).ask(QUESTION)
        client.get("/healthz")
        names = {sample.name for f in families(client).values() for sample in f.samples}
    rules = yaml.safe_load((ROOT / "examples/monitoring/alerts.yml").read_text("utf-8"))
    (group,) = rules["groups"]
    for rule in group["rules"]:
        expression = re.sub(r'"[^"]*"|\[\w+\]', "", rule["expr"])
        words = set(re.findall(r"[a-zA-Z_]\w*", expression))
        assert words - known - labels <= names, rule["alert"]
        assert rule["annotations"]["summary"]
    scraped = yaml.safe_load((ROOT / "examples/monitoring/prometheus.yml").read_text("utf-8"))
    assert scraped["rule_files"] == ["alerts.yml"]


def test_the_page_on_monitoring_names_every_metric_and_no_other(rag: RagPipeline) -> None:
    page = (ROOT / "docs/howto/monitor.md").read_text("utf-8")
    with served(rag) as client:
        told = families(client)
    names = {
        f"{name}_total" if family.type == "counter" else name
        for name, family in told.items()
        if name.startswith("rag_")
    }
    assert set(re.findall(r"`(rag_[a-z_]+)`", page)) == names


# --- traces ---


class Receiver(BaseHTTPRequestHandler):
    """An OTLP receiver that keeps all spans."""

    spans: ClassVar[list[Span]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *about: Any) -> None:
        pass


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Span]]:
    Receiver.spans.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield Receiver.spans
        server.shutdown()


def attributes(span: Span) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in span.attributes
    }


def traced(tmp_path: Path, traces: str) -> None:
    """One search, one answer and one failure, under a trace that the caller names."""
    caller = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    with home(tmp_path, service={"traces": traces, **NEVER}) as rag:
        with served(rag) as client:
            client.get("/healthz")
            body = {"query": "lighthouse"}
            assert client.post("/api/search", json=body, headers=caller).status_code == 200
            acting(client).ask(QUESTION, session="a talk")
            acting(client).embed(["some text"])
            with pytest.raises(Exception, match="no collection"):
                acting(client).search("lighthouse", collection="none")


def test_spans_follow_the_conventions_and_hold_no_contents(
    tmp_path: Path, received: list[Span]
) -> None:
    traced(tmp_path, "on")
    by_name = {span.name: span for span in received}
    request = by_name["POST /api/search"]
    assert request.trace_id == bytes.fromhex("ab" * 16)
    assert attributes(request)["http.response.status_code"] == 200
    found = next(span for span in received if span.parent_span_id == request.span_id)
    assert found.name == "retrieval default"
    assert attributes(found)["gen_ai.operation.name"] == "retrieval"
    assert attributes(found)["gen_ai.data_source.id"] == "default"

    whole, chat = by_name["invoke_workflow answer"], by_name["chat echo"]
    assert attributes(whole)["rag.answer.state"] == "grounded"
    assert chat.parent_span_id == whole.span_id
    about = attributes(chat)
    assert about["gen_ai.operation.name"] == "chat"
    assert about["gen_ai.provider.name"] == "rag_pipeline"
    assert about["gen_ai.request.model"] == about["gen_ai.response.model"] == "echo"
    assert about["gen_ai.conversation.id"] == "a talk"
    assert about["gen_ai.usage.output_tokens"] > 0
    assert about["gen_ai.response.finish_reasons"].values[0].string_value == "stop"
    assert whole.start_time_unix_nano <= chat.start_time_unix_nano <= chat.end_time_unix_nano
    assert attributes(by_name["embeddings minilm"])["gen_ai.embeddings.dimension.count"] == 64

    failed = by_name["retrieval none"]
    assert attributes(failed)["error.type"] == "NotFoundError"
    assert "GET /healthz" not in by_name
    for span in received:
        for told in attributes(span).values():
            assert "lighthouse" not in str(told)
        assert not span.events


def test_contents_are_sent_where_they_are_asked_for(tmp_path: Path, received: list[Span]) -> None:
    traced(tmp_path, "with_contents")
    chat = next(span for span in received if span.name == "chat echo")
    assert QUESTION in attributes(chat)["gen_ai.input.messages"]
    assert "40 metres" in attributes(chat)["gen_ai.output.messages"]


def test_a_collector_that_is_away_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    began = time.monotonic()
    traced(tmp_path, "on")
    assert time.monotonic() - began < 15


def test_without_traces_none_of_their_library_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from rag_pipeline.pipeline import RagPipeline\n"
        "from rag_pipeline.service.app import create_app\n"
        f"with RagPipeline.open({str(tmp_path / 'kb')!r}, generator='echo') as rag:\n"
        "    create_app(rag)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGES, check=True
    )
    assert done.stdout == "[]\n"


# --- the program, with two workers ---


@pytest.mark.slow
@pytest.mark.models
def test_two_workers_of_the_program_answer_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "light.txt").write_text(LIGHTHOUSE, "utf-8")
    program = Program(cwd=tmp_path, home=tmp_path / "kb")
    assert program("ingest", "light.txt").status == 0
    process = program.started("--home", program.home, "serve", "--port", "0", "--workers", "2")
    try:
        assert process.stderr
        first = process.stderr.readline()
        address = re.search(r"http://\S+?(?=;)", first)
        assert address, first
        url = address[0]
        until = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until
            time.sleep(0.5)
        for _ in range(40):
            httpx.post(f"{url}/api/search", json={"query": "lighthouse"}, timeout=30)
        for _ in range(6):
            told = httpx.get(f"{url}/metrics", timeout=30).text
            samples = {
                (sample.name, sample.labels.get("route")): sample.value
                for family in text_string_to_metric_families(told)
                for sample in family.samples
            }
            assert samples["rag_http_requests_total", "/api/search"] == 40
            assert samples["rag_searches_total", None] == 40
    finally:
        process.terminate()
        process.communicate(timeout=60)
