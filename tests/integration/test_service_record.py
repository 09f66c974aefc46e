"""What the service puts on record of a request, and requests that are sent more than once."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from support.embedding import WordEmbedder
from support.gated_model import GatedModel
from support.listening import listening
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import GenerationError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from storage.prompts.templates import TemplateText

WHEN = "When was the harbour of Ravenport dredged?"
WHO = "Who was the master of Ravenport?"
ASKED = {"model": "default", "messages": [{"role": "user", "content": WHEN}]}
AT_ONCE = 16
_PROMPT_ID = re.compile(r'"prompt_id": ?"(\w+)"')


@contextmanager
def served(
    home: Path, database: str | None, **settings: Any
) -> Iterator[tuple[RagPipeline, httpx.Client]]:
    embedder = WordEmbedder(dimension=256)
    with word_pipeline(home, database=database, embedder=embedder, **settings) as rag:
        rag.ingest_records(
            [
                {"_id": "harbour", "text": "The harbour of Ravenport was dredged in 1874."},
                {"_id": "master", "text": "The master of Ravenport was Johanna Lindqvist."},
            ],
            source="tests",
        )
        with (
            listening(create_app(rag)) as url,
            httpx.Client(base_url=url, timeout=60, verify=False) as http,
        ):
            yield rag, http


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[tuple[RagPipeline, httpx.Client]]:
    with served(tmp_path / "home", database_url) as opened:
        yield opened


@pytest.fixture
def quick_service(tmp_path: Path) -> Iterator[tuple[RagPipeline, httpx.Client]]:
    """The same on SQLite alone, for what is nothing of the database."""
    with served(tmp_path / "home", None) as opened:
        yield opened


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def error_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["message"])


def test_of_many_requests_with_one_key_at_once_one_is_answered(
    service: tuple[RagPipeline, httpx.Client],
) -> None:
    rag, http = service

    def ask(_: int) -> httpx.Response:
        return http.post("/v1/chat/completions", json=ASKED, headers=keyed("once"))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        responses = list(pool.map(ask, range(AT_ONCE)))
    answered = [response.json() for response in responses if response.status_code == 200]
    refused = [response for response in responses if response.status_code != 200]
    assert {answer["id"] for answer in answered} == {f"chatcmpl-{rag.history.list()[0].prompt_id}"}
    assert {(one.status_code, one.headers.get("Retry-After")) for one in refused} <= {(409, "1")}
    assert all("still being answered" in error_of(one) for one in refused)
    assert len(rag.history.list()) == 1
    assert ask(0).json()["choices"] == answered[0]["choices"]
    assert len(rag.history.list()) == 1


def test_an_answer_under_way_is_said_to_be_and_is_had_later(
    quick_service: tuple[RagPipeline, httpx.Client],
) -> None:
    rag, http = quick_service
    model = GatedModel()
    parts_of(rag).language_model = model
    body = {"question": WHEN, "session": "s"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(http.post, "/api/ask", json=body, headers=keyed("k"))
        assert model.reached.wait(20)
        meanwhile = http.post("/api/ask", json=body, headers=keyed("k"))
        model.gate.set()
        answered = first.result()
    assert (meanwhile.status_code, "idempotency key 'k'" in error_of(meanwhile)) == (409, True)
    again = http.post("/api/ask", json=body, headers=keyed("k"))
    assert again.json() == answered.json()
    other = http.post("/api/ask", json={"question": WHO, "session": "s"}, headers=keyed("k"))
    assert (other.status_code, "another question" in error_of(other)) == (422, True)
    elses = http.post("/api/ask", json={**body, "user": "bert"}, headers=keyed("k"))
    assert elses.json()["prompt_id"] != answered.json()["prompt_id"]


def test_a_key_is_tried_again_after_a_failure(
    quick_service: tuple[RagPipeline, httpx.Client],
) -> None:
    rag, http = quick_service
    usual = parts_of(rag).language_model
    broken = GatedModel(error=GenerationError("It broke."))
    broken.gate.set()
    parts_of(rag).language_model = broken
    failed = http.post("/v1/chat/completions", json=ASKED, headers=keyed("k"))
    parts_of(rag).language_model = usual
    again = http.post("/v1/chat/completions", json=ASKED, headers=keyed("k"))
    assert (failed.status_code, again.status_code) == (400, 200)
    assert [prompt.status for prompt in rag.history.list()] == ["completed", "failed"]


def test_a_recorded_answer_is_streamed_like_any_other(
    quick_service: tuple[RagPipeline, httpx.Client],
) -> None:
    _, http = quick_service
    for path, body in (
        ("/v1/chat/completions", {**ASKED, "stream": True}),
        ("/v1/responses", {"model": "default", "input": WHEN, "stream": True}),
        ("/v1/completions", {"model": "default", "prompt": WHEN, "stream": True}),
    ):
        told = [http.post(path, json=body, headers=keyed(path)) for _ in range(2)]
        ids = {key for one in told for key in _PROMPT_ID.findall(one.text)}
        assert len(ids) == 1, path
        assert all("1874" in one.text for one in told)


def test_openai_clients_say_in_metadata_where_a_request_belongs(
    quick_service: tuple[RagPipeline, httpx.Client],
) -> None:
    rag, http = quick_service
    belongs = {"application": "desk", "category": "harbour", "tags": "urgent, old,urgent,"}
    with OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0) as client:
        chat = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": WHEN}],
            metadata=belongs,
            extra_headers=keyed("k"),
        )
        response = client.responses.create(model="default", input=WHEN, metadata=belongs)
    for prompt_id in (chat.id.removeprefix("chatcmpl-"), response.id.removeprefix("resp_")):
        shown = rag.history.show(prompt_id)
        assert (shown.application, shown.category) == ("desk", "harbour")
        assert shown.tags == ("old", "urgent")


def test_our_own_route_takes_a_template_and_where_a_question_belongs(
    quick_service: tuple[RagPipeline, httpx.Client],
) -> None:
    rag, http = quick_service
    text = TemplateText(system="Speak like a sailor.", question="{text} {question}")
    stored = rag.templates.add("sailor", text)
    body = {"question": WHEN, "template": "sailor", "tags": ["a", "b"], "category": "c"}
    shown = rag.history.show(http.post("/api/ask", json=body).json()["prompt_id"])
    assert (shown.template_id, shown.template_sha256) == (stored.template_id, stored.sha256)
    assert (shown.tags, shown.category) == (("a", "b"), "c")
    assert rag.history.messages(shown.prompt_id)[0].content == "Speak like a sailor."
    for name, status in (("sailor@2", 404), ("unknown", 404), ("a@b", 400), ("default@1", 404)):
        refused = http.post("/api/ask", json={"question": WHEN, "template": name})
        assert (refused.status_code, refused.json()["error"]["type"]) == (
            status,
            "invalid_request_error",
        )


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"parent_id": "0" * 24}, {}, 404),
        ({"parent_id": "\0"}, {}, 400),
        ({"tags": [" "]}, {}, 400),
        ({"tags": ["x" * 201]}, {}, 400),
        ({"tags": ["\ud800"]}, {}, 400),
        ({"tags": [str(number) for number in range(51)]}, {}, 400),
        ({"category": "a\tb"}, {}, 400),
        ({"application": ""}, {}, 400),
        ({"instructions": "x" * 1_000_001}, {}, 400),
        ({"question": "x" * 10_000_000}, {}, 413),
        ({}, {"Idempotency-Key": "x" * 201}, 400),
        ({}, {"Idempotency-Key": ""}, 400),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_cant_be_put_on_record_is_refused_and_nothing_is_written(
    quiet_service: tuple[RagPipeline, httpx.Client],
    body: dict[str, Any],
    headers: dict[str, str],
    status: int,
) -> None:
    rag, http = quiet_service
    sent = json.dumps({"question": WHEN, "extractive": True, **body})
    headers = {**headers, "Content-Type": "application/json"}
    refused = http.post("/api/ask", content=sent.encode(), headers=headers)
    assert refused.status_code == status, refused.text
    assert "\n" not in error_of(refused)
    assert rag.history.list() == []


@pytest.fixture(scope="module")
def quiet_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RagPipeline, httpx.Client]]:
    """One for many requests, none of which is to leave a trace."""
    with served(tmp_path_factory.mktemp("quiet") / "home", None) as opened:
        yield opened
