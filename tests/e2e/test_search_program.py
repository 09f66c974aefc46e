"""`rag search` as its users run it: filters, looking back, explanations, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.cli import Program

from rag_pipeline.cli.main import cli

Search = Callable[..., Result]


@pytest.fixture
def search(library: Any, monkeypatch: pytest.MonkeyPatch) -> Search:
    """`rag search` in this process, over the library."""
    monkeypatch.setenv("RAG_GENERATOR", "echo")

    def run(*arguments: str | Path) -> Result:
        given = ["--home", str(library.rag.home), "search", *map(str, arguments)]
        return CliRunner().invoke(cli, given)

    return run


def found(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    hits: list[Any] = json.loads(result.stdout)["hits"]
    return hits


def assert_one_line(result: Result, *said: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    for words in said:
        assert words in result.stderr


def test_a_filter_narrows_what_is_found(search: Search) -> None:
    (hit,) = found(search("harbour bees bread", "--where", "year >= 1900", "--json"))
    assert hit["external_id"] == "rye bread"
    assert hit["metadata"] == {"year": 1923}
    hits = found(search("harbour", "--where", "source like '%.txt'", "--json"))
    assert hits
    assert all(hit["source"].endswith(".txt") for hit in hits)
    nothing = search("harbour", "--where", "year < 1900")
    assert (nothing.exit_code, nothing.stdout) == (0, "nothing found\n")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("yeer = 1923", "year"),
        ("year = 'x", "character"),
        ("year >= 'soon'", "year"),
        ("1=1; DROP TABLE chunks", "character"),
        ('{"year": {"$gt": 0}}', "character"),
        ("year = 1 OR '1'='1'", "character"),
        ("", "filter"),
        ("(" * 200, "character"),
    ],
)
def test_a_filter_that_cant_be_used_is_said_in_one_line(
    search: Search, where: str, said: str
) -> None:
    assert_one_line(search("harbour", "--where", where), said)


def test_as_of_a_generation_or_a_time_gives_what_stood_there_then(
    rag: Program, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    for colour in ("red", "green"):
        note.write_text(f"The harbour light is {colour}.")
        assert rag("ingest", note).status == 0
    by_word = ("search", "harbour light", "--mode", "keyword", "--json")
    assert "green" in rag(*by_word).json["hits"][0]["text"]
    then = rag(*by_word, "--as-of", "1").json
    assert (then["generation"], len(then["hits"])) == (1, 1)
    assert "red" in then["hits"][0]["text"]


@pytest.mark.parametrize(
    "as_of", ["0", "-3", "1999-12-31", "2999-01-01", "soon", "", "99999999999"]
)
def test_a_time_that_cant_be_looked_back_to(search: Search, as_of: str) -> None:
    assert_one_line(search("harbour", "--as-of", as_of))


def test_an_explanation_reads_as_a_sum(search: Search) -> None:
    result = search("height of the Bell Rock lighthouse", "-k", "2", "--explain")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^   vector  cosine 0\.\d{3}, rank 1$", result.stdout, re.MULTILINE)
    assert re.search(r"^   keyword \d+\.\d{3}, rank 1: .*\(.*text \d", result.stdout, re.MULTILINE)
    sums = re.findall(r"^   fusion  (\d\.\d{3}) = (.*)$", result.stdout, re.MULTILINE)
    scores = re.findall(r"^\d+\. (\d\.\d{3}) ", result.stdout, re.MULTILINE)
    assert [score for score, _ in sums] == scores
    for score, summands in sums:
        amounts = re.findall(r"\w+ (\d\.\d{3}) \(", summands)
        assert sum(map(float, amounts)) == pytest.approx(float(score), abs=0.004)


def test_an_explanation_stands_in_the_json_where_it_is_asked_for(search: Search) -> None:
    for hit in found(search("Bell Rock", "--explain", "--json")):
        stages = hit["explanation"]["stages"]
        assert stages[-1]["score"] == pytest.approx(hit["score"], abs=2e-6)
        total = sum(part["amount"] for part in stages[-1]["contributions"])
        assert total == pytest.approx(hit["score"], abs=2e-6)
    assert all("explanation" not in hit for hit in found(search("Bell Rock", "--json")))


def test_operators_count_where_they_are_asked_for(search: Search) -> None:
    hits = found(search("+bees", "--operators", "--json"))
    assert {hit["external_id"] for hit in hits} == {"bees"}
    assert len(found(search("+bees", "--json"))) > 1
    phrase = found(search('"forty thousand"', "--operators", "--mode", "keyword", "--json"))
    assert [hit["external_id"] for hit in phrase] == ["bees"]
    assert_one_line(search("--operators", "--", "-bees"), "add what is")


def test_context_is_given_around_a_result(search: Search) -> None:
    for hit in found(search("sourdough", "--expand", "300", "--json")):
        assert hit["text"] in hit["context"]["text"]
        assert hit["context"]["end"] - hit["context"]["start"] == len(hit["context"]["text"])
    assert all(hit["context"] is None for hit in found(search("sourdough", "--json")))


def test_every_option_together_with_a_run_file_still_gives_documents(
    search: Search, tmp_path: Path
) -> None:
    queries, run = tmp_path / "queries.jsonl", tmp_path / "run"
    queries.write_text('{"_id": "1", "text": "rye bread"}\n{"_id": "2", "text": "\\u0000 bees"}\n')
    result = search(
        "--queries", queries, "--run-file", run, "-k", "100", "--where", "external_id = 'bees'"
    )
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in run.read_text().splitlines()]
    assert [(line[0], line[2]) for line in lines] == [("1", "bees"), ("2", "bees")]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
@pytest.mark.parametrize(
    "query",
    [
        "🐝",
        'un"balanced',
        "title:bees AND NOT (x",
        "bees*",
        "a\x00b",
        "'; DROP TABLE chunks; --",
        "- + k",
    ],
)
def test_any_text_is_a_query(search: Search, query: str, mode: str) -> None:
    for options in ((), ("--operators",)):
        found(search("--mode", mode, "-k", "10000", "--json", *options, "--", query))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--diversity", "1.5"), "0 to 1"),
        (("--diversity", "nan"), "0 to 1"),
        (("--expand", "-1"), "characters"),
        (("-k", "0"), "ask for 1"),
        (("-c", "default", "-c", "other"), "'other'"),
        (("-c", ""), "''"),
    ],
)
def test_an_option_out_of_range_is_said_in_one_line(
    search: Search, options: tuple[str, ...], said: str
) -> None:
    assert_one_line(search("bees", *options), said)
