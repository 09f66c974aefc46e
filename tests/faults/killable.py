"""A program to be stopped at any moment, and one that says afterwards whether anything was lost.

    killable.py work STORE DOCUMENTS    ingests, changes, moves, removes and prunes, and promises
    killable.py verify STORE            reads the promises in $FK_ACKS; exit status 1 if one broke
    killable.py sweep FOLDER            kills `work` at every statement and file in turn; verifies

A promise is a line. `TRY ID VERSION` comes before a source may become that version, `ACK ID
VERSION` when it durably is, `DEL ID` when it durably is gone; VERSION `-` is a source that is not
there. So a source is, at any moment, its last promised version or one that was tried since.
`$FK_SEED` decides what happens.
"""

import argparse
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import Engine, event
from support.pipelines import word_pipeline

from rag_pipeline.cli.output import one_line_errors
from rag_pipeline.defaults import Mode
from rag_pipeline.pipeline import RagPipeline
from storage.errors import NotFoundError
from storage.records import Committed

SOURCES = tuple(f"d{number}.txt" for number in range(12))
SHARED = ("common1", "common2")
"""Versions that several sources have, and have again."""
ABSENT = "-"
MODES: tuple[Mode, ...] = ("keyword", "vector")
SEED = os.environ.get("FK_SEED", "1")


def sentences(version: str) -> list[str]:
    """What a source says in this version: three sentences, each a chunk."""
    return [f"The document as of {version} says so in part {n} of it." for n in (1, 2, 3)]


def text(version: str) -> str:
    return " ".join(sentences(version))


def version_in(path: Path) -> str:
    """The version that a file holds; absent too if it was cut short when its writer died."""
    content = path.read_text() if path.is_file() else ""
    version = (content.split() + [ABSENT] * 5)[4]
    return version if content == text(version) else ABSENT


def opened(store: Path, database: str | None) -> RagPipeline:
    return word_pipeline(
        store,
        database=database,
        batching={"max_documents": 3},
        chunking={"max_tokens": 16, "overlap_tokens": 0},
    )


def promise(*words: str) -> None:
    print(*words, flush=True)


def work(
    store: Path,
    documents: Path,
    *,
    database: str | None = None,
    rounds: int = 1,
    seed: str = SEED,
) -> None:
    """Some rounds of changes, each followed by a run that may prune."""
    rng = random.Random(seed)
    documents.mkdir(parents=True, exist_ok=True)
    with opened(store, database) as rag:
        for number in range(rounds):
            change(rng, documents, f"{seed}x{number}")
            prune = rng.random() < 0.7
            for source in SOURCES:
                version = version_in(documents / source)
                if prune or version != ABSENT:
                    promise("TRY", source, version)
            rag.ingest(documents, prune=prune, on_commit=acknowledge_in(documents))
            promise_all(documents, deleted=prune)


def change(rng: random.Random, documents: Path, name: str) -> None:
    """A third stays as it is, and some come, change, share a text or go."""
    for source in SOURCES:
        path, stays = documents / source, rng.random() < 0.3
        fresh = f"{name}{path.stem}"
        version = rng.choice([ABSENT, rng.choice(SHARED), fresh, fresh])
        if stays and version_in(path) != ABSENT:
            continue
        path.unlink(missing_ok=True)
        if version != ABSENT:
            path.write_text(text(version))


def acknowledge_in(documents: Path) -> Callable[[Committed], None]:
    def acknowledge(committed: Committed) -> None:
        for source in committed.external_ids:
            promise("ACK", source, version_in(documents / source))

    return acknowledge


def promise_all(documents: Path, *, deleted: bool) -> None:
    for source in SOURCES:
        version = version_in(documents / source)
        if version != ABSENT:
            promise("ACK", source, version)
        elif deleted:
            promise("DEL", source)


def allowed_by(promises: Iterable[str]) -> dict[str, set[str]]:
    """The versions that each source may be in."""
    allowed = {source: {ABSENT} for source in SOURCES}
    for line in promises:
        kind, source, version = (*line.split(), ABSENT)[:3]
        if kind == "TRY":
            allowed[source].add(version)
        else:
            allowed[source] = {version}
    return allowed


def verify(store: Path, *, database: str | None, before: Path | None) -> list[str]:
    """Every broken promise; those in `before` were made before those in $FK_ACKS."""
    logs = [path for path in (before, Path(os.environ["FK_ACKS"])) if path and path.exists()]
    allowed = allowed_by(line for path in logs for line in path.read_text().splitlines())
    with opened(store, database) as rag:
        found = rag.doctor()
        broken = list(found.differences)
        if not found.chunks == found.vectors == found.keywords:
            broken.append(f"{found.chunks} chunks, {found.vectors} vectors, {found.keywords} words")
        for mode in MODES:
            broken += broken_in(stored(rag, mode), allowed, mode)
    return broken


def stored(rag: RagPipeline, mode: Mode) -> dict[str, list[str]]:
    """The sentences of each source that a search for all of them finds."""
    try:
        hits = rag.search("document", limit=1000, mode=mode).hits
    except NotFoundError:
        return {}
    said: dict[str, list[str]] = {}
    for hit in hits:
        for ref in hit.chunk.sources:
            said.setdefault(ref.external_id, []).append(hit.chunk.text)
    return said


def broken_in(said: dict[str, list[str]], allowed: dict[str, set[str]], mode: str) -> Iterable[str]:
    """A source is whole, in one of its versions, and there once."""
    for source in sorted(said.keys() | allowed.keys()):
        whole = [sorted(sentences(v)) if v != ABSENT else [] for v in allowed.get(source, ())]
        found = said.get(source, [])
        if sorted(found) not in whole:
            yield f"{source} in {mode}: promised {allowed.get(source)}, found {found[:4]}"


class Countdown:
    """Kills this process at the `left`-th statement, commit or file that `store` sees."""

    def __init__(self, left: int, store: Path) -> None:
        self.left = left
        self.store = str(store)

    def start(self) -> None:
        event.listen(Engine, "before_cursor_execute", self.count)
        event.listen(Engine, "commit", self.count)
        sys.addaudithook(self.audit)

    def count(self, *_about: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, about: tuple[object, ...]) -> None:
        is_write = name == "open" and isinstance(about[2], int) and about[2] & os.O_ACCMODE
        if (is_write or name in ("os.rename", "os.remove")) and str(about[0]).startswith(
            self.store
        ):
            self.count()


def sweep(folder: Path, *, step: int) -> list[str]:
    """Kill a round over a filled store at each `step`-th point of it; what broke, and where."""
    filled, live = folder / "filled", folder / "live"
    before = folder / "promises"
    in_process(before, work_on, live, 0)
    live.rename(filled)
    broken: list[str] = []
    for point in range(1, 100_000, step):
        shutil.copytree(filled, live)
        acks, said = folder / f"promises-{point}", folder / f"said-{point}"
        os.environ["FK_ACKS"] = str(acks)
        status = in_process(acks, work_on, live, point)
        if in_process(said, verify_or_exit, live / "store", None, before):
            broken.append(f"killed at point {point}: {said.read_text()}")
        shutil.rmtree(live)
        if status != -signal.SIGKILL:
            break
    print(f"killed at {(point - 1) // step} points, then ended with {status}")
    return broken + ([] if status == 0 else [f"the whole run ended with {status}"])


def in_process(output: Path, function: Callable[..., None], *arguments: object) -> int | None:
    """The exit status of a forked process that prints to `output`; imports are paid for once."""

    def target() -> None:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
        function(*arguments)

    process = get_context("fork").Process(target=target)
    process.start()
    process.join()
    return process.exitcode


def work_on(folder: Path, kill_at: int) -> None:
    store = folder / "store"
    if kill_at:
        Countdown(kill_at, store).start()
    work(store, folder / "documents", seed=f"{SEED}then" if kill_at else SEED)


def verify_or_exit(store: Path, database: str | None, before: Path | None) -> None:
    report(verify(store, database=database, before=before))


def report(broken: Sequence[str]) -> None:
    if broken:
        print("\n".join(broken[:5]), flush=True)
        sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["work", "verify", "sweep"])
    parser.add_argument("store", type=Path)
    parser.add_argument("documents", type=Path, nargs="?")
    parser.add_argument("--database")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--before", type=Path, help="promises of earlier runs")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with one_line_errors(debug=False):
        if given.what == "work":
            documents = given.documents or given.store / "documents"
            work(
                given.store,
                documents,
                database=given.database,
                rounds=given.rounds,
            )
        elif given.what == "verify":
            verify_or_exit(given.store, given.database, given.before)
        else:
            report(sweep(given.store, step=given.step))


if __name__ == "__main__":
    main()
