"""OpenAI's protocol as OpenAI's own client reads it: answers, streams, citations, models."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from support.embedding import WordEmbedder
from support.listening import listening
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.generation.checking import NO_EVIDENCE_ANSWER
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app

DREDGED = "灯台 🚢🚢 The harbour of Ravenport was dredged in 1874."
MASTER = "The master of Ravenport was Johanna Lindqvist."
HARBOUR = f"{DREDGED} {MASTER} The old pier is made of oak."
WHEN = "When was the harbour of Ravenport dredged?"
WHO = "Who was the master of Ravenport?"
FOREIGN = "Which quantum coupling proves zebra symmetry?"
SAID = [{"role": "user", "content": WHEN}]
MODELS = ("default", "default:extractive")


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagPipeline]:
    folder = tmp_path_factory.mktemp("service")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "harbour.txt").write_text(HARBOUR, "utf-8")
    (documents / "bees.md").write_text("# Bees\n\nA hive of bees holds forty workers.", "utf-8")
    with word_pipeline(folder / "home", embedder=WordEmbedder(dimension=256)) as opened:
        opened.ingest(documents)
        yield opened


@pytest.fixture(scope="module")
def url(rag: RagPipeline) -> Iterator[str]:
    with listening(create_app(rag)) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


http: httpx.Client


@pytest.fixture(scope="module", autouse=True)
def _one_http_client() -> Iterator[None]:
    """Each new one reads all certificates of this machine."""
    global http
    with httpx.Client(timeout=20) as http:
        yield


def post(url: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return http.post(f"{url}/v1/{path}", json=body)


def data_of(response: httpx.Response) -> list[str]:
    """What each event says, as text."""
    assert response.headers["content-type"].startswith("text/event-stream")
    return re.findall(r"^data: (.*)$", response.text, re.MULTILINE)


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer_has_exactly_the_shape_of_a_chat_completion(url: str, model: str) -> None:
    answered = post(url, "chat/completions", {"model": model, "messages": SAID})
    completion = ChatCompletion.model_validate_json(answered.text, strict=True)
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == model
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert "1874" in (choice.message.content or "")
    assert completion.usage is not None
    used = completion.usage
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens
    assert (used.completion_tokens > 0) == (model == "default")


def test_citations_are_annotations_of_the_answer_with_links_to_their_place(
    rag: RagPipeline, client: OpenAI, url: str
) -> None:
    completion = client.chat.completions.create(model="default", messages=SAID)
    message = completion.choices[0].message
    assert message.content
    assert message.annotations
    said = completion.model_extra["rag"]
    for annotation, citation in zip(message.annotations, said["citations"], strict=True):
        link = annotation.url_citation
        assert message.content[link.start_index : link.end_index] in HARBOUR
        assert HARBOUR[citation["start"] : citation["end"]] == citation["quote"]
        assert link.url == (
            f"{url}/documents/{citation['document_id']}#{citation['start']}-{citation['end']}"
        )
        assert link.title == "harbour.txt"
    assert completion.model_extra["citations"] == [message.annotations[0].url_citation.url]
    record = rag.history.show(said["prompt_id"])
    assert record.answer == message.content
    assert (said["state"], said["generation"]) == ("grounded", record.generation)
    assert completion.id == f"chatcmpl-{record.prompt_id}"
    assert completion.system_fingerprint == f"generation-{record.generation}"


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_a_stream_has_one_id_its_role_first_its_end_last_and_the_text_of_the_whole_answer(
    url: str, client: OpenAI, model: str, usage: bool
) -> None:
    whole = client.chat.completions.create(model=model, messages=SAID).choices[0].message
    asked = {"model": model, "messages": SAID, "stream": True}
    if usage:
        asked["stream_options"] = {"include_usage": True}
    *said, done = data_of(post(url, "chat/completions", asked))
    assert done == "[DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(text, strict=True) for text in said]
    assert len({(c.id, c.created, c.model, c.system_fingerprint) for c in chunks}) == 1
    if usage:
        last = chunks.pop()
        assert last.choices == []
        assert last.usage is not None
        assert all(json.loads(text)["usage"] is None for text in said[:-1])
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].delta.role for c in chunks[1:]] == [None] * len(chunks[1:])
    ends = [c.choices[0].finish_reason for c in chunks]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert text_of(chunks) == whole.content
    assert whole.annotations is not None
    annotations = chunks[-1].choices[0].delta.model_extra["annotations"]
    assert annotations == [annotation.model_dump() for annotation in whole.annotations]
    assert chunks[-1].model_extra["rag"]["state"] == "grounded"


class Liar(EchoModel):
    """Writes what no document says."""

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        written = super().generate(rendered, sampling=sampling)
        yield from ("Xylophones ", "were ", "dredged ", "from Ravenport in 1999.")
        return (yield from written)


class CutShort(EchoModel):
    """Says that it was cut by its limit."""

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        ended = yield from super().generate(rendered, sampling=sampling)
        return replace(ended, finish_reason="length")


def test_a_model_that_was_cut_by_its_limit_ends_with_length(
    rag: RagPipeline, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_of(rag), "language_model", CutShort())
    completion = client.chat.completions.create(model="default", messages=SAID)
    assert completion.choices[0].finish_reason == "length"
    response = client.responses.create(model="default", input=WHEN)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    # Its own sentence is not what is said, so that nothing of what is said was cut.
    shorter = client.chat.completions.create(model="default", messages=SAID, max_tokens=1)
    assert shorter.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("chat/completions", {"messages": SAID}),
        ("responses", {"input": WHEN}),
        ("completions", {"prompt": WHEN}),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_no_word_of_a_draft_that_does_not_stand_is_ever_sent(
    rag: RagPipeline,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    asked: dict[str, Any],
    stream: bool,
) -> None:
    monkeypatch.setattr(parts_of(rag), "language_model", Liar())
    sent = post(url, path, {**asked, "model": "default", "stream": stream}).text
    assert "Xylophones" not in sent
    assert "1874" in sent


def test_without_evidence_the_answer_says_so_and_cites_nothing(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": FOREIGN}]
    )
    message = completion.choices[0].message
    assert (message.content, message.annotations) == (NO_EVIDENCE_ANSWER, [])
    assert completion.model_extra["rag"]["state"] == "no_evidence"


def test_the_client_reads_streams_as_whole_answers(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="default", messages=SAID)
    with client.chat.completions.stream(model="default", messages=SAID) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content


async def _asked_in_three_ways(url: str) -> tuple[str, str, str]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        whole = await client.chat.completions.create(model="default", messages=SAID)
        stream = await client.chat.completions.create(model="default", messages=SAID, stream=True)
        chunks = [chunk async for chunk in stream]
        response = await client.responses.create(model="default", input=WHEN)
    return whole.choices[0].message.content or "", text_of(chunks), response.output_text


def test_the_asynchronous_client_reads_the_same(url: str) -> None:
    answers = asyncio.run(_asked_in_three_ways(url))
    assert len(set(answers)) == 1
    assert "1874" in answers[0]


@pytest.mark.parametrize("model", MODELS)
def test_a_response_has_exactly_openais_shape(url: str, model: str) -> None:
    answered = post(url, "responses", {"model": model, "input": WHEN, "metadata": {"a": "b"}})
    response = Response.model_validate_json(answered.text, strict=True)
    assert response.id.startswith("resp_")
    assert response.status == "completed"
    assert "1874" in response.output_text
    (message,) = response.output
    (annotation,) = message.content[0].annotations  # type: ignore[union-attr]
    assert annotation.type == "url_citation"
    assert response.metadata == {"a": "b"}
    assert response.model_extra["rag"]["state"] == "grounded"


def test_events_of_a_response_come_numbered_and_in_openais_order(url: str) -> None:
    said = data_of(post(url, "responses", {"model": "default", "input": WHEN, "stream": True}))
    read = TypeAdapter(ResponseStreamEvent)
    events = [read.validate_json(text, strict=True) for text in said]
    assert [event.sequence_number for event in events] == [*range(len(events))]
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type == "response.completed"
    assert "".join(deltas) == last.response.output_text


def test_a_response_follows_another(rag: RagPipeline, client: OpenAI) -> None:
    first = client.responses.create(model="default", input=WHEN)
    second = client.responses.create(model="default", input=WHO, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    record = rag.history.show(second.id.removeprefix("resp_"))
    assert record.parent_id == first.id.removeprefix("resp_")
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="default", input=WHO, previous_response_id="resp_0")
    assert caught.value.code == "previous_response_not_found"


@pytest.mark.parametrize("model", MODELS)
def test_a_completion_has_exactly_openais_shape(url: str, client: OpenAI, model: str) -> None:
    answered = post(url, "completions", {"model": model, "prompt": [WHEN]})
    whole = Completion.model_validate_json(answered.text, strict=True)
    assert "1874" in whole.choices[0].text
    asked = {"model": model, "prompt": WHEN, "stream": True}
    *said, done = data_of(post(url, "completions", asked))
    assert done == "[DONE]"
    *pieces, last = map(json.loads, said)
    # Their type has no way to say that there is more to come; their service says null.
    assert [piece["choices"][0].pop("finish_reason") for piece in pieces] == [None] * len(pieces)
    for piece in pieces:
        piece["choices"][0]["finish_reason"] = "stop"
    chunks = [Completion.model_validate(piece, strict=True) for piece in (*pieces, last)]
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert client.completions.create(model=model, prompt=WHEN).choices[0].finish_reason == "stop"


def test_embeddings_are_those_that_documents_are_found_by(
    rag: RagPipeline, url: str, client: OpenAI
) -> None:
    texts = ["harbour", "a hive of bees"]
    raw = post(url, "embeddings", {"model": "words", "input": texts, "encoding_format": "float"})
    read = CreateEmbeddingResponse.model_validate_json(raw.text, strict=True)
    assert [item.index for item in read.data] == [0, 1]
    assert read.usage.prompt_tokens == 5
    expected = rag.embed(texts)
    assert np.array_equal(np.array([item.embedding for item in read.data], np.float32), expected)
    # The client asks for base64 when nobody says otherwise.
    given = client.embeddings.create(model="words", input=texts)
    assert np.array_equal(np.array([d.embedding for d in given.data], np.float32), expected)


def test_models_are_the_collections_with_and_without_a_generator(client: OpenAI, url: str) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == [*MODELS, "words"]
    for model in listed:
        raw = http.get(f"{url}/v1/models/{model.id}").text
        assert Model.model_validate_json(raw, strict=True).id == model.id
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody's")
    assert caught.value.code == "model_not_found"


def test_the_last_user_message_is_asked_and_the_rest_is_how_and_what_was_said_before(
    rag: RagPipeline, client: OpenAI
) -> None:
    completion = client.chat.completions.create(
        model="default",
        messages=[
            {"role": "system", "content": "Answer like a pirate."},
            {"role": "user", "content": WHO},
            {"role": "assistant", "content": MASTER},
            {"role": "user", "content": [{"type": "text", "text": WHEN}]},
        ],
        user="eve",
        metadata={"session": "tour"},
        temperature=0.5,
        top_p=0.9,
        seed=7,
        max_tokens=50,
        stop=["Xylophones"],
    )
    record = rag.history.show(completion.id.removeprefix("chatcmpl-"))
    assert (record.question, record.user, record.session) == (WHEN, "eve", "tour")
    assert "Answer like a pirate." in record.rendered
    assert {name: record.sampling[name] for name in ("temperature", "top_p", "seed")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
    }
    assert (record.sampling["max_new_tokens"], record.sampling["stop"]) == (50, ["Xylophones"])


def test_a_header_names_the_session(rag: RagPipeline, client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="default", messages=SAID, extra_headers={"X-Session": "from a header"}
    )
    record = rag.history.show(completion.id.removeprefix("chatcmpl-"))
    assert record.session == "from a header"


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_ends_before_a_stop_string_wherever_its_text_comes_from(
    client: OpenAI, model: str
) -> None:
    completion = client.chat.completions.create(model=model, messages=SAID, stop=" dredged")
    message = completion.choices[0].message
    assert message.content is not None
    assert "dredged" not in message.content
    assert message.content.endswith("Ravenport was") or message.content == NO_EVIDENCE_ANSWER
    for annotation in message.annotations or []:
        assert annotation.url_citation.end_index <= len(message.content)


def test_ask_gives_the_json_of_the_program_whole_or_as_events(url: str) -> None:
    asked = {"question": WHEN, "session": "page", "user": "eve"}
    whole = http.post(f"{url}/api/ask", json=asked).json()
    assert {
        *("prompt_id", "answer", "state", "citations", "usage", "timings", "generation", "model")
    } <= set(whole)
    said = http.post(f"{url}/api/ask", json={**asked, "stream": True})
    names = re.findall(r"^event: (\w+)$", said.text, re.MULTILINE)
    assert names == ["status", "status", "sentence", "answer"]
    events = [json.loads(text) for text in data_of(said)]
    assert [event["step"] for event in events[:2]] == ["searching", "writing"]
    assert "".join(event["text"] for event in events[2:-1]) == events[-1]["answer"]
    assert events[-1].keys() <= whole.keys()
    assert events[-1]["answer"] == whole["answer"]
    extractive = http.post(f"{url}/api/ask", json={**asked, "extractive": True}).json()
    assert extractive["model"] == "extractive"


def test_a_collection_named_like_anothers_sentences_is_asked_by_its_own_name(
    rag: RagPipeline, client: OpenAI, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("The vault of Ravenport was dredged in 1999.", "utf-8")
    rag.ingest(tmp_path, collection="default:extractive")
    try:
        completion = client.chat.completions.create(model="default:extractive", messages=SAID)
        assert "1999" in (completion.choices[0].message.content or "")
        assert [model.id for model in client.models.list().data] == [
            "default",
            "default:extractive",
            "default:extractive:extractive",
            "words",
        ]
    finally:
        rag.remove(["note.txt"], collection="default:extractive")
