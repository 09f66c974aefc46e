"""The history over HTTP: the same filters, search, and cursors that belong to their list."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.service import Callers, called

from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER, Principal

SUE = Principal(name="sue")


@pytest.fixture
def callers(rag: RagPipeline) -> Iterator[Callers]:
    rag.ingest_records([{"_id": "tin", "title": "", "text": "Tin is a soft metal."}], source="n")
    for question, user in (("What is tin?", "sue"), ("Is tin soft?", "max"), ("Oak?", "max")):
        answer = rag.ask(question, user=user)
        rag.history.rate(answer.prompt_id, 0.25 if user == "sue" else 0.75, user="judge")
    with called(rag) as started:
        yield started


def questions(client: TestClient, path: str = "/api/prompts", **params: Any) -> list[str]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [item["question"] for item in answer.json()["items"]]


def test_filters_search_and_cursors_over_http(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    as_json = json.dumps({"and": [{"field": "user", "op": "=", "value": "max"}]})
    assert questions(client, where="user = 'max' and rating > 0.5") == ["Oak?", "Is tin soft?"]
    assert questions(client, where=as_json, q="TIN") == ["Is tin soft?"]
    assert questions(client, max_score=0.3) == ["What is tin?"]
    assert questions(client, slower_than=1e6) == []
    search = "/api/prompts/search"
    assert set(questions(client, search, q="tin")) == {"What is tin?", "Is tin soft?"}
    assert questions(client, search, q='"is tin"', order="newest")[0] == "Is tin soft?"
    assert questions(client, search, q="What is tin?", order="meaning", limit=1) == ["What is tin?"]
    (found,) = client.get(search, params={"q": "soft*", "user": "max"}).json()["items"]
    assert [found["snippet"][a:b] for a, b in found["matches"]] == ["soft"]
    cursor = client.get("/api/prompts", params={"limit": 1}).json()["next_cursor"]
    assert questions(client, limit=1, cursor=cursor) == ["Is tin soft?"]
    for params in ({"cursor": cursor, "user": "max"}, {"cursor": "x"}, {"where": "frob = 1"}):
        refused = client.get("/api/prompts", params=params)
        assert refused.status_code == 400
        assert "\n" not in refused.json()["error"]["message"]
    for params in ({"where": '{"field": 1'}, {"min_score": 2}, {"where": "rating > 2"}):
        assert client.get("/api/prompts", params=params).status_code == 400
    assert client.get(search, params={"q": "?!"}).status_code == 400
    assert client.get(search, params={"q": "x" * 10_001}).status_code == 400


def test_a_caller_searches_what_is_their_own(callers: Callers) -> None:
    sue = callers.by(SUE)
    assert questions(sue) == ["What is tin?"]
    assert questions(sue, where="user = 'max'") == []
    assert questions(sue, "/api/prompts/search", q="tin") == ["What is tin?"]
    assert questions(sue, "/api/prompts/search", q="tin", order="meaning") == ["What is tin?"]
