"""`rag dedup` as its users run it."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.cli import Program, assert_one_line_error

A = (
    "The harbour master keeps a ledger of every vessel that anchors below the northern cliff,"
    " noting its tonnage, its cargo, the name of the captain and the hour of the tide."
)
B = A.replace("vessel", "single vessel")


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("dedup")
    docs = folder / "handbook"
    docs.mkdir()
    for name, text in (("a.txt", A), ("again.txt", A), ("b.txt", B)):
        (docs / name).write_text(text)
    program = Program(cwd=folder, home=folder / "kb")
    assert program("ingest", docs).status == 0
    return program


def test_explain_says_what_a_text_is_like_and_where_they_differ(rag: Program) -> None:
    found = rag("dedup", "explain", "b.txt", "--json").json
    assert found.keys() == {
        *("document_id", "content_sha256", "sources", "is_held_back", "reason"),
        *("original", "differences", "near", "left_out"),
    }
    assert {ref["external_id"] for ref in found["original"]["sources"]} == {"a.txt", "again.txt"}
    assert found["differences"] == [
        {"after": "ledger of every", "original": "", "text": "single"},
    ]


def test_explain_for_a_person_fits_on_a_screen(rag: Program) -> None:
    shown = rag("dedup", "explain", "handbook/b.txt")
    assert shown.status == 0, shown.err
    assert "like        document" in shown.out
    assert "ledger of every [--]{+single+}" in shown.out
    assert "copy        document" in rag("dedup", "explain", "handbook/a.txt").out


def test_report_counts(rag: Program) -> None:
    found = rag("dedup", "report", "--json").json
    assert (found["sources"], found["texts"], found["exact_duplicates"]) == (3, 2, 1)
    assert found["near_duplicates"] == {"linked": 1, "held_back": 0}
    assert (found["embeddings_saved"], found["boilerplate_lines"]) == (1, 0)
    assert found["settings"]["near_duplicates"] == "link"
    shown = rag("dedup", "report", "-n", "1").out
    assert "3 sources, 2 texts" in shown
    assert "2 nearly the same: a.txt, again.txt" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "nothing.txt"), "there is no document 'nothing.txt'"),
        (("explain", ".txt"), "more than one text"),
        (("explain", "a.txt", "-c", "other"), "there is no collection 'other'"),
        (("report", "-c", "other"), "there is no collection 'other'"),
    ],
)
def test_what_is_not_there_is_one_clear_line(
    rag: Program, arguments: tuple[str, ...], said: str
) -> None:
    assert_one_line_error(rag("dedup", *arguments), said)


@pytest.mark.parametrize("arguments", [("explain",), ("report", "-n", "0"), ("forget",)])
def test_misuse_is_told_from_failure(rag: Program, arguments: tuple[str, ...]) -> None:
    assert rag("dedup", *arguments).status == 2


def test_a_home_without_documents_says_what_to_do(tmp_path: Path) -> None:
    empty: Any = Program(cwd=tmp_path, home=tmp_path / "kb")
    assert_one_line_error(empty("dedup", "report"), "run `rag ingest` first")


def test_the_commands_of_the_how_to_run(rag: Program) -> None:
    page = Path(__file__).parents[2] / "docs/howto/duplicates.md"
    (block,) = re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        ran = rag(*line.split()[1:])
        assert (ran.status, bool(ran.out)) == (0, True), ran
