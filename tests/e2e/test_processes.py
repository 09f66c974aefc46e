"""Several processes on one home, and processes that are stopped half way."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from support.cli import Program, finished

from rag_pipeline.pipeline import RagPipeline

STOPPED = "stopped; what was committed is kept"


def write_notes(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.txt").write_text(f"Note {number} is about the word key{number}x.")
    return folder


def test_what_another_process_commits_is_found_by_the_next_search(
    rag: Program, tmp_path: Path
) -> None:
    notes = write_notes(tmp_path / "notes", 2)
    with RagPipeline.open(rag.home, generator="echo") as here:
        assert rag("ingest", notes).status == 0
        (hit,) = here.search("key1x", mode="keyword").hits
        (notes / "001.txt").write_text("Note 1 speaks of zebras now.")
        (notes / "000.txt").unlink()
        report = rag("ingest", notes, "--prune", "--json").json
        assert (report["documents"]["changed"], report["documents"]["deleted"]) == (1, 1)
        assert here.search("key1x key0x", mode="keyword").hits == ()
        (hit,) = here.search("zebras", mode="keyword").hits
        assert hit.chunk.sources[0].external_id == "001.txt"
        assert here.doctor().differences == ()


def test_two_runs_over_one_folder_at_once_store_each_document_once(
    rag: Program, tmp_path: Path
) -> None:
    notes = write_notes(tmp_path / "notes", 40)
    command = ("--home", rag.home, "ingest", notes, "--json")
    both = [rag.started(*command, RAG_BATCHING__MAX_DOCUMENTS="4") for _ in range(2)]
    reports = [finished(process) for process in both]
    for report in reports:
        assert report.status == 0, report.err
        assert report.err == ""
    counts = [report.json["documents"] for report in reports]
    assert sorted(count["new"] for count in counts) == [0, 40]
    assert sorted(count["unchanged"] for count in counts) == [0, 40]
    found = rag("doctor", "--json").json
    assert (found["chunks"], found["differences"]) == (40, [])


def test_ctrl_c_keeps_what_was_committed_and_the_next_run_goes_on_from_there(
    rag: Program, tmp_path: Path
) -> None:
    notes = write_notes(tmp_path / "notes", 60)
    slowly = {"RAG_BATCHING__MAX_DOCUMENTS": "2"}
    run = rag.started("--home", rag.home, "ingest", notes, "--progress", "jsonl", **slowly)
    assert run.stderr is not None
    kept = json.loads(run.stderr.readline())["documents"]
    run.send_signal(signal.SIGINT)
    ended = finished(run)
    assert (ended.status, ended.out) == (1, "")
    *events, last = ended.err.splitlines()
    kept += [name for event in events for name in json.loads(event)["documents"]]
    assert STOPPED in last
    assert 0 < len(kept) < 60
    assert rag("doctor", "--json").json["chunks"] == len(kept)
    again = rag("ingest", notes, "--json").json["documents"]
    assert (again["unchanged"], again["new"]) == (len(kept), 60 - len(kept))


def test_a_reader_that_goes_away_is_no_error_to_speak_of(library: Any, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("".join(f"Line {number} of a long text.\n" for number in range(50_000)))
    for arguments in (("parse", long), ("models", "list"), ("history", "list", "--json")):
        reading, writing = os.pipe()
        os.close(reading)
        process = library.rag.started("--home", library.rag.home, *arguments, stdout=writing)
        os.close(writing)
        _, said = process.communicate()
        assert (process.returncode, said) == (1, "")
