"""Whatever is wrong, one line says what and what to do, and nothing is lost."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.cli import Program, assert_one_line_error
from support.pipelines import word_pipeline


def test_a_path_that_is_not_there_stops_the_run_before_it_begins(
    library: Any, tmp_path: Path
) -> None:
    result = library.rag("ingest", library.documents, tmp_path / "nope")
    assert_one_line_error(result, str(tmp_path / "nope"), "no such file")


def test_what_permissions_forbid_is_named(rag: Program, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for you")
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this account may read and write everything")
    assert_one_line_error(rag("ingest", secret), "secret.txt", "permission")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    assert_one_line_error(rag.bare("doctor", "--home", locked), str(locked))
    assert_one_line_error(rag.bare("doctor", "--home", locked / "in"), "permission", "--home")


def test_documents_that_cant_be_read_are_named_and_the_run_goes_on(
    rag: Program, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "latin.txt").write_bytes("Das Café in Köln öffnet früh.".encode("latin-1"))
    (folder / "nothing.txt").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nbroken")
    (folder / "drawing.dwg").write_bytes(b"AC1015\x00\x01")
    (folder / "bad.jsonl").write_text('{"_id": "1", "text": "A good line."}\n{"_id": \n[1]\n')
    done = rag("ingest", folder, "--json")
    report = done.json
    assert "Traceback" not in done.err
    reasons = {Path(failure["source"]).name: failure for failure in report["failures"]}
    assert {name: failure["outcome"] for name, failure in reasons.items()} == {
        "nothing.txt": "skipped",
        "drawing.dwg": "skipped",
        "broken.pdf": "refused",
        "bad.jsonl:2": "refused",
        "bad.jsonl:3": "refused",
    }
    counts = report["documents"]
    assert (counts["new"], counts["failed"], counts["skipped"]) == (2, 3, 2)
    (hit,) = rag("search", "Köln", "--mode", "keyword", "--json").json["hits"]
    assert hit["text"] == "Das Café in Köln öffnet früh."


@pytest.mark.parametrize("mode", ["hybrid", "keyword"])
@pytest.mark.parametrize(
    ("query", "said"), [("", "empty"), (" \n", "empty"), ("light " * 17_000, "10000")]
)
def test_a_question_that_cant_be_searched_for(
    library: Any, query: str, said: str, mode: str
) -> None:
    assert_one_line_error(library.rag("search", query, "--mode", mode), said)


def test_a_question_that_cant_be_asked_leaves_no_record(library: Any) -> None:
    before = library.rag("history", "list", "--json").json
    assert_one_line_error(library.rag("ask", ""), "empty")
    assert_one_line_error(library.rag("ask", "light " * 17_000), "10000")
    assert library.rag("history", "list", "--json").json == before


@pytest.mark.parametrize("limit", ["0", "-1", "1000000000"])
def test_a_limit_out_of_range(library: Any, limit: str) -> None:
    assert_one_line_error(library.rag("search", "bees", "-k", limit), limit, "10000")
    if limit != "0":  # which is no limit
        assert_one_line_error(library.rag("history", "list", "-n", limit), limit, "10000")


def test_a_collection_or_prompt_that_is_not_there(library: Any, rag: Program) -> None:
    missing = library.rag("search", "bees", "--collection", "other")
    assert_one_line_error(missing, "'other'", "'default'")
    assert_one_line_error(rag("ask", "Who?"), "'default'", "rag ingest")
    for prompt in ("nope", "", "%", "_"):
        assert_one_line_error(library.rag("history", "show", prompt), "rag history list")


def test_files_of_questions_and_answers_that_cant_be_used(library: Any, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"_id": "1", "text": "bees"}\n{"_id": "2"\n')
    nowhere = tmp_path / "no" / "folder"
    by_keyword = ("--mode", "keyword", "--run-file")
    assert_one_line_error(
        library.rag("search", "--queries", queries, *by_keyword, tmp_path / "run"), f"{queries}:2"
    )
    queries.write_text('{"_id": "1", "text": "bees"}\n')
    assert_one_line_error(
        library.rag("search", "--queries", queries, *by_keyword, nowhere), str(nowhere), "another"
    )
    assert_one_line_error(
        library.rag("ask", "--questions", queries, "--answers", nowhere), str(nowhere), "another"
    )
    assert_one_line_error(
        library.rag("ask", "--questions", nowhere, "--answers", tmp_path / "a"), str(nowhere)
    )


def test_an_unknown_variable_is_named(rag: Program) -> None:
    result = rag("history", "list", RAG_GENERATER="echo")
    assert_one_line_error(result, "RAG_GENERATER", "RAG_GENERATOR")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"chunking = {", "initial character"),
        (b"chnking = 3", "chnking"),
        (b"[chunking]\nmax_tokens = 'many'", "chunking.max_tokens"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_a_file_of_settings_that_cant_be_used_is_named(
    rag: Program, content: bytes, said: str
) -> None:
    rag.home.mkdir()
    (rag.home / "settings.toml").write_bytes(content)
    result = rag("history", "list")
    assert_one_line_error(result, said, str(rag.home / "settings.toml"))


@pytest.mark.parametrize(
    "command", [("history", "list"), ("db", "check"), ("db", "upgrade"), ("doctor",)]
)
def test_a_home_that_is_a_file(rag: Program, command: tuple[str, ...]) -> None:
    rag.home.write_text("precious")
    assert_one_line_error(rag(*command), str(rag.home), "--home")
    assert rag.home.read_text() == "precious"


def test_a_file_that_is_no_database_is_left_as_it_is(rag: Program) -> None:
    rag.home.mkdir()
    precious = b"not a database, but precious\n" * 300
    (rag.home / "rag.db").write_bytes(precious)
    for command in (("history", "list"), ("ingest", "."), ("db", "upgrade")):
        assert_one_line_error(rag(*command), "rag.db", "backup")
    assert (rag.home / "rag.db").read_bytes() == precious


@pytest.mark.parametrize(
    ("found", "said"), [("0000", "rag db upgrade"), ("9999", "install the newer")]
)
def test_a_database_at_another_migration_is_not_touched(
    library: Any, rag: Program, found: str, said: str
) -> None:
    shutil.copytree(library.rag.home, rag.home)
    with sqlite3.connect(rag.home / "rag.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [found])
    database.close()
    for command in (("history", "list"), ("search", "bees"), ("db", "check")):
        assert_one_line_error(rag(*command), found, said)


def test_a_database_of_somebody_else_is_not_touched(rag: Program) -> None:
    rag.home.mkdir()
    with sqlite3.connect(rag.home / "rag.db") as database:
        database.execute("CREATE TABLE theirs (id INTEGER)")
    database.close()
    assert_one_line_error(rag("history", "list"), "other tables")


def test_a_collection_of_another_embedding_space_is_neither_searched_nor_mixed(
    rag: Program, tmp_path: Path
) -> None:
    document = tmp_path / "note.txt"
    document.write_text("The harbour light is red.")
    with word_pipeline(rag.home) as words:
        words.ingest(document)
    document.write_text("The harbour light is green.")
    for command in (("search", "light"), ("ask", "Is the light red?"), ("ingest", document)):
        assert_one_line_error(rag(*command), "of words", "of minilm", "another collection")
    with word_pipeline(rag.home) as words:
        assert words.doctor().differences == ()
        assert words.search("light").hits[0].chunk.text == "The harbour light is red."


def test_a_generator_that_was_not_pulled_is_done_without_and_an_unknown_one_is_an_error(
    library: Any, tmp_path: Path
) -> None:
    nothing = {"RAG_CACHE_DIR": str(tmp_path / "cache"), "RAG_GENERATOR": "smollm2"}
    result = library.rag("ask", "When was the harbour of Ravenport dredged?", **nothing)
    assert (result.status, "1874" in result.out) == (0, True)
    assert "rag models pull smollm2" in result.err
    assert_one_line_error(library.rag("ask", "How high?", RAG_GENERATOR="no-such"), "no-such")
    assert_one_line_error(library.rag("search", "high", RAG_EMBEDDER="no-such"), "no-such")
    assert_one_line_error(library.rag("models", "verify", "no-such"), "no-such", "minilm")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody:s3cret@127.0.0.1:1/none", "can't be reached"),
        ("sqlite:////no/such/folder/rag.db", "/no/such/folder/rag.db"),
        ("mysql://host/name", "use sqlite or postgresql"),
        ("nonsense", "sqlite:////"),
    ],
)
def test_a_database_that_cant_be_had(rag: Program, url: str, said: str) -> None:
    for result in (rag("history", "list", "--database", url), rag("doctor", RAG_DATABASE_URL=url)):
        assert_one_line_error(result, said)
        assert "s3cret" not in result.err


def test_with_debug_the_traceback_is_shown(library: Any) -> None:
    result = library.rag.bare("--debug", "--home", library.rag.home, "history", "show", "nope")
    assert result.status == 1
    assert "Traceback" in result.err
    assert "NotFoundError" in result.err
