"""The routes that draw records: what they give, what they refuse, and that others are served."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.people import LOOSE, QUICK, write_people
from support.service import Callers, called

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.api.synthetic import MAX_DRAWN
from rag_pipeline.synthetic.fitting_report import FitWanted
from rag_pipeline.synthetic.record_loading import LoadWanted
from storage.records import LOCAL_OWNER, Principal

SETS = "/api/synthetic/sets"
DRAW = {"count": 120, "thresholds": LOOSE}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    folder = tmp_path_factory.mktemp("people")
    with RagPipeline.open(folder / "home", generator="echo") as rag:
        for name in ("people", "others"):
            rag.synthetic.load(LoadWanted(name=name, path=write_people(folder / f"{name}.csv")))
        rag.synthetic.fit(FitWanted(name="people", settings=QUICK))
        with called(rag) as started:
            yield started


def test_records_are_drawn_stored_and_shown_with_where_they_are_from(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    asked = {**DRAW, "where": "age >= 50", "seed": 7, "with_records": True}
    drawn = client.post(f"{SETS}/people/samples", json=asked).json()
    assert (drawn["accepted"], drawn["stored"], len(drawn["records"])) == (True, 120, 120)
    assert all(one["age"] >= 50 for one in drawn["records"])
    (_, listed) = client.get(SETS).json()["items"]
    assert (listed["real"], listed["synthetic"]) == (700, 120)
    assert listed["models"][0]["reference"] == drawn["model"] == "version:people@1"
    shown = client.get(f"{SETS}/people").json()
    assert [one["origin"] for one in shown["batches"]] == ["real", "synthetic"]
    batch = client.get(f"{SETS}/people/batches/{drawn['batch_id']}").json()
    assert (batch["seed"], batch["verdict"]) == (7, "passed")
    assert batch["report"] == drawn["report"]


def test_what_is_refused_is_answered_with_why_and_no_record(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    asked = {**DRAW, "thresholds": {**LOOSE, "validity": 1.1}, "with_records": True}
    refused = client.post(f"{SETS}/people/samples", json=asked).json()
    assert (refused["accepted"], refused["stored"], refused["records"]) == (False, 0, None)
    assert "validity" in refused["report"]["verdict"]["reasons"][0]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"count": MAX_DRAWN + 1}, 400, "count"),
        ({"count": 0}, 400, "count"),
        ({"where": "age > 70 and age < 20"}, 400, "contradict"),
        ({"where": "age >> 3"}, 400, "at character"),
        ({"thresholds": {"beauty": 1}}, 400, "beauty"),
        ({"seed": 2**40}, 400, "seed"),
        ({"model": "people@9"}, 404, "people@9"),
        ({"unheard": 1}, 400, "unheard"),
    ],
)
def test_what_cant_be_drawn_is_said(
    callers: Callers, asked: dict[str, object], status: int, said: str
) -> None:
    client = callers.by(LOCAL_OWNER)
    before = client.get(f"{SETS}/people").json()
    answer = client.post(f"{SETS}/people/samples", json=asked)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert client.get(f"{SETS}/people").json() == before
    assert client.post(f"{SETS}/nobody/samples", json={}).status_code == 404


def test_a_guest_sees_nothing_and_draws_nothing(callers: Callers) -> None:
    guest = callers.by(Principal(name="guest"))
    assert guest.get(SETS).json() == {"items": []}
    assert guest.get(f"{SETS}/people").status_code == 404
    assert guest.get(f"{SETS}/people/batches/1").status_code == 404
    assert guest.post(f"{SETS}/people/samples", json=DRAW).status_code == 403
    assert guest.post(f"{SETS}/people/erasures", json={"where": "id = 'p1'"}).status_code == 403


def test_somebody_is_forgotten_and_that_is_certified(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    asked = {"where": "id = 'p7'"}
    would = client.post(f"{SETS}/others/erasures", json={**asked, "dry_run": True}).json()
    assert would == {
        "records": 1,
        "batches": [2],
        "datasets": ["others@1"],
        "models": [],
        "drawn_batches": [],
        "certificate": None,
    }
    assert client.get(f"{SETS}/others").json()["real"] == 700
    done = client.post(f"{SETS}/others/erasures", json=asked).json()
    assert done["certificate"]["scan"]["findings"] == {}
    assert client.get(f"{SETS}/others").json()["real"] == 699
    for wrong, status, said in (
        (asked, 404, "no real record"),
        ({"where": "wage = 3"}, 400, "no column wage"),
        ({"where": "age > 0"}, 400, "true of all 699"),
        ({"where": ""}, 400, "where"),
        ({}, 400, "where"),
    ):
        answer = client.post(f"{SETS}/others/erasures", json=wrong)
        assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True)
    assert client.post(f"{SETS}/nobody/erasures", json=asked).status_code == 404
    assert client.get(f"{SETS}/others").json()["real"] == 699


def test_others_are_served_while_records_are_drawn(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    with ThreadPoolExecutor(1) as apart:
        drawing = apart.submit(
            client.post, f"{SETS}/people/samples", json={**DRAW, "count": 3_000, "dry_run": True}
        )
        served = 0
        while not drawing.done():
            assert client.get("/healthz").status_code == 200
            served += 1
        assert drawing.result().json()["batch_id"] is None
    assert served > 3
