"""`rag entities` as its users run it."""

import json
from pathlib import Path

import networkx
import pytest
from support.cli import Program, assert_one_line_error

TEXT = "We met Ada Lovelace in London. Later Mr Charles Babbage of Acme Ltd met Ada Lovelace too."


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("entities")
    (folder / "letter.txt").write_text(TEXT)
    program = Program(cwd=folder, home=folder / "kb")
    assert program("ingest", folder / "letter.txt").status == 0
    return program


def test_list_show_and_related_have_the_keys_that_are_depended_on(rag: Program) -> None:
    listed = rag("entities", "list", "--kind", "person", "--json").json
    assert listed.keys() == {"generation", "stands_at", "entities"}
    assert listed["entities"][0] == {
        "name": "Ada Lovelace",
        "kind": "person",
        "names": ["Ada Lovelace"],
        "documents": 1,
        "mentions": 2,
        "answers": 0,
    }
    shown = rag("entities", "show", "ada lovelace", "--json").json
    assert [TEXT[at["start"] : at["end"]] for at in shown["places"]] == ["Ada Lovelace"] * 2
    assert {n["name"] for n in shown["neighbours"]} == {"London", "Charles Babbage", "Acme Ltd"}
    related = rag("entities", "related", "london", "acme ltd", "--json").json
    assert [step["name"] for step in related["path"]] == ["London", "Ada Lovelace", "Acme Ltd"]
    assert [ref["external_id"] for ref in related["documents"]] == ["letter.txt"]
    updated = rag("entities", "update", "--json").json
    assert [(u["collection"], u["documents"]) for u in updated] == [("default", 0)]


def test_an_export_opens_in_networkx(rag: Program) -> None:
    out = rag.cwd / "graph.graphml"
    assert rag("entities", "export", out, "--json").json["entities"] == 4
    graph = networkx.read_graphml(out)
    assert set(dict(graph.nodes(data="label")).values()) == {
        *("Ada Lovelace", "London", "Charles Babbage", "Acme Ltd")
    }
    assert graph.number_of_edges() == 4
    assert rag("entities", "export", "graph.jsonl", "--format", "jsonl").status == 0
    lines = Path(rag.cwd / "graph.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["type"] for line in lines} == {"entity", "edge"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nobody"),
        ("show", ""),
        ("show", "x" * 10_000),
        ("related", "London", "nobody"),
        ("list", "-n", "0"),
        ("list", "-c", "none"),
        ("export", "missing/folder/graph.graphml"),
        ("update", "-c", "none"),
    ],
)
def test_what_cant_be_done_is_said_in_one_line(rag: Program, arguments: tuple[str, ...]) -> None:
    assert_one_line_error(rag("entities", *arguments))


def test_what_is_no_option_is_misuse(rag: Program) -> None:
    assert rag("entities", "list", "--kind", "ghost").status == 2
    assert rag("entities", "export", "out", "--format", "pickle").status == 2
