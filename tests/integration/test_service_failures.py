"""What clients of the service do wrong, what goes wrong behind it, and who leaves early."""

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from support.embedding import WordEmbedder
from support.gated_model import GatedModel
from support.listening import listening
from support.pipelines import parts_of, word_pipeline
from support.slow_model import EndlessModel

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.language_model import LanguageModel
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from storage.records import PromptStatus

WHEN = "When was the harbour of Ravenport dredged?"
SAID = [{"role": "user", "content": WHEN}]
ASKED = {"model": "default", "messages": SAID}
PATIENCE_S = 10
BODY_BYTES = 50_000
KEY = "a key of many letters"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "harbour.txt").write_text(
        "The harbour of Ravenport was dredged in 1874. Its master was Johanna Lindqvist.", "utf-8"
    )
    with word_pipeline(folder / "home", embedder=WordEmbedder(dimension=256)) as opened:
        opened.ingest(documents)
    return folder / "home"


@contextmanager
def served(
    home: Path, model: LanguageModel | None = None, **service: Any
) -> Iterator[tuple[str, RagPipeline]]:
    """A service over `home` with a `model`, and the pipeline behind it."""
    embedder = WordEmbedder(dimension=256)
    with word_pipeline(home, embedder=embedder, service=service) as rag:
        if model is not None:
            parts_of(rag).language_model = model
        with listening(create_app(rag)) as url:
            yield url, rag


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with served(home, body_bytes=BODY_BYTES) as (address, _):
        yield address


@pytest.fixture(scope="module", autouse=True)
def _one_http_client() -> Iterator[None]:
    """Each new one reads all certificates of this machine."""
    global http
    with httpx.Client(timeout=20) as http:
        yield


http: httpx.Client


def client_of(url: str, **given: Any) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, **given)


def assert_problem(
    response: httpx.Response, status: int, *, code: str | None, param: str | None
) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert error["message"]
    assert "Traceback" not in response.text
    assert response.headers["x-request-id"]


def until_status(rag: RagPipeline, status: PromptStatus) -> None:
    """Wait until the newest exchange is on record with this status."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := rag.history.list(limit=1)[0].status) != status:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}
NOT_OFFERED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"n": 0}, "n"),
    ({"tools": [TOOL]}, "tools"),
    ({"functions": [TOOL]}, "functions"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logit_bias": {"50256": -100}}, "logit_bias"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"presence_penalty": -2}, "presence_penalty"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy"}}, "audio"),
    ({"prediction": {"type": "content"}}, "prediction"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"messages": [{"role": "user", "content": [PICTURE]}]}, "messages[0].content[0].type"),
]


@pytest.mark.parametrize(("given", "param"), NOT_OFFERED, ids=lambda value: str(value)[:40])
def test_what_is_not_offered_is_refused_by_its_name(
    url: str, given: dict[str, Any], param: str
) -> None:
    answered = http.post(f"{url}/v1/chat/completions", json={**ASKED, **given})
    assert_problem(answered, 400, code="unsupported_parameter", param=param)


HARMLESS: list[dict[str, Any]] = [
    {"n": 1, "tools": [], "tool_choice": "auto", "logprobs": False, "logit_bias": {}},
    {"tools": [TOOL], "tool_choice": "none", "response_format": {"type": "text"}},
    {"frequency_penalty": 0.0, "presence_penalty": 0, "modalities": ["text"], "audio": None},
    {"parallel_tool_calls": False, "store": True, "service_tier": "auto", "top_k": 5},
    {"stop": None, "stream": None, "seed": None, "temperature": 0, "top_p": 0, "stop_token": 1},
]


@pytest.mark.parametrize("given", HARMLESS, ids=str)
def test_what_asks_for_nothing_is_no_reason_to_refuse(url: str, given: dict[str, Any]) -> None:
    answered = http.post(f"{url}/v1/chat/completions", json={**ASKED, **given})
    assert answered.status_code == 200, answered.text


WRONG: list[tuple[dict[str, Any], str | None]] = [
    ({"model": None}, "model"),
    ({"model": 3}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "user"}, {"role": "emperor", "content": "x"}]}, "messages[1].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content"),
    ({"temperature": "0.5"}, "temperature"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_completion_tokens": 2**70}, "max_completion_tokens"),
    ({"seed": 2**64}, "seed"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": 7}, "stop"),
    ({"stream": "yes"}, "stream"),
    ({"user": 7}, "user"),
    ({"metadata": {"session": 7}}, "metadata.session"),
    ({"user": "two\nlines"}, None),
    ({"messages": [{"role": "user", "content": "  "}]}, None),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("given", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_values_are_refused_before_the_first_byte(
    url: str, given: dict[str, Any], param: str | None, stream: bool
) -> None:
    answered = http.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": stream, **given})
    assert_problem(answered, 400, code=None, param=param)


RAW: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe{}",
    b'{"model": "default", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"model": "\\udfff", "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "n": Infinity}',
    b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "n": "\\ud83d"}',
    b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "seed": 1e999}',
    b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "\\ud800": 1, "n": 2}',
    b'{"seed": ' + b"9" * 5000 + b"}",
    b"[" * 20_000,
    b'{"a":' * 5_000,
]


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "embeddings"])
@pytest.mark.parametrize("body", RAW, ids=lambda body: repr(body[:60]))
def test_no_body_is_a_fault_of_the_service(url: str, path: str, body: bytes) -> None:
    answered = http.post(
        f"{url}/v1/{path}", content=body, headers={"Content-Type": "application/json"}
    )
    assert answered.status_code in (400, 404), answered.text
    assert answered.json()["error"]["message"]


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "embeddings"])
def test_an_unknown_model_is_not_found(url: str, path: str) -> None:
    asked = {"messages": SAID, "input": WHEN, "prompt": WHEN, "model": "gpt-4o"}
    if path == "responses":
        del asked["prompt"]
    answered = http.post(f"{url}/v1/{path}", json=asked)
    assert_problem(answered, 404, code="model_not_found", param="model")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("role", ["user", "system"])
def test_more_than_is_read_at_once_is_said_to_be_too_long(
    url: str, role: str, stream: bool
) -> None:
    long = {"role": role, "content": "harbour " * 6000}
    with client_of(url) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="default", messages=[long, *SAID] if role == "system" else [long], stream=stream
        )
    assert caught.value.code == "context_length_exceeded"


OTHERS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("completions", {"prompt": [1, 2]}, "prompt", "unsupported_parameter"),
    ("completions", {"prompt": ["a", "b"]}, "prompt", "unsupported_parameter"),
    ("completions", {"prompt": WHEN, "echo": True}, "echo", "unsupported_parameter"),
    ("completions", {"prompt": WHEN, "best_of": 3}, "best_of", "unsupported_parameter"),
    ("completions", {"prompt": WHEN, "suffix": "."}, "suffix", "unsupported_parameter"),
    ("completions", {"prompt": WHEN, "logprobs": 0}, "logprobs", "unsupported_parameter"),
    ("completions", {}, "prompt", None),
    ("responses", {"input": WHEN, "background": True}, "background", "unsupported_parameter"),
    ("responses", {"input": WHEN, "tools": [TOOL]}, "tools", "unsupported_parameter"),
    (
        "responses",
        {"input": WHEN, "text": {"format": {"type": "json_object"}}},
        "text.format.type",
        None,
    ),
    (
        "responses",
        {"input": WHEN, "conversation": "c", "previous_response_id": "r"},
        "conversation",
        None,
    ),
    ("responses", {"input": [{"type": "item_reference", "id": "x"}]}, "input[0].role", None),
    ("embeddings", {"model": "words", "input": []}, "input", None),
    ("embeddings", {"model": "words", "input": [""]}, "input", None),
    ("embeddings", {"model": "words", "input": [[1, 2]]}, "input", "unsupported_parameter"),
    (
        "embeddings",
        {"model": "words", "input": "a", "dimensions": 3},
        "dimensions",
        "unsupported_parameter",
    ),
    (
        "embeddings",
        {"model": "words", "input": "a", "encoding_format": "hex"},
        "encoding_format",
        None,
    ),
    (
        "embeddings",
        {"model": "words", "input": ["a", "b " * 99]},
        "input[1]",
        "context_length_exceeded",
    ),
]


@pytest.mark.parametrize(("path", "given", "param", "code"), OTHERS, ids=lambda v: str(v)[:40])
def test_the_other_routes_refuse_in_the_same_shape(
    url: str, path: str, given: dict[str, Any], param: str, code: str | None
) -> None:
    answered = http.post(f"{url}/v1/{path}", json={"model": "default", **given})
    assert_problem(answered, 400, code=code, param=param)


def test_unknown_paths_and_methods_are_refused_in_the_same_shape(url: str) -> None:
    assert_problem(http.get(f"{url}/v1/nothing"), 404, code="not_found", param=None)
    assert_problem(
        http.delete(f"{url}/v1/chat/completions"), 405, code="method_not_allowed", param=None
    )


def test_every_response_has_a_name_and_safe_headers(url: str) -> None:
    ours = http.get(f"{url}/v1/models").headers
    assert re.fullmatch(r"[0-9a-f]{32}", ours["x-request-id"])
    assert ours["x-content-type-options"] == "nosniff"
    assert ours["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in ours["content-security-policy"]
    named = http.get(f"{url}/v1/nothing", headers={"X-Request-Id": "trace-1.a"})
    assert named.headers["x-request-id"] == "trace-1.a"
    for insane in ("two words", "x" * 129, "new\tline"):
        refused = http.get(f"{url}/v1/models", headers={"X-Request-Id": insane})
        assert re.fullmatch(r"[0-9a-f]{32}", refused.headers["x-request-id"])


def test_the_access_log_has_a_line_a_request_without_what_was_asked(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rag_pipeline.service.access"):
        http.post(f"{url}/v1/chat/completions?secret=1", json=ASKED)
        deadline = time.monotonic() + PATIENCE_S
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
    (line,) = caplog.messages
    assert re.fullmatch(
        r'127\.0\.0\.1 "POST /v1/chat/completions" 200 \d+ bytes \d+\.\d{3} s', line
    )


def in_pieces(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 4096):
        yield body[at : at + 4096]


@pytest.mark.parametrize("told", [True, False])
def test_a_body_beyond_the_limit_is_refused_whether_or_not_its_length_is_told(
    url: str, told: bool
) -> None:
    body = json.dumps({**ASKED, "padding": "x" * BODY_BYTES}).encode()
    answered = http.post(
        f"{url}/v1/chat/completions",
        content=body if told else in_pieces(body),
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answered, 413, code="request_too_large", param=None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_byte_is_a_status(home: Path, stream: bool) -> None:
    model = GatedModel(error=RuntimeError("a secret of the machine"))
    model.gate.set()
    with served(home, model) as (url, rag):
        answered = http.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": stream})
        assert_problem(answered, 500, code=None, param=None)
        assert "secret" not in answered.text
        until_status(rag, "failed")


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses"])
def test_a_failure_after_it_is_an_error_event_and_no_text(home: Path, path: str) -> None:
    model = GatedModel(after_word=True, error=GenerationError("the model fell over"))
    with served(home, model, keep_alive_s=0.1) as (url, rag), client_of(url) as client:
        asking = {
            "chat/completions": lambda: client.chat.completions.create(stream=True, **ASKED),
            "completions": lambda: client.completions.create(
                model="default", prompt=WHEN, stream=True
            ),
            "responses": lambda: client.responses.create(model="default", input=WHEN, stream=True),
        }
        stream = asking[path]()
        assert model.reached.wait(PATIENCE_S)
        model.gate.set()
        with pytest.raises(openai.APIError, match="the model fell over"):
            list(stream)
        until_status(rag, "failed")


def test_an_error_event_says_what_a_status_would_have_said(home: Path) -> None:
    model = GatedModel(after_word=True, error=GenerationError("the model fell over"))
    with served(home, model, keep_alive_s=0.1) as (url, _):
        threading.Timer(0.5, model.gate.set).start()
        said = http.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": True})
        assert said.status_code == 200
        first, done = re.findall(r"^data: (.*)$", said.text, re.MULTILINE)
        assert json.loads(first)["error"]["message"] == "the model fell over"
        assert done == "[DONE]"
        asked = http.post(f"{url}/api/ask", json={"question": WHEN, "stream": True})
        name, about = re.findall(r"^event: (\w+)\ndata: (.*)$", asked.text, re.MULTILINE)[-1]
        assert name == "error"
        assert json.loads(about)["error"]["message"] == "the model fell over"


def test_a_stream_shows_that_it_lives_while_the_model_works(home: Path) -> None:
    model = GatedModel()
    with served(home, model, keep_alive_s=0.05) as (url, _):
        asked = {**ASKED, "stream": True}
        with http.stream("POST", f"{url}/v1/chat/completions", json=asked) as response:
            lines = response.iter_lines()
            assert [next(lines) for _ in range(4)] == [": still there", ""] * 2
            model.gate.set()
            rest = "\n".join(lines)
    assert '"role":"assistant"' in rest
    assert rest.rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_a_client_that_cuts_a_stream_stops_the_model(home: Path, path: str) -> None:
    model = EndlessModel()
    asked = ASKED if path == "chat/completions" else {"model": "default", "input": WHEN}
    with served(home, model, keep_alive_s=0.05) as (url, rag):
        with http.stream("POST", f"{url}/v1/{path}", json={**asked, "stream": True}) as response:
            assert next(response.iter_lines()) == ": still there"
        assert model.stopped.wait(PATIENCE_S)
        until_status(rag, "cancelled")


def test_a_client_that_hangs_up_on_a_whole_answer_stops_the_model(home: Path) -> None:
    model = EndlessModel()
    body = json.dumps(ASKED)
    with served(home, model) as (url, rag):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
                "Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert model.began.wait(PATIENCE_S)
        assert model.stopped.wait(PATIENCE_S)
        until_status(rag, "cancelled")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_takes_too_long_is_given_up(home: Path, stream: bool) -> None:
    model = EndlessModel()
    with served(home, model, answer_within_s=0.3, keep_alive_s=0.1) as (url, rag):
        answered = http.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": stream})
        if stream:
            assert '"code": "timeout"' in answered.text
        else:
            assert_problem(answered, 504, code="timeout", param=None)
        assert model.stopped.wait(PATIENCE_S)
        until_status(rag, "cancelled")


def test_beyond_what_can_wait_a_request_is_told_when_to_come_again(home: Path) -> None:
    model = GatedModel()
    with served(home, model, answering=1, waiting=0) as (url, _), client_of(url) as client:
        whole: list[str | None] = []

        def ask() -> None:
            answer = client.chat.completions.create(**ASKED)
            whole.append(answer.choices[0].message.content)

        first = threading.Thread(target=ask)
        first.start()
        assert model.reached.wait(PATIENCE_S)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ASKED)
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert caught.value.code == "rate_limit_exceeded"
        # What asks nothing of the model is served meanwhile.
        assert client.models.list().data
        model.gate.set()
        first.join(PATIENCE_S)
        ask()
        assert len(whole) == 2
        assert all("1874" in text for text in whole if text)


def test_who_does_not_wait_for_a_turn_leaves_the_queue(home: Path) -> None:
    model = GatedModel()
    with served(home, model, answering=1, waiting=1) as (url, _), client_of(url) as client:
        first = threading.Thread(target=lambda: client.chat.completions.create(**ASKED))
        first.start()
        assert model.reached.wait(PATIENCE_S)
        for _ in range(3):
            with client_of(url, timeout=0.2) as hasty, pytest.raises(openai.APITimeoutError):
                hasty.chat.completions.create(**ASKED)
            time.sleep(0.05)
        model.gate.set()
        first.join(PATIENCE_S)
        assert not first.is_alive()


def test_a_service_that_is_told_to_stop_finishes_its_streams_and_takes_no_more(home: Path) -> None:
    model = GatedModel()
    with served(home, model) as (url, _):
        whole: list[str] = []
        asked = {**ASKED, "stream": True}
        reading = threading.Thread(
            target=lambda: whole.append(http.post(f"{url}/v1/chat/completions", json=asked).text)
        )
        reading.start()
        assert model.reached.wait(PATIENCE_S)
        threading.Timer(0.5, model.gate.set).start()
        # What follows is done when the service has stopped.
    reading.join(PATIENCE_S)
    assert whole[0].rstrip().endswith("data: [DONE]")
    assert '"finish_reason":"stop"' in whole[0]
    with pytest.raises(httpx.ConnectError):
        http.get(url)


def test_with_a_key_only_who_shows_it_is_answered(home: Path) -> None:
    with served(home, api_key=KEY) as (url, _):
        with client_of(url) as stranger, pytest.raises(openai.AuthenticationError) as caught:
            stranger.chat.completions.create(**ASKED)
        assert caught.value.code == "invalid_api_key"
        with OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as friend:
            assert friend.models.list().data
        for path in ("v1/models", "v1/models/default", "openapi.json"):
            assert http.get(f"{url}/{path}").status_code == 401


def test_nothing_that_a_stranger_sends_is_read(home: Path) -> None:
    with served(home, api_key=KEY) as (url, _):
        for path in ("v1/chat/completions", "v1/files", "api/ask"):
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
                head = f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\n\r\n"
                connection.sendall(head.encode())
                assert connection.recv(99).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
    ],
    ids=str,
)
def test_without_a_key_only_this_machine_is_answered_and_no_page_of_others(
    url: str, headers: dict[str, str]
) -> None:
    answered = http.get(f"{url}/v1/models", headers=headers)
    assert answered.status_code == 401
    assert answered.json()["error"]["type"] == "authentication_error"


def test_our_own_page_is_answered(url: str) -> None:
    assert http.get(f"{url}/v1/models", headers={"Origin": url}).status_code == 200
