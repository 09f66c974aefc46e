"""The routes that show and change what is stored, as each caller may know it."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.pipelines import parts_of, word_pipeline
from support.service import Callers, called
from support.slow_model import EndlessModel

from rag_pipeline.pipeline import RagPipeline
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, Principal

GUEST = Principal(name="guest")
SUE = Principal(name="sue", labels=frozenset({"staff"}))
NOTES = [
    {"_id": "tea", "title": "Tea", "text": "Tea is a drink of leaves.", "metadata": {"year": 1}},
    {"_id": "tin", "title": "Tin", "text": "Tin is a soft metal.", "metadata": {"year": 2}},
    {"_id": "oak", "title": "Oak", "text": "An oak is a large tree.", "metadata": {"year": 3}},
]
SECRET = [{"_id": "gold", "title": "Gold", "text": "The gold lies under the oak tree."}]
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def callers(rag: RagPipeline) -> Iterator[Callers]:
    rag.ingest_records(NOTES, source="notes")
    with called(rag) as started:
        yield started


@pytest.fixture
def client(callers: Callers) -> TestClient:
    return callers.by(LOCAL_OWNER)


def got(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def titles(page: Mapping[str, Any]) -> list[str]:
    return [item["title"] for item in page["items"]]


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    message: str = answer.json()["error"]["message"]
    assert "Traceback" not in message
    return message


def test_pages_of_documents_are_all_of_the_generation_of_the_first(
    rag: RagPipeline, client: TestClient
) -> None:
    first = got(client, "/api/documents", limit=2)
    assert titles(first) == ["Oak", "Tin"]
    rag.ingest_records([{"_id": "new", "title": "New", "text": "Something new."}], source="later")
    rag.remove(["tea"])
    second = got(client, "/api/documents", limit=2, cursor=first["next_cursor"])
    assert titles(second) == ["Tea"]
    assert second["generation"] == first["generation"]
    assert second["next_cursor"] is None
    assert titles(got(client, "/api/documents")) == ["New", "Oak", "Tin"]


@pytest.mark.parametrize(
    "cursor",
    ["x", "%%%", "W10", "bnVsbA", "W1tdLCAxLCAyXQ", "e30", "WyIiLCAxZTk5OSwgMV0", "🫖", "W" * 400],
)
@sqlite_only
def test_a_cursor_that_was_made_up_is_refused(client: TestClient, cursor: str) -> None:
    for path in ("documents", "prompts", "ingest-runs"):
        refused(client.get(f"/api/{path}", params={"cursor": cursor}), 400)


@sqlite_only
def test_a_cursor_belongs_to_the_list_that_it_came_from(client: TestClient) -> None:
    cursor = got(client, "/api/documents", limit=1)["next_cursor"]
    assert "another list" in refused(
        client.get("/api/documents", params={"cursor": cursor, "q": "tea"}), 400
    )
    refused(client.get("/api/prompts", params={"cursor": cursor}), 400)


def test_documents_are_found_by_filter_place_and_words(client: TestClient) -> None:
    assert titles(got(client, "/api/documents", where="year >= 2")) == ["Oak", "Tin"]
    assert titles(got(client, "/api/documents", source="records:no")) == ["Oak", "Tin", "Tea"]
    assert titles(got(client, "/api/documents", source="ecords:no")) == []
    assert titles(got(client, "/api/documents", q="T notes")) == ["Oak", "Tin", "Tea"]
    assert titles(got(client, "/api/documents", q="TEA")) == ["Tea"]
    assert titles(got(client, "/api/documents", q="T%a")) == []
    refused(client.get("/api/documents", params={"where": "yaer = 1"}), 400)
    refused(client.get("/api/documents", params={"where": " "}), 400)
    refused(client.get("/api/documents", params={"collection": "none"}), 404)


def test_a_document_is_shown_as_it_is_and_as_it_was(rag: RagPipeline, client: TestClient) -> None:
    found = got(client, "/api/documents", q="tea")["items"][0]
    key, then = found["document_id"], found["from_generation"]
    whole = got(client, f"/api/documents/{key}")
    assert whole["text"] == NOTES[0]["text"]
    assert [whole["text"][c["start"] : c["end"]] for c in whole["chunks"]] == [whole["text"]]
    rag.remove(["tea"])
    gone = refused(client.get(f"/api/documents/{key}"), 404)
    assert gone == refused(client.get("/api/documents/999"), 404).replace("999", str(key))
    old = got(client, f"/api/documents/{key}", generation=then)
    assert old["text"] == whole["text"]
    assert old["to_generation"] == then + 1
    refused(client.get(f"/api/documents/{key}", params={"generation": 99}), 400)


def test_what_a_caller_may_not_read_is_in_no_list_and_no_count(
    rag: RagPipeline, callers: Callers
) -> None:
    rag.ingest_records(SECRET, source="vault", read_labels=frozenset({"staff"}))
    hidden = got(callers.by(SUE), "/api/documents", q="gold")["items"][0]["document_id"]
    guest = callers.by(GUEST)
    assert "Gold" not in titles(got(guest, "/api/documents"))
    assert got(guest, "/api/documents", q="gold")["items"] == []
    missing = refused(guest.get("/api/documents/999"), 404)
    assert (
        refused(guest.get(f"/api/documents/{hidden}"), 404).replace(str(hidden), "999") == missing
    )
    found = guest.post("/api/search", json={"query": "gold under the oak"}).json()["hits"]
    assert "gold" not in [hit["external_id"] for hit in found]

    def counted(who: Principal) -> tuple[int, int]:
        (summary,) = got(callers.by(who), "/api/collections")["collections"]
        return summary["documents"], summary["chunks"]

    assert (counted(GUEST), counted(SUE), counted(LOCAL_OWNER)) == ((3, 3), (4, 4), (4, 4))


def test_evidence_that_was_closed_to_its_reader_has_no_text_any_more(
    rag: RagPipeline, callers: Callers
) -> None:
    prompt_id = rag.acting_for(GUEST).ask("What is tea?").prompt_id
    shown = got(callers.by(GUEST), f"/api/prompts/{prompt_id}")
    texts = {one["document_id"]: one["text"] for one in shown["evidence"]}
    assert "Tea is a drink of leaves." in texts.values()
    rag.ingest_records(NOTES[:1], source="notes", read_labels=frozenset({"staff"}))
    shown = got(callers.by(GUEST), f"/api/prompts/{prompt_id}")
    assert "Tea is a drink of leaves." not in {one["text"] for one in shown["evidence"]}
    assert None in {one["text"] for one in shown["evidence"]}


def test_exchanges_of_others_look_as_if_they_were_missing(
    rag: RagPipeline, callers: Callers
) -> None:
    mine = rag.acting_for(GUEST).ask("What is tea?").prompt_id
    other = rag.ask("What is tin?").prompt_id
    guest = callers.by(GUEST)
    assert [item["prompt_id"] for item in got(guest, "/api/prompts")["items"]] == [mine]
    assert got(guest, "/api/feedback/summary")["buckets"][0]["prompts"] == 1
    nobody = "0" * 24
    for path in ("", "/chain"):
        foreign = refused(guest.get(f"/api/prompts/{other}{path}"), 404)
        missing = refused(guest.get(f"/api/prompts/{nobody}{path}"), 404)
        assert foreign.replace(other, nobody) == missing
    said = {"prompt_id": other, "score": 0.1}
    assert "no prompt" in refused(guest.post("/api/feedback", json=said), 404)
    assert callers.by(LOCAL_OWNER).get(f"/api/prompts/{other}").json()["scores"] == []


@sqlite_only
def test_only_the_owner_changes_what_is_stored_or_speaks_for_others(
    rag: RagPipeline, callers: Callers
) -> None:
    prompt_id = rag.acting_for(SUE).ask("What is tea?").prompt_id
    sue, said = callers.by(SUE), {"prompt_id": prompt_id, "score": 1}
    refused(sue.post("/api/documents", json={"records": NOTES}), 403)
    refused(sue.delete("/api/documents", params={"external_id": "tea"}), 403)
    refused(sue.post("/v1/vector_stores", json={"name": "x"}), 403)
    refused(sue.post("/api/feedback", json={**said, "user": "guest"}), 403)
    assert sue.post("/api/feedback", json={**said, "user": "sue"}).status_code == 201
    assert got(sue, "/api/ingest-runs")["items"] == []
    (run,) = got(callers.by(LOCAL_OWNER), "/api/ingest-runs")["items"]
    refused(callers.by(SUE).get(f"/api/ingest-runs/{run['run_id']}"), 404)


def test_exchanges_are_listed_by_what_they_say_and_when(
    rag: RagPipeline, client: TestClient
) -> None:
    for question in ("What is tea?", "What is tin?", "What is TIN made of?"):
        rag.ask(question, session="one")
    rag.ask("What is oak?", user="max")
    first = got(client, "/api/prompts", q="tin", limit=1)
    second = got(client, "/api/prompts", q="tin", limit=1, cursor=first["next_cursor"])
    assert [page["items"][0]["question"] for page in (first, second)] == [
        "What is TIN made of?",
        "What is tin?",
    ]
    assert len(got(client, "/api/prompts", session="one")["items"]) == 3
    (asked,) = got(client, "/api/prompts", user="max")["items"]
    others = {"grounded", "partial", "no_evidence"} - {asked["state"]}
    assert got(client, "/api/prompts", user="max", state=asked["state"])["items"] == [asked]
    assert got(client, "/api/prompts", user="max", state=others.pop())["items"] == []
    day = first["items"][0]["created_at"][:10]
    assert len(got(client, "/api/prompts", since=day, until=day)["items"]) == 4
    assert got(client, "/api/prompts", until="2020-01-01")["items"] == []
    refused(client.get("/api/prompts", params={"since": "yesterday"}), 400)
    refused(client.get("/api/prompts", params={"state": "sure"}), 400)


def test_a_chain_is_the_tree_of_what_led_to_an_exchange_and_what_followed(
    rag: RagPipeline, callers: Callers
) -> None:
    root = rag.ask("What is tea?").prompt_id
    left = rag.ask("And tin?", parent_id=root).prompt_id
    right = rag.ask("And oak?", parent_id=root).prompt_id
    leaf = (
        rag.acting_for(Principal(name="max", is_owner=True)).ask("Why?", parent_id=left).prompt_id
    )
    for asked in (root, leaf):
        chain = got(callers.by(LOCAL_OWNER), f"/api/prompts/{asked}/chain")
        assert chain["root"] == root
        children = {one["prompt_id"]: one["children"] for one in chain["prompts"]}
        assert children == {root: [left, right], left: [leaf], right: [], leaf: []}
    alone = got(callers.by(Principal(name="max")), f"/api/prompts/{leaf}/chain")
    assert [one["prompt_id"] for one in alone["prompts"]] == [leaf]
    assert alone["root"] == leaf


def test_feedback_counts_what_each_user_said_last(rag: RagPipeline, client: TestClient) -> None:
    prompt_id = rag.ask("What is tea?").prompt_id
    rag.ask("Who is the king of Mars?")
    for user, score in (("ann", 0.0), ("ann", 1.0), ("bob", 0.5)):
        said = {"prompt_id": prompt_id, "score": score, "user": user, "comment": "so"}
        assert client.post("/api/feedback", json=said).status_code == 201
    said = {"prompt_id": prompt_id, "score": 0, "metric": "tone"}
    assert client.post("/api/feedback", json=said).status_code == 201
    assert got(client, f"/api/prompts/{prompt_id}")["rating"] == 0.75
    assert {item["rating"] for item in got(client, "/api/prompts")["items"]} == {0.75, None}
    for by in ("day", "week", "month"):
        (bucket,) = got(client, "/api/feedback/summary", by=by)["buckets"]
        assert (bucket["prompts"], bucket["scores"], bucket["mean_score"]) == (2, 2, 0.75)
        assert sum(bucket["states"].values()) == bucket["statuses"]["completed"] == 2
    assert got(client, "/api/feedback/summary", until="2020-01-01")["buckets"] == []
    refused(client.post("/api/feedback", json={**said, "score": 1.5}), 400)
    refused(client.post("/api/feedback", json={**said, "stars": 5}), 400)


@sqlite_only
def test_records_that_are_posted_are_searched_and_refused_ones_named(client: TestClient) -> None:
    posted = {"records": [{"_id": "ice", "text": "Ice is frozen water."}, {"_id": "bad"}]}
    report = client.post("/api/documents", json=posted).json()
    assert report["documents"]["new"] == report["documents"]["failed"] == 1
    assert "text" in report["failures"][0]["reason"]
    again = client.post("/api/documents", json=posted).json()
    assert again["documents"]["unchanged"] == 1
    hits = client.post("/api/search", json={"query": "frozen water", "limit": 1}).json()["hits"]
    assert hits[0]["external_id"] == "ice"


@sqlite_only
def test_files_that_are_posted_keep_their_name_and_nothing_of_their_path(
    client: TestClient,
) -> None:
    files = [
        ("files", ("../../etc/ice.md", b"# Ice\n\nIce is frozen water.")),
        ("files", ("C:\\tmp\\fog.txt", b"Fog is a cloud on the ground.")),
        ("files", ("..", b"Mist is thin fog over water.")),
        ("files", ("broken.pdf", b"%PDF-1.7 and nothing more")),
    ]
    answer = client.post("/api/documents", files=files, data={"collection": "weather"})
    report = answer.json()
    assert (report["documents"]["new"], report["documents"]["failed"]) == (3, 1), answer.text
    listed = got(client, "/api/documents", collection="weather")["items"]
    names = {item["sources"][0]["source"] for item in listed}
    assert names == {"upload:ice.md", "upload:fog.txt", "upload:upload"}
    refused(client.post("/api/documents", data={"collection": "weather"}), 400)
    refused(client.post("/api/documents", files=files, data={"colour": "x"}), 400)
    refused(client.post("/api/documents", files=[*files, ("files", ("", b"x"))]), 400)


@sqlite_only
def test_bodies_that_are_no_documents_are_refused(client: TestClient) -> None:
    plain = {"content-type": "text/plain"}
    as_json = {"content-type": "application/json"}
    refused(client.post("/api/documents", content=b'{"records":[]}', headers=plain), 400)
    bodies = [b"", b"{", b"[" * 100_000, b'"\xff"', b"{}", b'{"records":[1]}', b"[]"]
    for body in [*bodies, b'{"records":[{}],"collection":"\\u0000"}']:
        refused(client.post("/api/documents", content=body, headers=as_json), 400)
    nul = json.dumps({"query": "a\0b"}).encode()
    half = b'{"query": "\\ud800", "collection": "\\udfff"}'
    for body in (nul, half, b'{"query": "x", "diversity": NaN}', b'{"query": "x", "limit": 1e99}'):
        refused(client.post("/api/search", content=body, headers=as_json), 400)


def test_a_second_writer_is_told_when_to_come_back(rag: RagPipeline, client: TestClient) -> None:
    with writer_lease(parts_of(rag).database):
        for answer in (
            client.post("/api/documents", json={"records": NOTES}),
            client.delete("/api/documents", params={"external_id": "tea"}),
        ):
            assert "writing" in refused(answer, 409)
            assert int(answer.headers["retry-after"]) > 0
        assert got(client, "/api/documents")["items"]
    assert client.post("/api/documents", json={"records": NOTES}).status_code == 200


def test_what_is_deleted_is_found_no_more(client: TestClient) -> None:
    posted = {"source": "other", "records": [{"_id": "tea", "text": "Tea, in other words."}]}
    client.post("/api/documents", json=posted)
    one = {"external_id": "tea", "source": "records:other"}
    assert client.delete("/api/documents", params=one).json()["documents"]["deleted"] == 1
    by_ids = {"external_id": ["tea", "tin", "none"]}
    assert client.delete("/api/documents", params=by_ids).json()["documents"]["deleted"] == 2
    refused(client.delete("/api/documents", params=by_ids), 404)
    refused(client.delete("/api/documents"), 400)
    found = client.post("/api/search", json={"query": "tea and tin"}).json()["hits"]
    assert [hit["external_id"] for hit in found] == ["oak"]
    run = got(client, "/api/ingest-runs", limit=1)["items"][0]
    assert run["report"]["documents"]["deleted"] == 2
    assert got(client, f"/api/ingest-runs/{run['run_id'][:12]}") == run


@sqlite_only
def test_runs_are_listed_page_by_page(client: TestClient) -> None:
    for number in range(3):
        client.post("/api/documents", json={"source": f"s{number}", "records": NOTES[:1]})
    seen, cursor = [], None
    while True:
        page = got(client, "/api/ingest-runs", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [run["source_name"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["s2", "s1", "s0", "notes"]
    assert len(got(client, "/api/ingest-runs", source="s1")["items"]) == 1


@sqlite_only
def test_search_takes_all_that_the_library_takes(rag: RagPipeline, client: TestClient) -> None:
    rag.ingest_records(NOTES[:1], source="more", collection="other", generator_id="gan")
    asked = {
        "query": "+tea leaves",
        "collection": ["default", "other"],
        "where": {"field": "year", "op": "=", "value": 1},
        "operators": True,
        "origins": "both",
        "explain": True,
        "expand": 100,
        "diversity": 0.2,
        "collapse": True,
        "as_of": 2,
    }
    found = client.post("/api/search", json=asked).json()
    assert found["hits"][0]["external_id"] == "tea"
    assert found["hits"][0]["explanation"]["terms"]
    assert found["hits"][0]["context"]["text"] == "Tea is a drink of leaves."
    for wrong, status in (
        ({"as_of": 99}, 400),
        ({"as_of": "someday"}, 400),
        ({"where": "year ="}, 400),
        ({"collection": "none"}, 404),
        ({"mode": "fuzzy"}, 400),
        ({"limit": 0}, 400),
        ({"k": 3}, 400),
    ):
        refused(client.post("/api/search", json={**asked, **wrong}), status)


@sqlite_only
def test_searches_are_answered_while_an_answer_is_written(
    rag: RagPipeline, client: TestClient
) -> None:
    model, is_over = EndlessModel(), threading.Event()
    parts_of(rag).language_model = model

    def write() -> None:
        stream = rag.ask_stream("What is tea?")
        while not is_over.is_set():
            next(stream)
        stream.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        assert model.began.wait(20)
        hits = client.post("/api/search", json={"query": "soft metal"}).json()["hits"]
        assert hits[0]["external_id"] == "tin"
        assert not model.stopped.is_set()
    finally:
        is_over.set()
        writing.join()


def test_what_can_not_wait_is_turned_away_at_the_door_and_health_is_still_told(
    tmp_path: Path,
) -> None:
    one_at_a_time = {"searching": 1, "waiting": 0}
    with word_pipeline(tmp_path / "kb", service=one_at_a_time) as rag:
        rag.ingest_records(NOTES, source="notes")
        with called(rag) as callers:
            client = callers.by(LOCAL_OWNER)
            answers: list[Any] = []

            def search() -> None:
                # It may come while one of the calls below has the only turn.
                while not answers or answers[-1].status_code == 429:
                    answers.append(client.post("/api/search", json={"query": "tea"}))

            searching = threading.Thread(target=search)
            with parts_of(rag).turns.ranking:
                searching.start()
                deadline = time.monotonic() + 20
                while (other := client.get("/api/collections")).status_code == 200:
                    assert time.monotonic() < deadline
                assert "wait" in refused(other, 429)
                assert int(other.headers["retry-after"]) > 0
                assert client.get("/healthz").status_code == 200
            searching.join()
            assert answers[-1].status_code == 200
            assert client.get("/api/collections").status_code == 200


def test_statistics_trends_and_sessions_tell_of_ones_own_exchanges_alone(callers: Callers) -> None:
    for who, session in ((GUEST, "mine"), (LOCAL_OWNER, "theirs")):
        client = callers.by(who)
        said = {"question": "What is tea?", "session": session, "extractive": True}
        prompt_id = client.post("/api/ask", json=said).json()["prompt_id"]
        label = {"prompt_id": prompt_id, "label": "short", "score": 1}
        assert client.post("/api/feedback", json=label).json()["label"] == "short"
    guest = callers.by(GUEST)
    assert [one["session"] for one in got(guest, "/api/sessions")["items"]] == ["mine"]
    told = got(guest, "/api/stats", by="user")
    assert [(one["key"], one["prompts"]) for one in told["groups"]] == [("guest", 1)]
    assert told["groups"][0]["scores"][0]["ups"] == 1
    assert got(guest, "/api/trends", days=7)["now"]["prompts"] == 1
    assert got(guest, "/api/stats", where="user != 'guest'")["groups"] == []
    owner = callers.by(LOCAL_OWNER)
    assert len(got(owner, "/api/sessions", limit=1)["items"]) == 1
    assert got(owner, "/api/trends", days=7)["now"]["prompts"] == 2
    refused(owner.get("/api/stats", params={"by": "colour"}), 400)
    refused(owner.get("/api/trends", params={"days": 0}), 400)
    refused(owner.get("/api/sessions", params={"cursor": "garbled"}), 400)
    nothing = {"prompt_id": prompt_id, "metric": "clarity"}
    assert "says nothing" in refused(owner.post("/api/feedback", json=nothing), 400)
