"""A collection as a data set: on both databases, at one generation, for one principal."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import update
from support.corpora import document, place, sha256, writing

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.export import ExportReport, export
from rag_pipeline.datasets.selection import Selection
from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.pipeline import RagPipeline
from storage import export as exporting
from storage.engine import Database
from storage.errors import NotFoundError
from storage.export import Snapshot, snapshot
from storage.models.corpus import CorpusStateRow
from storage.records import LOCAL_OWNER, Likeness, NewDocument, Origin, Placement, Principal

ALL_ORIGINS = frozenset(Origin)
PLAN = SplitPlan(shares={"train": 60, "test": 40})


def labelled(name: str, text: NewDocument | str, label: Any, **values: Any) -> Placement:
    split = values.pop("split", None)
    metadata = {"label": label} | ({} if split is None else {"split": split})
    return place(name, text, metadata=metadata, **values)


def nearly(text: str, original: str) -> NewDocument:
    """A text that is held back for its original."""
    likeness = Likeness(content_sha256=sha256(original), similarity=0.9, is_held_back=True)
    return replace(document(text), likeness=likeness, chunks=())


def write(database: Database, *placements: Placement, name: str = "default") -> None:
    with writing(database, name) as writer:
        writer.commit(list(placements))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


Exported = Callable[..., tuple[ExportReport, list[dict[str, Any]]]]


@pytest.fixture
def exported(database: Database, tmp_path: Path) -> Exported:
    """Export what is selected, as somebody, and read the file."""

    def run(
        principal: Principal = LOCAL_OWNER,
        origins: frozenset[Origin] = frozenset({Origin.REAL}),
        **chosen: Any,
    ) -> tuple[ExportReport, list[dict[str, Any]]]:
        path = tmp_path / "out.jsonl"
        with snapshot(database, "default", principal=principal, origins=origins) as taken:
            report = export(taken, path, Selection(**chosen), overwrite=True)
        return report, read(path)

    return run


def test_a_row_says_all_that_is_known_of_its_source_and_text(
    database: Database, exported: Exported
) -> None:
    text = replace(document("Grüße 灯台"), language="de")
    write(database, labelled("d 1", text, ["b", "a"], split="train", title="T", uri="/c.jsonl"))
    report, rows = exported()
    assert rows == [
        {
            "id": "d 1",
            "source": "/c.jsonl",
            "title": "T",
            "text": "Grüße 灯台",
            "label": ["b", "a"],
            "split": "train",
            "origin": "real",
            "generator_id": None,
            "language": "de",
            "metadata": {"label": ["b", "a"], "split": "train"},
            "document_id": rows[0]["document_id"],
            "content_sha256": sha256("Grüße 灯台"),
        }
    ]
    assert report.generation == 1
    assert report.as_json()["by_label"] == {"a": 1, "b": 1}


def test_the_same_in_parquet(database: Database, tmp_path: Path) -> None:
    write(database, *[labelled(f"d{n}", f"text {n}", n % 3) for n in range(7)])
    with snapshot(database, "default", principal=LOCAL_OWNER) as taken:
        report = export(taken, tmp_path / "x.parquet", Selection())
    table = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [(row["id"], row["text"], row["label"]) for row in table] == [
        (f"d{n}", f"text {n}", n % 3) for n in range(7)
    ]
    assert json.loads(table[1]["metadata"]) == {"label": 1}
    assert report.sha256 == hashlib.sha256((tmp_path / "x.parquet").read_bytes()).hexdigest()
    assert report.size_bytes == (tmp_path / "x.parquet").stat().st_size


def test_more_documents_than_a_page_are_all_there_once_and_in_order(
    database: Database, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_DOCUMENTS_A_PAGE", 7)
    for start in (0, 10, 20):
        write(database, *[labelled(f"d{n}", f"text {n}", "a") for n in range(start, start + 10)])
    # A page of which nothing may be read is not the last one.
    hidden = frozenset({"secret"})
    write(database, *[labelled(f"h{n}", f"hidden {n}", "a", read_labels=hidden) for n in range(20)])
    write(database, labelled("last", "last", "a"))
    _, rows = exported(principal=Principal(name="ada"))
    assert [row["id"] for row in rows] == [*(f"d{n}" for n in range(30)), "last"]


def test_synthetic_rows_are_out_unless_asked_for_and_always_tagged(
    database: Database, exported: Exported
) -> None:
    made = {"origin": Origin.SYNTHETIC, "generator_id": "gan-1"}
    write(
        database,
        labelled("real", "shared", "a"),
        labelled("made", "shared", "b", **made),
        labelled("alone", "made alone", "a", **made),
    )
    report, rows = exported()
    assert [row["id"] for row in rows] == ["real"]
    assert report.tally.conflicts == []
    _, rows = exported(origins=frozenset({Origin.SYNTHETIC}))
    assert {(row["id"], row["origin"], row["generator_id"]) for row in rows} == {
        ("made", "synthetic", "gan-1"),
        ("alone", "synthetic", "gan-1"),
    }
    report, rows = exported(origins=ALL_ORIGINS)
    assert (len(rows), report.tally.label_conflicts) == (3, 1)
    assert report.as_json()["by_origin"] == {"real": 1, "synthetic": 2}


def test_what_may_not_be_read_is_neither_in_the_file_nor_in_the_counts(
    database: Database, exported: Exported
) -> None:
    write(
        database,
        labelled("open", "shared", "a"),
        labelled("closed", "shared", "hidden-label", read_labels=frozenset({"staff"})),
        labelled("secret", "secret", "hidden-label", read_labels=frozenset({"staff"})),
    )
    report, rows = exported(principal=Principal(name="ada"))
    assert [row["id"] for row in rows] == ["open"]
    told = json.dumps(report.as_json())
    assert not any(word in told for word in ("hidden-label", "closed", "secret"))
    assert report.tally.label_conflicts == 0
    report, rows = exported(principal=Principal(name="bo", labels=frozenset({"staff"})))
    assert (len(rows), report.tally.label_conflicts) == (3, 1)


def test_a_commit_and_a_removal_in_the_middle_of_an_export_change_nothing_of_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_DOCUMENTS_A_PAGE", 2)
    write(database, *[labelled(f"d{n}", f"text {n}", "a") for n in range(10)])
    committed: list[int] = []

    def documents(self: Snapshot, *, with_text: bool = True) -> Any:
        for number, found in enumerate(original(self, with_text=with_text)):
            if with_text and number == 3:
                with writing(database) as writer:
                    gone = [known.source_id for known in writer.live_sources()]
                    done = writer.commit([labelled("new", "new", "b")], removals=gone)
                committed.append(done.position.generation)
            yield found

    original = Snapshot.documents
    monkeypatch.setattr(Snapshot, "documents", documents)
    with snapshot(database, "default", principal=LOCAL_OWNER) as taken:
        report = export(taken, tmp_path / "x.jsonl", Selection())
    assert committed == [2]
    assert (report.generation, report.tally.rows) == (1, 10)
    assert [row["id"] for row in read(tmp_path / "x.jsonl")] == [f"d{n}" for n in range(10)]


def test_the_generation_that_is_served_is_exported_and_not_a_later_one_that_is_held_back(
    database: Database, exported: Exported
) -> None:
    write(database, labelled("d", "first", "a"))
    write(database, labelled("e", "second", "a"))
    with database.write() as connection:
        connection.execute(update(CorpusStateRow).values(held_at=1))
    report, rows = exported()
    assert (report.generation, [row["id"] for row in rows]) == (1, ["d"])


def test_one_text_never_stands_in_two_assigned_splits_nor_do_texts_like_it(
    database: Database, exported: Exported
) -> None:
    for n in range(20):
        write(
            database,
            labelled(f"a{n}", f"text {n}", "x", split="train"),
            labelled(f"b{n}", f"text {n}", "x", split="test"),
            labelled(f"c{n}", nearly(f"Text {n}", f"text {n}"), "x", split="dev"),
        )
    report, rows = exported(plan=PLAN)
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["id"][1:], set()).add(row["split"])
    assert {len(found) for found in splits.values()} == {1}
    assert set(Counter(row["split"] for row in rows)) == {"train", "test"}
    assert (report.tally.split_conflicts, report.tally.near_split_conflicts) == (0, 0)


def test_adding_and_removing_documents_moves_no_other_to_another_split(
    database: Database, exported: Exported
) -> None:
    write(database, *[labelled(f"d{n}", f"text {n}", "a") for n in range(30)])
    before = {row["id"]: row["split"] for row in exported(plan=PLAN)[1]}
    with writing(database) as writer:
        first = sorted(known.source_id for known in writer.live_sources())[:10]
        writer.commit([labelled(f"e{n}", f"more {n}", "a") for n in range(30)], removals=first)
    after = {row["id"]: row["split"] for row in exported(plan=PLAN)[1]}
    assert len(before.keys() & after.keys()) == 20
    assert all(after[name] == before[name] for name in before.keys() & after.keys())


def test_texts_that_are_nearly_the_same_and_declared_in_two_splits_are_reported(
    database: Database, exported: Exported
) -> None:
    write(
        database,
        labelled("a", "text", "x", split="train"),
        labelled("b", nearly("Text", "text"), "x", split="test"),
        labelled("c", "other", "x", split="train"),
        labelled("d", nearly("Other", "other"), "x", split="train"),
    )
    report, rows = exported()
    assert (len(rows), report.tally.near_split_conflicts) == (4, 1)
    assert exported(declared_splits=frozenset({"test"}))[0].tally.near_split_conflicts == 1


def test_conflicts_are_kept_and_told_or_dropped_or_fatal(
    database: Database, exported: Exported
) -> None:
    write(
        database,
        labelled("a", "twice", "pos", split="train"),
        labelled("b", "twice", "neg", split="train"),
        labelled("c", "leaked", "pos", split="train"),
        labelled("d", "leaked", "pos", split="test"),
        labelled("e", "sound", "pos", split="train"),
    )
    report, rows = exported()
    assert len(rows) == 5
    assert (report.tally.label_conflicts, report.tally.split_conflicts) == (1, 1)
    assert [one["ids"] for one in report.as_json()["conflicts"]["examples"]] == [
        ("a", "b"),
        ("c", "d"),
    ]
    report, rows = exported(on_conflict="drop")
    assert [row["id"] for row in rows] == ["e"]
    assert (report.tally.dropped, report.tally.label_conflicts) == (4, 1)
    with pytest.raises(DatasetError, match=r'1 texts .*1 are .*a, b: "neg" and "pos".*drop'):
        exported(on_conflict="fail")


def test_only_one_collection_is_read(database: Database, exported: Exported) -> None:
    write(database, labelled("other", "text", "b"), name="other")
    write(database, labelled("d", "text", "a"))
    report, rows = exported()
    assert [row["id"] for row in rows] == ["d"]
    assert report.tally.conflicts == []


def test_nothing_to_export_is_an_error_that_says_why_and_leaves_no_file(
    database: Database, tmp_path: Path
) -> None:
    write(database, place("d", "text", metadata={"class": "a", "year": 1}))
    for chosen, origins, said in (
        ({}, {Origin.REAL}, "'label'; name another --label-field (there are: class, year)"),
        (
            {"label_field": "class", "declared_splits": frozenset({"dev"})},
            {Origin.REAL},
            "1 are in",
        ),
        ({}, {Origin.SYNTHETIC}, "nothing of origin synthetic"),
    ):
        with pytest.raises(DatasetError) as raised:
            with snapshot(
                database, "default", principal=LOCAL_OWNER, origins=frozenset(origins)
            ) as taken:
                export(taken, tmp_path / "x.jsonl", Selection(**chosen))
        assert said in str(raised.value)
    assert list(tmp_path.glob("*x.jsonl*")) == []


def test_a_collection_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(NotFoundError, match="'nowhere'"):
        with snapshot(database, "nowhere", principal=LOCAL_OWNER):
            pytest.fail("it was entered")


def test_the_pipeline_exports_as_its_principal(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    write(
        database,
        labelled("open", "open", "a"),
        labelled("closed", "closed", "a", read_labels=frozenset({"staff"})),
    )
    ada = Principal(name="ada")
    with RagPipeline.open(tmp_path / "home", database=database_url, principal=ada) as rag:
        report = rag.export(tmp_path / "x.jsonl")
        with pytest.raises(DatasetError, match="there already"):
            rag.export(tmp_path / "x.jsonl")
        rag.export(tmp_path / "x.jsonl", Selection(labelled_only=False), overwrite=True)
    assert report.tally.rows == 1
    assert [row["id"] for row in read(tmp_path / "x.jsonl")] == ["open"]
