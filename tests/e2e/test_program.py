"""Each command of the program, and the JSON and the exit statuses that others depend on."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli import PACKAGES, Program, assert_one_line_error

INGEST_KEYS = {
    *("run_id", "generation", "documents", "chunks", "embedded", "bytes_read", "seconds"),
    *("suspicious", "failures"),
}
DOCUMENT_KEYS = {
    *("new", "changed", "unchanged", "duplicate", "near_duplicate", "failed", "deleted"),
}
HIT_KEYS = {
    *("chunk_id", "document_id", "external_id", "source", "score", "rank", "vector_rank"),
    *("keyword_rank", "text", "start", "end", "metadata", "sources"),
    *("headings", "page", "section_start", "section_end", "language", "suspicions"),
}
ANSWER_KEYS = {
    *("prompt_id", "answer", "state", "citations", "usage", "timings", "generation", "model"),
    *("confidence", "unsupported", "note"),
}
CITATION_KEYS = {
    *("quote", "source", "document_id", "external_id", "chunk_id", "start", "end"),
    *("answer_start", "answer_end", "score", "page", "headings", "origin"),
}


def stored_text(rag: Program, source: str) -> str:
    (document,) = rag("parse", source, "--json").json
    return document["text"]


def assert_verbatim(rag: Program, answer: Any) -> None:
    for citation in answer["citations"]:
        assert citation.keys() == CITATION_KEYS
        text = stored_text(rag, citation["source"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert answer["answer"][citation["answer_start"] : citation["answer_end"]]


def test_ingest_reports_what_became_of_each_document(library: Any) -> None:
    report = library.ingested.json
    assert report.keys() == INGEST_KEYS
    counts = report["documents"]
    assert counts.keys() >= DOCUMENT_KEYS
    assert (counts["new"], counts["duplicate"], counts["failed"], counts["skipped"]) == (4, 1, 1, 1)
    assert report["embedded"] == report["chunks"]["added"] == 4
    refused, skipped = sorted(report["failures"], key=lambda failure: failure["source"])
    assert refused["source"] == str(library.documents / "broken.pdf")
    assert "PDF" in refused["reason"]
    assert skipped["source"] == str(library.documents / "empty.txt")


def test_progress_is_one_event_for_each_commit(library: Any) -> None:
    (event,) = [e for e in library.ingested.events if e["event"] == "committed"]
    assert event["generation"] == library.ingested.json["generation"]
    expected = {"bell-rock.md", "harbour.txt", "copy.txt", "bees", "rye bread"}
    assert set(event["documents"]) == expected


def test_ingesting_again_embeds_nothing_and_strict_counts_the_refused(library: Any) -> None:
    again = library.rag("ingest", library.documents, "--json")
    assert (again.json["embedded"], again.json["documents"]["unchanged"]) == (0, 5)
    strict = library.rag("ingest", library.documents, "--strict")
    assert strict.status == 1
    assert "failed 1" in strict.out
    assert "broken.pdf" in strict.err


def test_search_gives_hits_with_their_places_and_sources(library: Any) -> None:
    result = library.rag("search", "harbour master of Ravenport", "-k", "2", "--json").json
    assert result.keys() == {"generation", "hits"}
    first, second = result["hits"]
    assert first.keys() >= HIT_KEYS
    assert (first["rank"], second["rank"]) == (1, 2)
    assert first["score"] >= second["score"]
    assert (first["vector_rank"], first["keyword_rank"]) == (1, 1)
    assert {ref["external_id"] for ref in first["sources"]} == {"harbour.txt", "copy.txt"}
    text = stored_text(library.rag, first["source"])
    assert text[first["start"] : first["end"]] == first["text"]


def test_keyword_search_shows_metadata_and_a_human_reads_lines(library: Any) -> None:
    (hit,) = library.rag("search", "sourdough", "--mode", "keyword", "--json").json["hits"]
    assert (hit["external_id"], hit["metadata"]) == ("rye bread", {"year": 1923})
    shown = library.rag("search", "sourdough", "--mode", "keyword")
    assert shown.out.startswith("1. ")
    assert "records.jsonl" in shown.out
    nothing = library.rag("search", "zebra", "--mode", "keyword")
    assert (nothing.status, nothing.out) == (0, "nothing found\n")


REPORT = """# Report

It was a good year.

## Costs

The bridge of Ravenport cost forty million crowns in all.
"""
FRESNEL = PACKAGES / "examples" / "documents" / "fresnel-lens.pdf"


def test_a_place_is_named_by_page_and_headings(rag: Program, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text(REPORT)
    assert rag("ingest", report, FRESNEL).status == 0
    (hit,) = rag("search", "crowns", "--mode", "keyword", "--json").json["hits"]
    assert (hit["headings"], hit["page"], hit["language"]) == (["Report"], None, "en")
    text = stored_text(rag, str(report))
    assert text[hit["section_start"] : hit["section_end"]] == text
    (lens,) = rag("search", "Fresnel prisms", "--mode", "keyword", "--json").json["hits"]
    assert (lens["headings"], lens["page"]) == ([], 1)
    shown = rag("search", "Fresnel prisms", "--mode", "keyword").out
    assert f"{FRESNEL} · page 1 [{lens['start']}–{lens['end']}]" in shown
    question = "How much did the bridge of Ravenport cost?"
    answered = rag("ask", question).out
    assert f"1. {report} · Report › Costs [" in answered
    (citation,) = rag("ask", question, "--json").json["citations"]
    assert (citation["headings"], citation["page"]) == (["Report", "Costs"], None)


@pytest.mark.parametrize("arguments", [("--home", "", "history", "list"), ("ingest", "")])
def test_an_empty_path_is_never_the_current_folder(
    rag: Program, arguments: tuple[str, ...]
) -> None:
    refused = rag.bare(*arguments)
    assert refused.status == 2
    assert "it is empty; name a file or folder" in refused.err
    assert not any(rag.cwd.iterdir())


def test_a_run_file_has_a_row_for_every_id_of_a_shared_text(library: Any, tmp_path: Path) -> None:
    queries, run = tmp_path / "queries.jsonl", tmp_path / "run.txt"
    lines = [{"_id": "q 1", "text": "Ravenport"}, {"_id": "q2", "text": "zebra"}]
    queries.write_text("\n".join(map(json.dumps, lines)))
    command = ("search", "--queries", queries, "--run-file", run, "--mode", "keyword")
    done = library.rag(*command, "-k", "5")
    assert (done.status, done.out) == (0, "")
    rows = [line.split(" ") for line in run.read_text().splitlines()]
    assert {row[2] for row in rows} == {"harbour.txt", "copy.txt"}
    assert [(row[0], row[1], row[3], len(row)) for row in rows] == [
        ("q_1", "Q0", "1", 6),
        ("q_1", "Q0", "2", 6),
    ]
    assert float(rows[0][4]) > float(rows[1][4])


def test_an_answer_cites_what_stands_there_and_is_on_record(library: Any) -> None:
    question = "When was the harbour of Ravenport dredged?"
    about = ("--session", "tour", "--user", "eve")
    answer = library.rag("ask", question, *about, "--json").json
    assert answer.keys() == ANSWER_KEYS
    assert (answer["state"], answer["model"]) == ("grounded", "echo")
    assert "1874" in answer["answer"]
    assert answer["citations"]
    assert_verbatim(library.rag, answer)
    shown = library.rag("history", "show", answer["prompt_id"], "--json").json
    assert (shown["question"], shown["user"], shown["session"]) == (question, "eve", "tour")
    assert (shown["answer"], shown["state"]) == (answer["answer"], "grounded")
    assert shown["citations"] == answer["citations"]
    cited = {chunk["chunk_id"] for chunk in shown["evidence"] if chunk["cited"]}
    assert cited == {citation["chunk_id"] for citation in answer["citations"]}
    (listed,) = library.rag("history", "list", "--user", "eve", "--json").json
    assert listed["prompt_id"] == answer["prompt_id"]
    for text in (
        library.rag("history", "list", "--session", "tour").out,
        library.rag("history", "show", answer["prompt_id"][:20]).out,
    ):
        assert answer["prompt_id"] in text
        assert question in text


def test_a_streamed_draft_goes_to_stderr_and_the_checked_answer_to_stdout(library: Any) -> None:
    asked = library.rag("ask", "Who built the Bell Rock lighthouse?", "--stream")
    assert asked.status == 0
    assert "Robert Stevenson" in asked.err
    assert "Robert Stevenson" in asked.out
    assert "[grounded]" in asked.out
    assert "bell-rock.md" in asked.out


def test_many_questions_are_answered_a_line_each(library: Any, tmp_path: Path) -> None:
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    asked = [
        {"_id": "b", "question": "How many workers does a hive of bees hold?"},
        {"_id": 7, "text": "Which quantum chromodynamics coupling did Zanzibar's orchestra prove?"},
    ]
    questions.write_text("\n".join(map(json.dumps, asked)))
    done = library.rag("ask", "--questions", questions, "--answers", answers)
    assert (done.status, done.out) == (0, "")
    first, second = map(json.loads, answers.read_text("utf-8").splitlines())
    assert first.keys() == second.keys() == {"_id", *ANSWER_KEYS}
    assert (first["_id"], first["state"]) == ("b", "grounded")
    assert "forty thousand" in first["answer"]
    assert (second["_id"], second["state"], second["citations"]) == ("7", "no_evidence", [])


@pytest.mark.models
def test_the_packaged_model_answers_from_the_documents(library: Any) -> None:
    models = {model["name"]: model for model in library.rag("models", "list", "--json").json}
    if models["smollm2"]["state"] != "ready":
        pytest.skip("the weights of smollm2 are not pulled: run `rag models pull smollm2`")
    question = "How deep was the harbour of Ravenport dredged?"
    answer = library.rag("ask", question, "--json", RAG_GENERATOR="smollm2").json
    assert answer["model"] == "smollm2"
    assert answer["state"] == "grounded"
    assert "nine met" in answer["answer"]
    assert_verbatim(library.rag, answer)


def test_the_doctor_counts_and_finds_no_difference(library: Any) -> None:
    found = library.rag("doctor", "--json").json
    assert (found["chunks"], found["vectors"], found["keywords"]) == (4, 4, 4)
    assert found["differences"] == []
    assert found["generation"] == found["served"]
    assert "healthy" in library.rag("doctor", "--repair").out


def test_the_doctor_exits_with_1_where_something_differs(library: Any, tmp_path: Path) -> None:
    home = shutil.copytree(library.rag.home, tmp_path / "damaged")
    with sqlite3.connect(home / "rag.db") as database:
        database.execute("UPDATE chunks SET text = 'forged' WHERE chunk_id = 1")
    database.close()
    found = library.rag.bare("doctor", "--home", home, "--json")
    assert found.status == 1
    assert json.loads(found.out)["differences"]
    assert "Traceback" not in found.err


def test_an_empty_home_is_healthy_and_has_no_history(rag: Program) -> None:
    empty = {"generation": 0, "served": 0, "chunks": 0, "vectors": 0, "keywords": 0}
    assert rag("doctor", "--json").json == {**empty, "differences": []}
    assert rag("history", "list", "--json").json == []
    assert rag("history", "list").out == "nothing was asked yet\n"


def test_the_home_may_stand_before_or_after_the_command_or_in_the_environment(
    library: Any, rag: Program, tmp_path: Path
) -> None:
    home = library.rag.home
    expected = {"chunks": 4}
    for found in (
        rag.bare("--home", home, "doctor", "--json"),
        rag.bare("doctor", "--home", home, "--json"),
        rag.bare("doctor", "--json", RAG_HOME=str(home)),
        rag.bare("--home", tmp_path / "x", "doctor", "--home", home, "--json", RAG_HOME="/nowhere"),
        rag("doctor", "--json", "--database", f"sqlite:///{home / 'rag.db'}"),
    ):
        assert found.json.items() >= expected.items()
    assert not (tmp_path / "x").exists()


def test_parse_tells_text_refused_and_skipped_apart(library: Any, tmp_path: Path) -> None:
    text = library.rag("parse", library.documents / "bell-rock.md")
    assert text.status == 0
    assert "Robert Stevenson" in text.out
    assert_one_line_error(
        library.rag("parse", library.documents / "broken.pdf"), "broken.pdf", "PDF", status=3
    )
    assert_one_line_error(library.rag("parse", library.documents / "empty.txt"), "empty", status=4)
    assert_one_line_error(library.rag("parse", tmp_path / "nope.txt"), "nope.txt", status=3)
    unknown = tmp_path / "drawing.dwg"
    unknown.write_bytes(b"AC1015\x00\x01")
    assert_one_line_error(library.rag("parse", unknown), ".dwg", ".pdf", status=4)


def test_models_are_listed_and_verified(rag: Program) -> None:
    listed = {model["name"]: model for model in rag("models", "list", "--json").json}
    assert listed["minilm"]["state"] == "ready"
    assert "smollm2" in rag("models", "list").out
    verified = rag("models", "verify", "minilm")
    assert (verified.status, verified.out) == (0, "minilm: as recorded\n")


def test_the_settings_of_the_home_say_where_models_are(rag: Program, tmp_path: Path) -> None:
    rag.home.mkdir()
    (rag.home / "settings.toml").write_text(f'cache_dir = "{tmp_path / "weights"}"')
    listed = {model["name"]: model["state"] for model in rag("models", "list", "--json").json}
    assert listed["smollm2"] == "not pulled"


def test_a_new_database_is_at_the_newest_migration(rag: Program) -> None:
    for command in ("upgrade", "check", "upgrade"):
        done = rag("db", command)
        assert done.status == 0
        assert done.out.startswith("at migration ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("search",),
        ("search", "a", "--queries", "b"),
        ("search", "--queries", "b"),
        ("search", "a", "--mode", "psychic"),
        ("search", "a", "-k", "many"),
        ("ask",),
        ("ask", "a", "--answers", "b"),
        ("ingest",),
        ("history", "show"),
        ("history", "list", "--state", "happy"),
        ("doctor", "--frobnicate"),
    ],
)
def test_misuse_exits_with_2_and_says_how_it_is_used(
    rag: Program, arguments: tuple[str, ...]
) -> None:
    misused = rag(*arguments)
    assert (misused.status, misused.out) == (2, "")
    assert "Usage:" in misused.err
    assert "Traceback" not in misused.err
    assert not rag.home.exists()


LOADED = """
import runpy, sys
sys.argv = ["rag", *sys.argv[1:]]
try:
    runpy.run_module("rag_pipeline", run_name="__main__")
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "numpy",
    "alembic",
    "filelock",
    "fastapi",
    "httpx",
    "psycopg",
}


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--help",), {"torch", "transformers", "faiss", "numpy", "sqlalchemy", "pydantic"}),
        (("ask", "--help"), {"torch", "transformers", "faiss", "numpy", "sqlalchemy"}),
        (("history", "list"), HEAVY),
        (("history", "list", "--csv", "-q", "tin", "--where", "cost > 0"), HEAVY),
        (("history", "search", "tin"), HEAVY),
    ],
)
def test_what_answers_at_once_loads_nothing_heavy(
    rag: Program, arguments: tuple[str, ...], unwanted: set[str]
) -> None:
    if "history" in arguments:
        rag("history", "list")  # makes the tables
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        env={"PYTHONPATH": str(PACKAGES), "RAG_HOME": str(rag.home), "PATH": "", "HOME": "/nope"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stderr.split())
    assert "click" in loaded
    assert not loaded & unwanted
