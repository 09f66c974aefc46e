"""The routes that show what was registered, which others than owners see nothing of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.service import Callers, called
from support.versions import write_model

from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER, Principal

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MODELS, DATASETS = "/api/models/versions", "/api/datasets/versions"


@pytest.fixture
def callers(rag: RagPipeline, tmp_path: Path) -> Iterator[Callers]:
    rag.ingest_records([{"_id": "a", "text": "The harbour."}], source="notes")
    corpus = rag.datasets.snapshot("corpus")
    rag.models.register("m", write_model(tmp_path / "m1", "1"), kind="embedder", base="minilm")
    rag.models.register(
        "m", write_model(tmp_path / "m2", "2"), kind="embedder", base="version:m@1", dataset=corpus
    )
    rag.models.activate("m", 2, reason="better")
    with called(rag) as started:
        yield started


def test_an_owner_sees_versions_with_what_they_come_from(callers: Callers) -> None:
    client = callers.by(LOCAL_OWNER)
    listed = client.get(MODELS).json()["items"]
    assert [(one["reference"], one["state"]) for one in listed] == [
        ("version:m@2", "active"),
        ("version:m@1", "kept"),
    ]
    assert client.get(MODELS, params={"kind": "generator"}).json() == {"items": []}
    shown = client.get(f"{MODELS}/m").json()
    assert (shown["version"], shown["activations"][0]["reason"]) == (2, "better")
    base, data = shown["lineage"]["from"]
    assert (base["name"], base["from"][0]["name"]) == ("version:m@1", "minilm")
    assert (data["name"], data["from"][0]["name"]) == ("corpus@1", "collection default")
    assert client.get(f"{DATASETS}/corpus@1").json()["manifest"]["sources"] == 1
    assert len(client.get(DATASETS).json()["items"]) == 1


def test_what_is_not_there_and_what_is_none_of_yours_look_the_same(callers: Callers) -> None:
    guest = callers.by(Principal(name="guest"))
    assert guest.get(MODELS).json() == guest.get(DATASETS).json() == {"items": []}
    for path in (f"{MODELS}/m", f"{MODELS}/n@3", f"{DATASETS}/corpus", f"{DATASETS}/x"):
        assert guest.get(path).status_code == 404
    owner = callers.by(LOCAL_OWNER)
    assert owner.get(f"{MODELS}/m@9").status_code == 404
    assert owner.get(f"{MODELS}/m@x").status_code == 400
    assert owner.get(MODELS, params={"kind": "nonsense"}).status_code == 400
