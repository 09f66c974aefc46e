"""Templates, tags and idempotency keys by the program itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.cli import Finished, assert_one_line_error

from rag_pipeline.cli.main import cli

WHEN = "When was the harbour of Ravenport dredged?"


class Program:
    """`rag` in the test's own process, which has the model's weights already."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str | Path, generator: str = "extractive") -> Finished:
        runner = CliRunner(env={"RAG_GENERATOR": generator})
        done = runner.invoke(cli, ["--home", str(self.home), *map(str, words)], prog_name="rag")
        return Finished(status=done.exit_code, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("record")
    (folder / "harbour.txt").write_text("The harbour of Ravenport was dredged in 1874.", "utf-8")
    rag = Program(folder / "home")
    assert rag("ingest", folder / "harbour.txt").status == 0
    return rag


def listed(rag: Program) -> list[Any]:
    found: list[Any] = rag("history", "list", "--json").json
    return found


def test_an_exchange_is_put_where_it_belongs_and_tagged_anew(filled: Program) -> None:
    belongs = ("--application", "desk", "--category", "harbour", "--tag", "old", "--tag", "-h")
    once = ("--idempotency-key", "one", "--json")
    first = filled("ask", WHEN, *belongs, *once).json
    assert filled("ask", WHEN, *once).json == first
    refused = filled("ask", "Why?", *once)
    assert_one_line_error(refused, "idempotency key 'one'", "another question")
    key = first["prompt_id"]
    tagged = filled("history", "tag", key[:20], "+urgent", "-old", "++", "--no-category", "--json")
    assert tagged.json == {"tags": ["+", "-h", "urgent"]}
    shown = filled("history", "show", key, "--json").json
    assert (shown["application"], shown["category"]) == ("desk", None)
    assert (shown["tags"], shown["idempotency_key"]) == (["+", "-h", "urgent"], "one")


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        (["0" * 24, "+a"], "no prompt", 1),
        (["0" * 24, "urgent"], "+urgent", 2),
        (["0" * 24, "+a", "-a"], "added and taken off", 2),
        (["0" * 24, "--category", "a", "--no-category"], "contradict", 2),
    ],
)
def test_a_tag_that_says_nothing_clear_is_refused(
    filled: Program, words: list[str], said: str, status: int
) -> None:
    refused = filled("history", "tag", *words)
    assert (refused.status, said in refused.err) == (status, True)


def test_templates_are_added_shown_compared_and_answered_with(
    filled: Program, tmp_path: Path
) -> None:
    path = tmp_path / "sailors.toml"
    path.write_text(filled("prompts", "show", "default").out, "utf-8")
    assert filled("prompts", "add", "sailors", "--from", path, "--json").json["version"] == 1
    path.write_text('question = "{text} {question} {}"\nlead_in = "Aye:"', "utf-8")
    for _ in range(2):
        assert filled("prompts", "add", "sailors", "--from", path, "--json").json["version"] == 2
    difference = filled("prompts", "diff", "sailors@1", "sailors@2").out
    assert '+lead_in = "Aye:"' in difference.splitlines()
    assert filled("prompts", "diff", "sailors", "sailors@2").out == ""
    assert [one["version"] for one in filled("prompts", "list", "--json").json] == [2, 1]
    answered = filled("ask", WHEN, "--template", "sailors", "--json", generator="echo").json
    shown = filled("history", "show", answered["prompt_id"], "--json").json
    assert shown["template_sha256"] == filled("prompts", "list", "--json").json[0]["sha256"]
    path.write_text("question = '{context}'", "utf-8")
    assert_one_line_error(filled("prompts", "add", "sailors", "--from", path), "{context}")
    assert_one_line_error(filled("prompts", "show", "pirates"), "pirates", "rag prompts list")


def test_what_cant_be_put_on_record_is_refused_in_one_line_and_nothing_is_written(
    filled: Program, tmp_path: Path
) -> None:
    before = len(listed(filled))
    half = "half \udcff"  # what is no UTF-8 comes to a program as this
    for words in (
        (WHEN, "--parent", "0" * 24),
        (half,),
        (WHEN, "--tag", half),
        (WHEN, "--session", half),
        (WHEN, "--user", half),
        (WHEN, "--category", half),
        (WHEN, "--parent", half),
        (WHEN, "--idempotency-key", half),
        (WHEN, "--template", half),
        (WHEN, "--tag", ""),
    ):
        assert_one_line_error(filled("ask", *words))
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"_id": "1", "question": "why " * 2_500_000}))
    answers = tmp_path / "answers.jsonl"
    assert_one_line_error(
        filled("ask", "--questions", questions, "--answers", answers), "characters"
    )
    assert len(listed(filled)) == before
