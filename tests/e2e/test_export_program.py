"""`rag export`: labels that came in with the documents go out as a data set."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.cli import PACKAGES, Program, assert_one_line_error

PAGE = PACKAGES / "docs/howto/labelled-data.md"
RECORDS: list[dict[str, Any]] = [
    {"_id": "a", "text": "The lamp was lit at dusk.", "label": "light", "split": "train"},
    {"_id": "b", "text": "The bread was baked at dawn.", "label": "bread", "split": "test"},
    {"_id": "c", "text": "Keepers bake their own bread.", "label": ["light", "bread"]},
    {"_id": "d", "text": "Nobody said what this is about."},
    {"_id": "e", "text": "A gull sat on the gallery.", "metadata": {"label": "light"}},
]
EXPORT_KEYS = {
    *("file", "sha256", "bytes", "generation", "collection", "rows", "texts", "by_split"),
    *("by_label", "by_origin", "conflicts", "left_out", "unusable_labels", "settings"),
}


def write_records(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds the records."""
    folder = tmp_path_factory.mktemp("filled")
    rag = Program(cwd=folder, home=folder / "home")
    done = rag("ingest", write_records(folder / "records.jsonl", RECORDS))
    assert done.status == 0, done.err
    return folder


@pytest.fixture
def labelled(filled: Path, tmp_path: Path) -> Program:
    """The program, with a copy of that home."""
    shutil.copytree(filled, tmp_path / "here")
    return Program(cwd=tmp_path / "here", home=tmp_path / "here/home")


def test_labels_and_splits_survive_from_the_file_that_came_in_to_the_one_that_goes_out(
    labelled: Program,
) -> None:
    out = labelled.cwd / "out.jsonl"
    report = labelled("export", out, "--json").json
    assert report.keys() == EXPORT_KEYS
    assert [(row["id"], row["label"], row["split"]) for row in read(out)] == [
        ("a", "light", "train"),
        ("b", "bread", "test"),
        ("c", ["light", "bread"], None),
        ("e", "light", None),
    ]
    assert report["by_label"] == {"light": 3, "bread": 2}
    assert report["by_split"] == {"": 2, "train": 1, "test": 1}
    assert report["left_out"] == {"unlabelled": 1, "other_split": 0, "conflict": 0}


def test_parquet_holds_the_same_rows_as_jsonl(labelled: Program) -> None:
    for name in ("out.jsonl", "out.parquet"):
        done = labelled("export", labelled.cwd / name, "--all", "--split-into", "train=1,dev=1")
        assert "5 rows of 5 texts" in done.out, done
    lines = read(labelled.cwd / "out.jsonl")
    for line, row in zip(
        lines, pq.read_table(labelled.cwd / "out.parquet").to_pylist(), strict=True
    ):
        label = [line["label"]] if isinstance(line["label"], str) else line["label"]
        assert line | {"label": label} == row | {"metadata": json.loads(row["metadata"])}
        assert line["split"] in ("train", "dev")


def test_a_data_set_that_was_exported_can_be_ingested_and_says_the_same(labelled: Program) -> None:
    first, second = labelled.cwd / "first.jsonl", labelled.cwd / "second.jsonl"
    assert labelled("export", first).status == 0
    records = [row | {"_id": row["id"]} for row in read(first)]
    again = write_records(labelled.cwd / "again.jsonl", records)
    assert labelled("ingest", again, "--collection", "again").status == 0
    assert labelled("export", second, "--collection", "again").status == 0
    said = ("id", "text", "label", "split", "content_sha256")
    assert [[row[k] for k in said] for row in read(second)] == [
        [row[k] for k in said] for row in read(first)
    ]


def test_a_contradiction_is_told_on_stderr_and_the_file_is_written(labelled: Program) -> None:
    twice = [
        {"_id": "x", "text": "The same words.", "label": "yes"},
        {"_id": "y", "text": "The same words.", "label": "no"},
    ]
    labelled("ingest", write_records(labelled.cwd / "twice.jsonl", twice))
    out = labelled.cwd / "out.jsonl"
    done = labelled("export", out, "--json")
    assert (done.status, done.json["conflicts"]["label"]) == (0, 1)
    assert "1 texts have different labels" in done.err
    assert 'x, y: "no" and "yes"' in done.err
    failed = labelled("export", out, "--force", "--on-conflict", "fail")
    assert_one_line_error(failed, "different labels", "--on-conflict drop")
    dropped = labelled("export", out, "--force", "--on-conflict", "drop", "--json").json
    assert (dropped["rows"], dropped["left_out"]["conflict"]) == (4, 2)


def test_synthetic_documents_are_exported_only_by_name(labelled: Program) -> None:
    made = [{"_id": "m", "text": "A made sentence about light.", "label": "light"}]
    labelled(
        "ingest", write_records(labelled.cwd / "made.jsonl", made), "--generator", "diffusion-1"
    )
    assert labelled("export", "real.jsonl", "--json").json["by_origin"] == {"real": 4}
    labelled("export", "made.out.jsonl", "--origin", "synthetic")
    (row,) = read(labelled.cwd / "made.out.jsonl")
    assert (row["id"], row["origin"], row["generator_id"]) == ("m", "synthetic", "diffusion-1")


def test_what_can_not_be_done_is_one_line_and_leaves_no_file(labelled: Program) -> None:
    there = labelled.cwd / "records.jsonl"
    before = there.read_bytes()
    for arguments, said in (
        ((there,), ("is there already", "--force")),
        (("missing/out.jsonl",), ("can't be written", "No such file")),
        (("out.csv",), (".jsonl or .parquet",)),
        (("out.jsonl", "--label-field", "klass"), ("'klass'", "there are: label, split")),
        (("out.jsonl", "--collection", "nowhere"), ("no collection 'nowhere'",)),
        (("out.jsonl", "--split", "dev"), ("in other splits",)),
    ):
        assert_one_line_error(labelled("export", *arguments), *said)
    misuse = labelled("export", "out.jsonl", "--split-into", "train")
    assert (misuse.status, "train=80,dev=10,test=10" in misuse.err) == (2, True)
    assert there.read_bytes() == before
    assert {path.name for path in labelled.cwd.iterdir()} == {"home", "records.jsonl"}


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not installed with the program")
def test_all_that_the_page_on_labelled_data_shows_works_in_its_order(rag: Program) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (records,) = [text for language, text in blocks if language == "json"]
    (program,) = [text for language, text in blocks if language == "python"]
    (rag.cwd / "reviews.jsonl").write_text(records, "utf-8")
    lines = [line for language, text in blocks if language == "sh" for line in text.splitlines()]
    assert len(lines) == 8
    for line in lines:
        done = rag(*shlex.split(line.partition(">")[0])[1:])
        assert (done.status, done.err) == (0, ""), line
    topics = pq.read_table(rag.cwd / "topics.parquet").to_pylist()
    assert [(row["id"], row["label"]) for row in topics] == [("r3", ["weather", "visit"])]
    assert [row["split"] for row in read(rag.cwd / "train.jsonl")] == ["train"]
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=rag.cwd,
        env={**os.environ, "RAG_HOME": str(rag.home), "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("2 {"), ran.stderr
