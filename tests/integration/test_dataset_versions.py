"""Registered data sets: the same content once, and what became of it since is said."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.history.export import TrainingData
from rag_pipeline.pipeline import RagPipeline
from storage.errors import AsOfError, InvalidRecordError, NotFoundError, SealError
from storage.records import Principal

RECORDS = [
    {"_id": "a", "title": "A", "text": "The harbour was dredged in 1874.", "metadata": {"n": 1}},
    {"_id": "b", "title": "B", "text": "The lighthouse burns oil.", "metadata": {"n": 2}},
    {"_id": "c", "title": "C", "text": "The ferry runs on Sundays.", "metadata": {"label": "x"}},
]


@pytest.fixture
def rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    with word_pipeline(
        tmp_path / "home", database=database_url, embedder=WordEmbedder(dimension=64)
    ) as pipeline:
        pipeline.ingest_records(RECORDS, source="notes")
        yield pipeline


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_same_content_is_one_version_and_a_change_is_the_next(rag: RagPipeline) -> None:
    first = rag.datasets.snapshot("corpus")
    assert (first.reference, first.manifest["sources"], first.manifest["generation"]) == (
        "corpus@1",
        3,
        1,
    )
    rag.ingest_records(RECORDS, source="notes")
    assert rag.datasets.snapshot("corpus") == first
    rag.ingest_records([{**RECORDS[0], "text": "It was dredged in 1875."}], source="notes")
    assert rag.datasets.snapshot("corpus").reference == "corpus@2"
    rag.ingest_records(RECORDS, source="notes")
    assert rag.datasets.snapshot("corpus") == first


def test_the_hash_of_a_snapshot_is_that_of_its_content_on_any_database_in_any_order(
    rag: RagPipeline, tmp_path: Path
) -> None:
    with word_pipeline(tmp_path / "other", embedder=WordEmbedder(dimension=64)) as other:
        for record in reversed(RECORDS):
            other.ingest_records([record], source="notes")
        assert other.datasets.snapshot("x").sha256 == rag.datasets.snapshot("corpus").sha256


def test_a_snapshot_can_be_taken_of_the_past(rag: RagPipeline) -> None:
    before = rag.datasets.snapshot("corpus")
    rag.ingest_records([{**RECORDS[0], "text": "It was dredged in 1875."}], source="notes")
    rag.ingest_records([], source="notes", prune=True)
    assert rag.datasets.snapshot("corpus", as_of=1) == before
    assert rag.datasets.snapshot("corpus").manifest["sources"] == 0
    with pytest.raises(AsOfError, match="future"):
        rag.datasets.snapshot("corpus", as_of=99)
    with pytest.raises(NotFoundError):
        rag.datasets.snapshot("corpus", collection="nowhere")


def test_what_changed_or_is_gone_since_is_said_by_what_of_it(rag: RagPipeline) -> None:
    rag.datasets.snapshot("corpus")
    whole = rag.datasets.verify("corpus")
    assert whole.is_whole
    assert whole.difference.is_none
    changed = {**RECORDS[0], "text": "It was dredged in 1875."}
    retitled = {**RECORDS[1], "title": "Bee"}
    added = {"_id": "d", "title": "D", "text": "The inn has nine rooms."}
    rag.ingest_records([changed, retitled, added], source="notes", prune=True)
    found = rag.datasets.verify("corpus@1")
    assert not found.is_whole
    by_id = {key.rpartition("#")[2]: what for key, what in found.difference.changed.items()}
    assert by_id == {"a": ("content",), "b": ("said",)}
    assert [key.rpartition("#")[2] for key in found.difference.gone] == ["c"]
    assert [key.rpartition("#")[2] for key in found.difference.added] == ["d"]
    rag.datasets.snapshot("corpus")
    assert rag.datasets.diff("corpus@1", "corpus@2") == found.difference
    assert rag.datasets.diff("corpus@2", "corpus@2").is_none


def test_who_may_read_a_document_is_part_of_a_snapshot(rag: RagPipeline) -> None:
    rag.datasets.snapshot("corpus")
    rag.ingest_records(RECORDS, source="notes", read_labels=frozenset({"staff"}))
    found = rag.datasets.verify("corpus").difference
    assert set(found.changed.values()) == {("labels",)}


def test_what_was_added_since_takes_nothing_from_a_snapshot(rag: RagPipeline) -> None:
    rag.datasets.snapshot("corpus")
    rag.ingest_records([{"_id": "d", "text": "The inn has nine rooms."}], source="notes")
    found = rag.datasets.verify("corpus")
    assert found.is_whole
    assert len(found.difference.added) == 1


def test_synthetic_documents_are_listed_only_when_asked_for(rag: RagPipeline) -> None:
    rag.ingest_records(
        [{"_id": "s", "text": "A made-up harbour."}], source="made", generator_id="g"
    )
    assert rag.datasets.snapshot("corpus").manifest["sources"] == 3
    both = rag.datasets.snapshot("corpus", origins="both")
    assert (both.reference, both.manifest["sources"]) == ("corpus@2", 4)
    assert rag.datasets.verify("corpus@2").difference.is_none


def test_an_export_of_documents_is_registered_with_how_it_was_made(
    rag: RagPipeline, tmp_path: Path
) -> None:
    rag.export(tmp_path / "labels.jsonl", register="labels")
    (dataset,) = rag.datasets.list()
    content = (tmp_path / "labels.jsonl").read_bytes()
    assert dataset.sha256 == hashlib.sha256(content).hexdigest()
    assert dataset.location == str(tmp_path / "labels.jsonl")
    assert (dataset.manifest["rows"], dataset.manifest["generation"]) == (1, 1)
    assert dataset.manifest["settings"]["label_field"] == "label"
    assert rag.datasets.verify("labels").is_whole
    rag.export(tmp_path / "same.jsonl", register="labels")
    assert [one.reference for one in rag.datasets.list()] == ["labels@1"]
    rag.ingest_records([{**RECORDS[2], "text": "It runs on Mondays."}], source="notes")
    found = rag.datasets.verify("labels")
    assert [*found.difference.changed.values()] == [("content",)]
    assert found.problems == ()


def _asked(rag: RagPipeline, question: str) -> str:
    answer = rag.ask(question, extractive=True)
    assert answer.state != "no_evidence"
    return answer.prompt_id


def test_an_export_of_the_history_names_the_exchanges_that_are_in_it(
    rag: RagPipeline, tmp_path: Path
) -> None:
    asked = [_asked(rag, "When was the harbour dredged?"), _asked(rag, "What burns oil?")]
    data = TrainingData(plan=SplitPlan(shares={"train": 50, "test": 50}, seed=3))
    rag.history.export(tmp_path / "a.jsonl", data, user=None, register="chats")
    dataset = rag.datasets.show("chats")
    assert {one["prompt_id"] for one in rag.datasets.members("chats")} == set(asked)
    assert dataset.manifest["split_into"] == {"train": 50, "test": 50}
    assert dataset.manifest["seed"] == 3
    assert dataset.manifest["generation"] == 1
    assert sum(file["examples"] for file in dataset.manifest["files"]) == 2
    assert rag.datasets.verify("chats").is_whole
    rag.history.export(tmp_path / "b.jsonl", data, register="chats")
    assert len(rag.datasets.list()) == 1
    holding = parts_of(rag).versions.datasets_holding("prompt_id", [asked[1]])
    assert [one.reference for one in holding] == ["chats@1"]


def test_exchanges_that_are_gone_and_files_that_changed_are_said(
    rag: RagPipeline, tmp_path: Path
) -> None:
    prompt_id = _asked(rag, "When was the harbour dredged?")
    path = tmp_path / "a.jsonl"
    rag.history.export(path, register="chats")
    versions = parts_of(rag).versions
    versions.add_dataset(
        "gone",
        kind="history",
        manifest={},
        sha256="a" * 64,
        members=[{"prompt_id": prompt_id}, {"prompt_id": "0" * 24}],
    )
    assert rag.datasets.verify("gone").difference.gone == ("0" * 24,)
    path.write_text(path.read_text() + "\n")
    assert "was changed" in rag.datasets.verify("chats").problems[0]
    path.unlink()
    assert "is gone" in rag.datasets.verify("chats").problems[0]


def test_the_same_files_written_elsewhere_are_the_same_version_there(
    rag: RagPipeline, tmp_path: Path
) -> None:
    _asked(rag, "When was the harbour dredged?")
    _asked(rag, "What burns oil?")
    data = TrainingData(plan=SplitPlan(shares={"train": 50, "test": 50}, seed=3))
    rag.history.export(tmp_path / "a.jsonl", data, register="chats")
    for path in tmp_path.glob("a.*.jsonl"):
        path.unlink()
    assert len(rag.datasets.verify("chats").problems) == 2
    rag.history.export(tmp_path / "b.jsonl", data, register="chats")
    assert [one.reference for one in rag.datasets.list()] == ["chats@1"]
    assert rag.datasets.verify("chats").is_whole


def test_a_bad_name_is_refused_before_a_file_is_written(rag: RagPipeline, tmp_path: Path) -> None:
    for name in ("a/b", "../x", "a\n", ""):
        with pytest.raises(InvalidRecordError, match="can't name versions"):
            rag.export(tmp_path / "out.jsonl", register=name)
        with pytest.raises(InvalidRecordError, match="can't name versions"):
            rag.history.export(tmp_path / "out.jsonl", register=name)
    assert not (tmp_path / "out.jsonl").exists()
    assert rag.datasets.list() == []


def test_a_damaged_list_is_noticed(rag: RagPipeline) -> None:
    rag.datasets.snapshot("corpus")
    with parts_of(rag).database.write() as connection:
        connection.execute(text("UPDATE blob_pieces SET content = :c"), {"c": b"x" * 10})
    with pytest.raises(SealError, match="were changed"):
        rag.datasets.verify("corpus")


def test_versions_are_for_owners_and_look_missing_to_others(
    rag: RagPipeline, tmp_path: Path
) -> None:
    rag.datasets.snapshot("corpus")
    other = rag.acting_for(Principal(name="ana", is_owner=False))
    assert other.datasets.list() == []
    assert other.models.list() == []
    for reference in ("corpus", "corpus@1", "nothing"):
        with pytest.raises(NotFoundError, match="for you"):
            other.datasets.show(reference)
        with pytest.raises(NotFoundError, match="for you"):
            other.models.show(reference)
    with pytest.raises(NotFoundError, match="for you"):
        other.history.export(tmp_path / "a.jsonl", register="chats")


def test_laid_out_twice_a_version_is_the_same_bytes(rag: RagPipeline, tmp_path: Path) -> None:
    rag.export(tmp_path / "labels.jsonl", register="labels")
    rag.datasets.snapshot("corpus")
    for reference in ("labels", "corpus"):
        one = rag.datasets.export(reference, tmp_path / "one" / reference)
        two = rag.datasets.export(reference, tmp_path / "two" / reference)
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
        assert rag.datasets.export(reference, tmp_path / "one" / reference) == one
    members = tmp_path / "one" / "corpus" / "members.jsonl"
    assert hashlib.sha256(members.read_bytes()).hexdigest() == rag.datasets.show("corpus").sha256
    assert [line["external_id"] for line in lines(members)] == ["a", "b", "c"]
    manifest = json.loads((tmp_path / "one" / "corpus" / "manifest.json").read_bytes())
    assert manifest["sha256"] == rag.datasets.show("corpus").sha256


def test_laying_out_never_replaces_another_file_unless_it_is_told_to(
    rag: RagPipeline, tmp_path: Path
) -> None:
    rag.datasets.snapshot("corpus")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "members.jsonl").write_text("mine")
    with pytest.raises(DatasetError, match="--force"):
        rag.datasets.export("corpus", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["members.jsonl"]
    rag.datasets.export("corpus", tmp_path / "out", overwrite=True)
    assert len(lines(tmp_path / "out" / "members.jsonl")) == 3


def test_an_export_whose_file_was_changed_is_not_laid_out(rag: RagPipeline, tmp_path: Path) -> None:
    rag.export(tmp_path / "labels.jsonl", register="labels")
    (tmp_path / "labels.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match="is not what was registered"):
        rag.datasets.export("labels", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_was_erased_is_out_of_the_list_and_said_to_be(rag: RagPipeline) -> None:
    before = rag.datasets.snapshot("corpus")
    versions = parts_of(rag).versions
    assert versions.take_out("corpus@1", "external_id", ["a", "nothing"]) == 1
    assert [one["external_id"] for one in rag.datasets.members("corpus")] == ["b", "c"]
    found = rag.datasets.verify("corpus")
    assert (found.erased, found.is_whole, found.dataset.sha256) == (1, True, before.sha256)
    with parts_of(rag).database.read() as connection:
        stored = connection.execute(text("SELECT count(*) FROM blob_pieces")).scalar_one()
    assert stored == 1
    assert versions.take_out("corpus@1", "external_id", ["a"]) == 0
