"""`rag sync`, `rag runs` and `rag watch` as cron and people run them."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.cli import Finished, Program, assert_one_line_error, finished

DOCS = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\nprune = true\n'


def write_notes(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Note {number} is about the word key{number}x.")


@pytest.fixture
def declared(rag: Program) -> Program:
    """A home that declares one folder of three notes, beside it."""
    write_notes(rag.home / "docs", 3)
    (rag.home / "sync.toml").write_text(DOCS)
    return rag


def test_a_sync_says_what_it_did_of_each_source_and_in_all(declared: Program) -> None:
    done = declared("sync")
    assert (done.status, done.err) == (0, "")
    source, overall = done.out.splitlines()
    assert source.startswith("docs: new 3,")
    assert overall.startswith("sources: 1 completed, 0 failed")


def test_json_is_one_document_with_a_report_or_an_error_of_each_source(declared: Program) -> None:
    with (declared.home / "sync.toml").open("a") as file:
        file.write('[[source]]\nname = "gone"\nkind = "files"\npaths = ["nowhere"]\n')
    done = declared("sync", "--json")
    assert done.status == 1
    said = json.loads(done.out)
    docs, gone = said["sources"]
    assert (docs["name"], docs["collection"], docs["status"]) == ("docs", "default", "completed")
    assert docs["report"]["documents"]["new"] == 3
    assert gone["status"] == "failed"
    assert "nowhere" in gone["error"]
    assert said["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("sync", "no-such-source"), 1), (("sync", "--config", "no.toml"), 1), (("sync", "--no"), 2)],
)
def test_what_can_not_be_done_at_all_is_one_clear_line(
    declared: Program, arguments: tuple[str, ...], status: int
) -> None:
    done = declared(*arguments)
    assert done.status == status
    assert "Traceback" not in done.err
    if status == 1:
        assert_one_line_error(done)


def test_strict_makes_a_refused_document_a_failure(declared: Program) -> None:
    (declared.home / "docs/broken.pdf").write_bytes(b"%PDF-1.7\nnot a whole one")
    assert declared("sync").status == 0
    done = declared("sync", "--strict")
    assert done.status == 1
    assert "broken.pdf" in done.err


def test_two_syncs_at_once_the_second_says_so_and_leaves_it_to_the_first(
    declared: Program,
) -> None:
    write_notes(declared.home / "docs", 200)
    slowly = {"RAG_BATCHING__MAX_DOCUMENTS": "1"}
    command = ("--home", declared.home, "sync")
    first = declared.started(*command, "--progress", "jsonl", **slowly)
    assert first.stderr is not None
    assert json.loads(first.stderr.readline())["event"] == "committed"
    # Stopped, it can't come to its end while the second one starts, however slow the machine.
    first.send_signal(signal.SIGSTOP)
    second = declared("sync")
    waiting = declared.started(*command, "--wait", "--json")
    first.send_signal(signal.SIGCONT)
    assert finished(first).status == 0
    assert (second.status, second.err) == (0, "")
    assert "docs: nothing done: another process" in second.out
    assert "1 left to another run" in second.out
    assert finished(waiting).json["sources"][0]["report"]["documents"]["unchanged"] == 200


def test_a_sync_that_was_killed_is_on_record_and_the_next_one_completes(declared: Program) -> None:
    write_notes(declared.home / "docs", 60)
    run = declared.started(
        "--home", declared.home, "sync", "--progress", "jsonl", RAG_BATCHING__MAX_DOCUMENTS="2"
    )
    assert run.stderr is not None
    kept = len(json.loads(run.stderr.readline())["documents"])
    run.kill()
    ended = finished(run)
    kept += sum(len(json.loads(line)["documents"]) for line in ended.err.splitlines())
    assert [one["status"] for one in declared("runs", "list", "--json").json] == ["died"]
    again = declared("sync", "--due", "--json").json["sources"][0]["report"]["documents"]
    assert again["new"] == 60 - again["unchanged"]
    assert again["unchanged"] >= kept > 0
    assert [one["status"] for one in declared("runs", "list", "--json").json] == [
        "completed",
        "died",
    ]
    assert declared("doctor").status == 0


def test_metrics_are_written_also_when_a_source_fails(declared: Program, tmp_path: Path) -> None:
    path = tmp_path / "rag.prom"
    assert declared("sync", "--metrics-file", path).status == 0
    (declared.home / "docs").rename(declared.home / "elsewhere")
    assert declared("sync", "--metrics-file", path).status == 1
    found = {
        (sample.name, sample.labels.get("outcome")): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    assert found["rag_ingest_documents_total", "new"] == 3
    assert found["rag_ingest_failures_total", None] == 1
    assert found["rag_ingest_runs_total", None] == 2
    assert time.time() - found["rag_last_ingest_success_timestamp_seconds", None] < 100


def test_runs_are_listed_newest_first_and_shown_by_the_beginning_of_their_id(
    declared: Program,
) -> None:
    assert declared("runs", "list").out == "nothing was ingested yet\n"
    declared("sync")
    declared("ingest", declared.home / "docs")
    newest, first = declared("runs", "list", "--json").json
    assert (newest["source_name"], first["source_name"]) == (None, "docs")
    assert first["report"]["documents"]["new"] == 3
    assert first["started_at"] < newest["started_at"]
    shown = declared("runs", "show", first["run_id"][:12])
    assert "new 3" in shown.out
    assert_one_line_error(declared("runs", "show", "zzz"), "rag runs list")
    assert [
        run["run_id"] for run in declared("runs", "list", "--source", "docs", "--json").json
    ] == [first["run_id"]]


class Watching:
    """`rag watch` at work; its lines as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stopped(self, number: signal.Signals) -> Finished:
        self.process.send_signal(number)
        return finished(self.process)


@pytest.fixture
def watching(declared: Program) -> Iterator[Callable[..., Watching]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> Watching:
        process = declared.started(
            "--home", declared.home, "watch", "--debounce", "0.1", *arguments, PYTHONUNBUFFERED="1"
        )
        started.append(process)
        return Watching(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_ingests_at_once_and_after_each_change_until_it_is_stopped(
    declared: Program, watching: Callable[..., Watching], number: signal.Signals
) -> None:
    docs = declared.home / "docs"
    outside = declared.home.parent / "watched"
    docs.rename(outside)
    watch = watching(outside, "--prune")
    assert watch.line().startswith("new 3;")
    (outside / "new.txt").write_text("Something new about bees.")
    assert watch.line().startswith("new 1, unchanged 3;")
    (outside / "000.txt").unlink()
    assert "deleted 1" in watch.line()
    ended = watch.stopped(number)
    assert (ended.status, ended.out, ended.err) == (0, "", "stopped\n")
    assert declared("doctor", "--json").json["chunks"] == 3


def test_watch_survives_a_run_that_fails(
    declared: Program, watching: Callable[..., Watching]
) -> None:
    outside = declared.home.parent / "watched"
    (declared.home / "docs").rename(outside)
    watch = watching(outside)
    assert watch.line().startswith("new 3;")
    away = outside.with_name("away")
    outside.rename(away)
    assert watch.process.stderr is not None
    (away / "x.txt").write_text("An event, while the folder has another name.")
    assert "still watching" in watch.process.stderr.readline()
    away.rename(outside)
    (outside / "y.txt").write_text("Another text.")
    assert "new" in watch.line()
    assert watch.stopped(signal.SIGINT).status == 0


def test_watch_of_a_path_that_is_not_there_is_one_clear_line(declared: Program) -> None:
    assert_one_line_error(declared("watch", "nowhere"), "nowhere")
