"""An erasure that is killed, and what says afterwards whether anything of it was left.

erasing.py sweep FOLDER --step N    kills an erasure at every N-th statement and file in turn,
                                    each time over the same filled store, and completes it
erasing.py again FOLDER --step N    kills one erasure again and again, N statements later each
                                    time, until it is complete; --database works here too
"""

import argparse
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import click
from killable import Countdown, in_process, report
from sqlalchemy import inspect, literal_column, select, table
from support.pipelines import parts_of, word_pipeline

import rag_pipeline.erasure  # noqa: F401  (paid for once, not by every process that is forked)
from rag_pipeline.cli.output import one_line_errors
from rag_pipeline.pipeline import RagPipeline

SECRET = (
    "The zyxmarker lighthouse of Quorvania is forty metres high. "
    "It was built in 1881 by Ermengarde Plinth of the Harbour Office. "
    "Its lamp, the wugmarker, shines over the bay every single night."
)
OTHER = "The harbour has room for ninety boats. A ferry leaves at noon for the islands."
MARKS = (b"zyxmarker", b"wugmarker", b"Ermengarde", b"rmengard", b"secret-memo", b"Walburga")
USER = "margaret.h"
MOST = 10_000
TOO_LITTLE = 100_000
"""Bytes of a file: less than the copy of the database that clears what was removed."""


def opened(store: Path, database: str | None) -> RagPipeline:
    return word_pipeline(store, database=database, chunking={"max_tokens": 16, "overlap_tokens": 0})


def fill(store: Path, database: str | None) -> None:
    with opened(store, database) as rag:
        records = [{"_id": "secret-memo", "text": SECRET}, {"_id": "harbour", "text": OTHER}]
        rag.ingest_records(records, source="shelf")
        first = rag.ask("Who built the lighthouse in 1881?", user=USER, extractive=True)
        rag.ask(
            "And where does my friend Walburga live?",
            user=USER,
            parent_id=first.prompt_id,
            extractive=True,
        )
        rag.ask("How high is it?", user="bob", parent_id=first.prompt_id, extractive=True)
        rag.export(store / "all.jsonl", _everything(), register="all")


def _everything() -> object:
    from rag_pipeline.datasets.selection import Selection

    return Selection(labelled_only=False)


def erase(store: Path, database: str | None, kill_at: int) -> None:
    """Forget the document and the user, or go on with what was begun."""
    if kill_at:
        Countdown(kill_at, store).start()
    with opened(store, database) as rag:
        done = {one.kind for one in rag.forget.erasures()}
        rag.forget.resume()
        if "document" not in done:
            rag.forget.document("secret-memo")
        if "user" not in done:
            rag.forget.user(USER)


def verify(store: Path, database: str | None) -> None:
    with opened(store, database) as rag:
        found = [*rag.doctor().differences]
        found += [
            f"erasure {e.erasure_id} is open" for e in rag.forget.erasures() if not e.certificate
        ]
        found += [f"{mark!r} stands in {place}" for mark in MARKS for place in _places(rag, mark)]
        hits = rag.search("harbour", limit=9).hits
        if {hit.chunk.sources[0].external_id for hit in hits} != {"harbour"}:
            found.append(f"found {[hit.chunk.text for hit in hits]}")
    report(found)


def _places(rag: RagPipeline, mark: bytes) -> list[str]:
    home = rag.settings.home
    found = [str(p) for p in home.rglob("*") if p.is_file() and mark in p.read_bytes()]
    with parts_of(rag).database.read() as connection:
        for name in inspect(connection).get_table_names():
            for row in connection.execute(select(literal_column("*")).select_from(table(name))):
                if any(mark in (v if isinstance(v, bytes) else str(v).encode()) for v in row):
                    found.append(name)
    return found


def sweep(folder: Path, *, step: int) -> list[str]:
    filled, live = folder / "filled", folder / "live"
    said = folder / "said"
    in_process(said, fill, live, None)
    live.rename(filled)
    broken: list[str] = []
    for point in range(1, MOST, step):
        shutil.copytree(filled, live)
        status = in_process(said, erase, live, None, point)
        completed = in_process(folder / f"said-{point}", erase, live, None, 0)
        checked = in_process(folder / f"said-{point}", verify, live, None)
        if completed or checked:
            broken.append(f"killed at point {point}: {(folder / f'said-{point}').read_text()}")
        shutil.rmtree(live)
        if status != -signal.SIGKILL:
            break
    click.echo(f"killed at {(point - 1) // step} points, then ended with {status}")
    return broken


def again(folder: Path, *, step: int, database: str | None) -> list[str]:
    store, said = folder / "store", folder / "said"
    in_process(said, fill, store, database)
    kills = 0
    for point in range(step, MOST, step):
        status = in_process(said, erase, store, database, point)
        if status != -signal.SIGKILL:
            break
        kills += 1
    click.echo(f"killed {kills} times, then ended with {status}")
    if status or in_process(said, verify, store, database):
        return [f"after {kills} kills: {said.read_text()}"]
    return []


def starve(folder: Path) -> list[str]:
    """A full disk shows as a write that fails; so does a file that may not grow."""
    store, said = folder / "store", folder / "said"
    in_process(said, fill, store, None)
    status = in_process(said, erase_starving, store)
    broken = [] if status == 1 and "Error: " in said.read_text() else [f"it ended with {status}"]
    if in_process(said, erase, store, None, 0) or in_process(said, verify, store, None):
        broken.append(said.read_text())
    click.echo(said.read_text())
    return broken


def erase_starving(store: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (TOO_LITTLE, TOO_LITTLE))
    os.dup2(1, 2)
    with one_line_errors(debug=False):
        erase(store, None, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sweep", "again", "starve"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--database")
    given = parser.parse_args()
    kinds: dict[str, Callable[[], list[str]]] = {
        "sweep": lambda: sweep(given.folder, step=given.step),
        "again": lambda: again(given.folder, step=given.step, database=given.database),
        "starve": lambda: starve(given.folder),
    }
    with one_line_errors(debug=False):
        report(kinds[given.what]())


if __name__ == "__main__":
    main()
