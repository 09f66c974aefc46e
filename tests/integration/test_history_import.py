"""Exchanges from files: each once, whole or not at all, whatever stands in the file."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select
from support.cli import PACKAGES
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

from rag_pipeline.cli.main import cli
from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.history.errors import HistoryError
from rag_pipeline.history.history_import import ImportReport
from rag_pipeline.history.records_file import line_of, read_record
from rag_pipeline.history.redaction import redact_patterns
from rag_pipeline.history.replay import Replaying
from rag_pipeline.pipeline import RagPipeline
from storage.models.prompts import MessageRow, PromptRow
from storage.prompts.rollups import differences
from storage.prompts.templates import TemplateText
from storage.prompts.whole import whole_exchanges
from storage.records import Principal

TEXTS = ("The mill of Kesh is 32 metres high.", "Mara Voss built the mill.", "Penguins eat krill.")


def opened(home: Path, database: str | None = None) -> RagPipeline:
    return word_pipeline(home, database=database, embedder=WordEmbedder(dimension=256))


def ingest(rag: RagPipeline) -> None:
    records = [{"_id": str(at), "title": "", "text": text} for at, text in enumerate(TEXTS)]
    rag.ingest_records(records, source="test")


def ask_in_all_ways(rag: RagPipeline) -> None:
    """Everything that a record can hold."""
    ingest(rag)
    text = TemplateText(system="Answer.", question="{text}\n\n{question}", lead_in="Well,")
    rag.templates.add("terse", text)
    first = rag.ask("How high is the mill of Kesh?", user="ada", session="walk", template="terse")
    rag.ask("Who built it?", user="ada", session="walk", tags=("b", "a"), category="works")
    rag.ask("Who eats krill?", parent_id=first.prompt_id, user="bo", idempotency_key="k-1")
    told = [Turn("user", "How high is the mill of Kesh?"), Turn("assistant", "32 😀 m")]
    rag.ask("Who built it?", earlier=told, instructions="Be brief.", extractive=True)
    unknown = rag.ask("What is the capital of Peru?")
    rag.history.rate(first.prompt_id, 0.75, user="eve", comment="naïve\n„so“")
    rag.history.rate(first.prompt_id, 0.0, user="bo", correction="33 metres")
    rag.history.rate(unknown.prompt_id, 1.0)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A file with one exchange of each kind, oldest first."""
    path = tmp_path / "exported.jsonl"
    with opened(tmp_path / "source") as rag:
        ask_in_all_ways(rag)
        rag.history.export_records(path)
    return path


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RagPipeline]:
    with opened(tmp_path / "home") as pipeline:
        yield pipeline


@pytest.fixture
def any_rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    """With nothing in it, on each database in turn."""
    with opened(tmp_path / "home", database_url) as pipeline:
        yield pipeline


def assert_holds(rag: RagPipeline) -> None:
    """What is kept beside the exchanges fits them: counts, and the words that are searched."""
    with rag.parts.database.read() as connection:
        assert differences(connection) == []
    for listed in rag.history.all():
        words = listed.prompt.question.rstrip("?")
        found = {one.listed.prompt.prompt_id for one in rag.history.search(words, limit=100)}
        assert listed.prompt.prompt_id in found


def jsonl(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.added, report.known, report.refused


def test_what_was_exported_and_imported_is_exported_with_the_same_bytes(
    any_rag: RagPipeline, tmp_path: Path, exported: Path
) -> None:
    report = any_rag.history.import_file(exported)
    assert counts(report) == (5, 0, 0)
    assert_holds(any_rag)
    again = tmp_path / "again.jsonl"
    any_rag.history.export_records(again)
    assert again.read_bytes() == exported.read_bytes()
    assert counts(any_rag.history.import_file(again)) == (0, 5, 0)
    with opened(tmp_path / "third") as third:
        third.history.import_file(again)
        third.history.export_records(tmp_path / "third.jsonl")
    assert (tmp_path / "third.jsonl").read_bytes() == exported.read_bytes()


def test_what_another_database_has_answered_is_only_replayed_as_things_are_now(
    rag: RagPipeline, exported: Path
) -> None:
    rag.history.import_file(exported)
    ids = rag.history.matching()
    found = [*rag.history.replay(ids)]
    assert all("another database" in (one.error or "") for one in found)
    assert rag.history.show(ids[0]).evidence[0].chunk_id < 0
    ingest(rag)
    now = [*rag.history.replay(ids, Replaying(at="now"))]
    assert [one.error for one in now] == [None] * len(ids)
    assert not any(one.difference and one.difference.answer_changed for one in now)


def test_what_comes_back_to_its_own_database_has_the_evidence_that_it_had(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as rag:
        ingest(rag)
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    with opened(tmp_path / "home") as rag:
        key = rag.ask("How high is the mill of Kesh?").prompt_id
        evidence = rag.history.show(key).evidence
        rag.history.export_records(tmp_path / "all.jsonl")
    with opened(tmp_path / "copy") as copy:
        copy.history.import_file(tmp_path / "all.jsonl")
        assert copy.history.show(key).evidence == evidence
        (found,) = copy.history.replay([key])
        assert found.difference is not None
        assert found.difference.is_identical


def test_conversations_of_openai_become_exchanges_that_follow_each_other(
    any_rag: RagPipeline, tmp_path: Path
) -> None:
    said = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hello?"}]},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "How are you?"},
        {"role": "assistant", "content": "Well, thank you."},
        {"role": "user", "content": "Bye."},
    ]
    path = jsonl(tmp_path / "chat.jsonl", {"messages": said, "model": "gpt-x"})
    report = any_rag.history.import_file(path, user="ada", application="desk")
    assert (report.form, *counts(report)) == ("openai", 2, 0, 0)
    last, first = any_rag.history.list()
    assert (first.question, first.answer, first.parent_id) == ("Hello?", "Hi.", None)
    assert (last.question, last.parent_id) == ("How are you?", first.prompt_id)
    assert (last.model, last.user, last.application) == ("gpt-x", "ada", "desk")
    assert (last.state, last.generation, last.evidence) == ("no_evidence", 0, ())
    assert last.circumstances is not None
    assert last.circumstances["imported"]["file"] == "chat.jsonl"
    assert [one.content for one in any_rag.history.messages(last.prompt_id)] == [
        "Be kind.",
        "Hello?",
        "Hi.",
        "How are you?",
        "Well, thank you.",
    ]
    assert_holds(any_rag)
    assert counts(any_rag.history.import_file(path, user="ada")) == (0, 2, 0)
    # The same words from another file, and what goes on after them.
    said.append({"role": "assistant", "content": "See you."})
    longer = jsonl(tmp_path / "longer.jsonl", {"messages": said})
    os.utime(longer, (1, 1))
    assert counts(any_rag.history.import_file(longer, user="ada")) == (1, 2, 0)
    newest = next(one for one in any_rag.history.list() if one.question == "Bye.")
    assert newest.parent_id == last.prompt_id
    assert any_rag.history.import_file(path, user="bo").added == 2


@pytest.mark.parametrize("is_list", [False, True])
def test_conversations_of_sharegpt_are_read_as_lines_or_as_a_list(
    rag: RagPipeline, tmp_path: Path, is_list: bool
) -> None:
    rows = [
        {
            "id": f"c{at}",
            "system": "Be kind.",
            "conversations": [
                {"from": "human", "value": f"Hello {at}?"},
                {"from": "gpt", "value": "Hi."},
            ],
        }
        for at in range(3)
    ]
    path = jsonl(tmp_path / "chat.json", *rows)
    if is_list:
        path.write_text(json.dumps(rows))
    report = rag.history.import_file(path)
    assert (report.form, *counts(report)) == ("sharegpt", 3, 0, 0)
    assert [one.question for one in rag.history.list()] == ["Hello 2?", "Hello 1?", "Hello 0?"]
    first = rag.history.messages(rag.history.list()[0].prompt_id)[0]
    assert (first.role, first.content) == ("system", "Be kind.")


def llm_log(path: Path) -> Path:
    """As the program `llm` lays it out, with rows that it can write."""
    with closing(sqlite3.connect(path)) as log, log:
        log.execute(
            "CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT,"
            " prompt_json TEXT, options_json TEXT, response TEXT, response_json TEXT,"
            " conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT, input_tokens INTEGER,"
            " output_tokens INTEGER)"
        )
        rows = [
            ("01b", "m1", "And you?", "Be kind.", "Fine.", "c1", 40, "2025-02-03T10:00:01", 9, 2),
            ("01a", "m1", "Hello?", "Be kind.", "Hi.", "c1", 1500, "2025-02-03T10:00:00", 7, 1),
            ("01c", "m2", "Alone?", None, "Yes.", None, None, "2025-02-04T00:00:00+00:00", None, 1),
            ("01d", "m2", None, None, "A picture.", "c2", 1, "2025-02-04T00:00:01", None, None),
            ("01e", "m2", "When?", None, "Never.", "c2", 1, "some day", None, None),
        ]
        log.executemany(
            "INSERT INTO responses (id, model, prompt, system, response, conversation_id,"
            " duration_ms, datetime_utc, input_tokens, output_tokens)"
            f" VALUES ({', '.join('?' * 10)})",
            rows,
        )
    return path


def test_the_log_of_llm_keeps_its_dates_its_conversations_and_what_they_took(
    any_rag: RagPipeline, tmp_path: Path
) -> None:
    log = llm_log(tmp_path / "logs.db")
    before = log.read_bytes()
    report = any_rag.history.import_file(log, user="ada")
    assert (report.form, *counts(report)) == ("llm", 3, 0, 2)
    assert log.read_bytes() == before
    alone, second, first = any_rag.history.list()
    assert [one.question for one in (first, second, alone)] == ["Hello?", "And you?", "Alone?"]
    assert (second.parent_id, second.session) == (first.prompt_id, "c1")
    assert (first.created_at.isoformat(), first.seconds) == ("2025-02-03T10:00:00+00:00", 1.5)
    assert first.usage == {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    assert alone.usage == {}
    said = [one.role for one in any_rag.history.messages(second.prompt_id)]
    assert said == ["system", "user", "assistant", "user", "assistant"]
    assert_holds(any_rag)
    assert counts(any_rag.history.import_file(log, user="ada")) == (0, 3, 2)


def test_the_log_of_llm_is_read_in_its_newer_form_too(rag: RagPipeline, tmp_path: Path) -> None:
    path = llm_log(tmp_path / "logs.db")
    with closing(sqlite3.connect(path)) as log, log:
        log.executescript(
            """
            CREATE TABLE turns (id TEXT, thread_id TEXT, parent_message_hash TEXT, model TEXT,
                input_tokens INTEGER, output_tokens INTEGER, duration_ms INTEGER,
                datetime_utc TEXT);
            CREATE TABLE messages (hash TEXT, parent_hash TEXT, role TEXT);
            CREATE TABLE parts (id INTEGER, message_hash TEXT, type TEXT, text TEXT);
            CREATE TABLE turn_search (turn_id TEXT, prompt TEXT, response TEXT);
            INSERT INTO messages VALUES ('s', NULL, 'system'), ('u', 's', 'user'),
                ('a', 'u', 'assistant'), ('v', 'a', 'user');
            INSERT INTO parts VALUES (1, 's', 'text', 'Be brief.'), (2, 'u', 'text', 'Newer?');
            INSERT INTO turns VALUES ('01a', 'c1', 'u', 'm1', 7, 1, 5, '2025-02-03T10:00:00'),
                ('02a', 't1', 'u', 'm3', 7, 1, 5, '2026-01-01T00:00:00+00:00'),
                ('02b', 't1', 'v', 'm3', 9, 2, 5, '2026-01-01T00:00:01+00:00');
            INSERT INTO turn_search VALUES ('02a', 'Newer?', 'Yes.'), ('02b', 'Sure?', 'Quite.');
            """
        )
    assert rag.history.import_file(path).added == 4
    newest, newer = rag.history.list(limit=2)
    assert (newer.question, newest.parent_id) == ("Newer?", newer.prompt_id)
    assert [one.content for one in rag.history.messages(newest.prompt_id)] == [
        "Be brief.",
        "Newer?",
        "Yes.",
        "Sure?",
        "Quite.",
    ]
    # What both tables have is there once.
    assert sum(one.question == "Hello?" for one in rag.history.list()) == 0


def changed(line: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(line) | values).encode() + b"\n"


def test_a_line_that_is_wrong_is_told_by_its_number_and_stops_no_other(
    any_rag: RagPipeline, exported: Path
) -> None:
    good = exported.read_bytes().splitlines(keepends=True)
    new = "01" + "a" * 22
    wrong = [
        b"\xff\xfe not UTF-8\n",
        b'{"prompt_id": "x", "status"\n',
        b"[1, 2]\n",
        changed(good[0], prompt_id="no id at all"),
        changed(good[0], prompt_id=new, user=""),
        changed(good[0], prompt_id=new, created_at="soon"),
        changed(good[0], prompt_id=new, created_at="0001-01-01T00:00:00+00:00"),
        changed(good[0], prompt_id=new, question="a\x00b"),
        changed(good[0], prompt_id=new, question="q" * 1_000_001),
        changed(good[0], prompt_id=new, status="completed", answer=None),
        changed(good[0], prompt_id=new, status="done"),
        changed(good[0], prompt_id=new, confidence="high"),
        changed(good[0], prompt_id=new, generation=2**70),
        changed(good[0], prompt_id=new, sampling={"a": "\x00"}),
        changed(good[0], prompt_id=new, tags=["b", "a"]),
        changed(good[0], prompt_id=new, more=1),
        changed(good[0], prompt_id=new).replace(b'"seconds": ', b'"seconds": 1e999, "x": '),
        changed(good[0], prompt_id=new, scores=[json.loads(good[0])["scores"][0] | {"value": 2}]),
        changed(good[2], prompt_id=new),
    ]
    exported.write_bytes(good[0] + b"\n".join([b"", *wrong]) + b"".join(good[1:]))
    report = any_rag.history.import_file(exported, form="records")
    assert counts(report) == (5, 0, len(wrong))
    reasons = dict(report.reasons)
    assert "no UTF-8 from its byte 1" in reasons[3]
    assert any("idempotency key 'k-1' is in use" in reason for reason in reasons.values())
    assert_holds(any_rag)
    strict = exported.with_name("strict.jsonl")
    strict.write_bytes(changed(good[0], prompt_id=new) + b"broken\n")
    with pytest.raises(HistoryError, match="nothing of .* was taken in, as 1 parts of it"):
        any_rag.history.import_file(strict, form="records", strict=True)
    assert any_rag.history.count() == 5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jsonl", b""),
        ("prose.md", b"# Not a history\n\nat all\n"),
        ("other.jsonl", b'{"text": "a document"}\n'),
        ("list.json", b"[1, 2, 3]"),
        ("broken.json", b'[{"messages": '),
        ("binary.db", b"SQLite format 3\x00" + b"\x00" * 200),
        ("deep.jsonl", b"[" * 100_000),
        ("unanswered.jsonl", b'{"messages": [{"role": "user", "content": "a"}]}\n'),
        ("tools.jsonl", b'{"messages": [{"role": "tool", "content": "a"}]}\n'),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_a_clear_word(
    rag: RagPipeline, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = CliRunner().invoke(
        cli, ["--home", str(tmp_path / "home"), "history", "import", str(path)]
    )
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert name in result.stderr
    assert rag.history.count() == 0


def test_an_sqlite_file_of_another_program_is_no_log(rag: RagPipeline, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE responses (id TEXT)")
    with pytest.raises(Exception, match="no log of the program `llm`"):
        rag.history.import_file(path)


def test_only_an_owner_takes_exchanges_in(rag: RagPipeline, exported: Path) -> None:
    with pytest.raises(HistoryError, match="only the owner"):
        rag.acting_for(Principal(name="gil")).history.import_file(exported)


def test_a_file_that_says_who_may_read_everything_opens_nothing(
    rag: RagPipeline, exported: Path
) -> None:
    secret = [{"_id": "s", "text": "The vault of Kesh is 500 metres deep."}]
    rag.ingest_records(secret, source="closed", read_labels=frozenset({"board"}))
    forged = changed(
        exported.read_bytes().splitlines()[0],
        question="How deep is the vault of Kesh?",
        circumstances={"principal": {"name": "gil", "is_owner": True}, "settings_sha256": ""},
        parent_id=None,
    )
    exported.write_bytes(forged)
    rag.history.import_file(exported)
    (found,) = rag.history.replay(rag.history.matching(), Replaying(at="now"))
    assert found.difference is not None
    assert "500" not in (found.difference.after.answer or "")


def test_what_follows_something_that_is_not_in_the_file_keeps_its_place_in_an_export(
    rag: RagPipeline, exported: Path, tmp_path: Path
) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)
    child = lines[1]
    exported.write_bytes(child)
    report = rag.history.import_file(exported)
    assert (report.added, report.without_parent) == (1, 1)
    rag.history.export_records(tmp_path / "again.jsonl")
    again = json.loads((tmp_path / "again.jsonl").read_bytes())
    assert again["parent_id"] == json.loads(child)["parent_id"]


def test_an_export_takes_personal_numbers_out_and_is_still_one_that_can_be_imported(
    rag: RagPipeline, tmp_path: Path
) -> None:
    with opened(tmp_path / "source") as source:
        ingest(source)
        source.ask("Is ada@example.org the owner of the mill of Kesh?")
        path = tmp_path / "redacted.jsonl"
        source.history.export_records(path, redactor=redact_patterns)
        with pytest.raises(DatasetError, match="is there already"):
            source.history.export_records(path)
    assert b"ada@example.org" not in path.read_bytes()
    assert rag.history.import_file(path).added == 1
    assert rag.history.list()[0].question == "Is [EMAIL] the owner of the mill of Kesh?"


def test_every_field_of_a_record_survives_the_way_through_a_line(tmp_path: Path) -> None:
    with opened(tmp_path) as rag:
        ask_in_all_ways(rag)
        whole = whole_exchanges(rag.parts.database, rag.history.matching())
    for one in whole:
        back = read_record(line_of(one).decode())
        kept = replace(
            one.record, request_sha256=None, response_sha256=None, template_id=None, artifacts=()
        )
        assert back.record == kept
        assert (back.said, back.continues, back.token) == (one.said, one.continues, one.token)
        assert (back.template is None) == (one.template is None)


_KILLED = """
    import sys
    from pathlib import Path
    from rag_pipeline.history import history_import
    from rag_pipeline.pipeline import RagPipeline

    history_import._BATCH = 7
    def told(written, total):
        print(written, flush=True)
    with RagPipeline.open(sys.argv[1]) as rag:
        rag.history.import_file(sys.argv[2], on_progress=told)
"""


def test_an_import_that_is_killed_leaves_whole_exchanges_and_goes_on_from_there(
    tmp_path: Path,
) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Who is number {at}?"},
                {"role": "assistant", "content": f"It is {at}."},
                {"role": "user", "content": "And the next?"},
                {"role": "assistant", "content": f"It is {at + 1}."},
            ]
        }
        for at in range(60)
    ]
    path = jsonl(tmp_path / "chat.jsonl", *rows)
    with opened(tmp_path / "home"):
        pass
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path / "home"), str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        text=True,
    )
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with opened(tmp_path / "home") as rag:
        there = rag.history.count()
        assert 0 < there < 120
        assert_whole(rag)
        report = rag.history.import_file(path)
        assert (report.added, report.known) == (120 - there, there)
        assert_whole(rag)
        assert rag.history.count() == 120
        assert {len(rag.history.chain(one).prompts) for one in rag.history.matching()} == {2}


def assert_whole(rag: RagPipeline) -> None:
    with rag.parts.database.read() as connection:
        assert differences(connection) == []
        statement = select(func.count()).select_from(PromptRow)
        ended = statement.where(PromptRow.status == "completed")
        all_rows = connection.execute(statement).scalar_one()
        assert connection.execute(ended).scalar_one() == all_rows
        assert connection.execute(select(func.count(MessageRow.message_sha256))).scalar_one() == (
            2 * all_rows
        )
