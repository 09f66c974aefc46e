"""Progress on a real terminal, and real signals: one line, no traceback, no process left behind."""

import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cli import Program, _environment, finished

STOPPED = "Error: stopped; what was committed is kept"
SLOWLY = {"RAG_BATCHING__MAX_DOCUMENTS": "2"}
DOCS = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\n'


@dataclass(frozen=True, slots=True)
class Terminal:
    """A program whose three streams are a terminal, as its foreground process group."""

    process: subprocess.Popen[bytes]
    screen: int

    def until(self, words: str) -> str:
        """What it printed, up to `words`."""
        said = b""
        while words.encode() not in said:
            said += os.read(self.screen, 65536)
        return said.decode()

    def ended(self) -> tuple[int, str]:
        """Its status, and what it printed until then."""
        said = b""
        # The other end of a terminal that nobody has open any more is an error, not an end.
        try:
            while some := os.read(self.screen, 65536):
                said += some
        except OSError:
            pass
        os.close(self.screen)
        return self.process.wait(60), said.decode()

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task")
        listed = (task / "children" for task in path.iterdir())
        return [int(child) for file in listed for child in file.read_text().split()]


def on_terminal(rag: Program, *arguments: str | Path, **variables: str) -> Terminal:
    screen, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rag_pipeline", "--home", str(rag.home)]
        + [str(argument) for argument in arguments],
        cwd=rag.cwd,
        env={**_environment(), **variables, "TERM": "dumb"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(inside)
    return Terminal(process, screen)


def write_notes(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Note {number} is about the word key{number}x.")
    return folder


def last_screen_line(said: str) -> str:
    """What a terminal shows of the last line that is redrawn."""
    shown = ""
    for part in said.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def runs(rag: Program) -> list[Any]:
    return rag("runs", "list", "--json").json


def test_a_terminal_shows_one_line_that_gives_way_to_the_report(
    rag: Program, tmp_path: Path
) -> None:
    notes = write_notes(tmp_path / "notes", 120)
    status, said = on_terminal(rag, "ingest", notes, **SLOWLY).ended()
    assert status == 0
    progress, _, report = said.rpartition("new 120")
    assert report
    assert "\n" not in progress.replace("\r\n", "")
    assert last_screen_line(progress.rpartition("\r")[0] + "\r").strip() == ""
    for words in ("/s, ", " MB, ", " embedded", " left"):
        assert words in progress


def test_sync_on_a_terminal_prints_each_source_on_a_line_of_its_own(rag: Program) -> None:
    write_notes(rag.home / "docs", 60)
    (rag.home / "sync.toml").write_text(DOCS)
    status, said = on_terminal(rag, "sync", **SLOWLY).ended()
    assert status == 0
    assert " documents, " in said
    lines = [last_screen_line(line).strip() for line in said.split("\r\n")]
    assert any(line.startswith("docs: new 60,") for line in lines)


def test_nothing_is_said_where_stderr_is_no_terminal(rag: Program, tmp_path: Path) -> None:
    done = rag("ingest", write_notes(tmp_path / "notes", 9), **SLOWLY)
    assert (done.status, done.err) == (0, "")


def test_events_tell_commits_and_counts(rag: Program, tmp_path: Path) -> None:
    notes = write_notes(tmp_path / "notes", 5)
    events = rag("ingest", notes, "--json", "--progress", "jsonl", **SLOWLY).events
    commits = [event for event in events if event["event"] == "committed"]
    assert [len(event["documents"]) for event in commits] == [2, 2, 1]
    progress = [event for event in events if event["event"] == "progress"]
    assert [event["counts"]["new"] for event in progress][-1] == 5
    assert progress[-1]["bytes_read"] == sum(path.stat().st_size for path in notes.iterdir())
    assert events[0]["event"] == "committed"


@pytest.mark.parametrize("command", ["ingest", "sync"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_one_line_and_leaves_no_process(
    rag: Program, command: str, number: signal.Signals
) -> None:
    notes = write_notes(rag.home / "docs", 150)
    (rag.home / "sync.toml").write_text(DOCS)
    arguments = [command, notes] if command == "ingest" else [command]
    run = on_terminal(rag, *arguments, **SLOWLY)
    run.until(" documents, ")
    children = run.children()
    assert children
    run.process.send_signal(number)
    status, said = run.ended()
    assert status == 1
    assert "Traceback" not in said
    assert said.count(STOPPED) == 1
    assert last_screen_line(said.rstrip("\r\n").rpartition("\n")[2]).startswith(STOPPED)
    assert not any(is_alive(child) for child in children)
    (record,) = runs(rag)
    assert (record["status"], record["report"]["error"]) == ("failed", "it was interrupted")
    kept = rag("doctor", "--json").json["chunks"]
    assert 0 < kept < 150
    again = rag("ingest", notes, "--json").json["documents"]
    assert (again["unchanged"], again["new"]) == (kept, 150 - kept)


def test_sigterm_ends_a_run_that_has_no_terminal_too(rag: Program, tmp_path: Path) -> None:
    notes = write_notes(tmp_path / "notes", 150)
    run = rag.started("--home", rag.home, "ingest", notes, "--progress", "jsonl", **SLOWLY)
    assert run.stderr is not None
    assert json.loads(run.stderr.readline())["event"] == "committed"
    run.send_signal(signal.SIGTERM)
    ended = finished(run)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith(STOPPED)
    assert [record["status"] for record in runs(rag)] == ["failed"]


@pytest.mark.slow
def test_ctrl_c_before_the_first_commit_ends_in_good_order_too(
    rag: Program, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(30):
        words = " ".join(f"word{number}x{place}" for place in range(4000))
        (notes / f"{number}.txt").write_text(words)
    run = on_terminal(rag, "ingest", notes)
    run.until("reading, 5 s")
    run.process.send_signal(signal.SIGINT)
    status, said = run.ended()
    assert (status, said.count(STOPPED)) == (1, 1)
    assert [record["status"] for record in runs(rag)] == ["failed"]
