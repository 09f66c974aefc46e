"""A program to be killed at any time, and one that says afterwards whether anything was lost.

    python killable.py ingest FOLDER     prints "ACK RUN:ID" for every document that is durable
    python killable.py verify FOLDER     reads the promises from $FK_ACKS; exit status 1 if broken

`$FK_RUN` numbers the runs: each has a home of its own, an odd one is half filled with an older
version of the same documents before. With `--model` the real embedder is used.
"""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

from support.pipelines import word_pipeline

from rag_pipeline.pipeline import RagPipeline
from storage.records import Committed

DOCUMENTS = 120
OLD = DOCUMENTS // 2
RUN = os.environ.get("FK_RUN", "0")


def text(number: int, version: str) -> str:
    return f"Document {number} has the unique words key{number}x and {version}{number}x."


def corpus(folder: Path, version: str, count: int) -> Path:
    path = folder / "corpus.jsonl"
    lines = ({"_id": f"d{n}", "text": text(n, version)} for n in range(count))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def opened(home: Path, *, model: bool) -> RagPipeline:
    batching = {"max_documents": 10}
    if model:
        return RagPipeline.open(home, generator="echo", batching=batching)
    return word_pipeline(home, batching=batching)


def ingest(home: Path, *, model: bool) -> None:
    home.mkdir(parents=True)
    with opened(home, model=model) as rag:
        if int(RUN) % 2:
            rag.ingest(corpus(home, "old", OLD), on_commit=partial(acknowledge, "old"))
        rag.ingest(corpus(home, "new", DOCUMENTS), on_commit=partial(acknowledge, "new"))


def acknowledge(version: str, committed: Committed) -> None:
    for external_id in committed.external_ids:
        print(f"ACK {RUN}:{version}:{external_id}", flush=True)


def verify(home: Path, *, model: bool) -> list[str]:
    """Every broken promise."""
    lines = Path(os.environ["FK_ACKS"]).read_text().split("\n")
    kept = {tuple(line.split(":")[1:]) for line in lines if line.startswith(f"ACK {RUN}:")}
    with opened(home, model=model) as rag:
        broken = list(rag.doctor().differences)
        if not rag.doctor().chunks:
            return broken + [f"{len(kept)} documents are gone"] * bool(kept)
        for number in range(DOCUMENTS):
            versions = {version for version, external_id in kept if external_id == f"d{number}"}
            broken += broken_promises(rag, number, versions)
    return broken


def broken_promises(rag: RagPipeline, number: int, acknowledged: set[str]) -> list[str]:
    """Killed before its commit, a document is as it was before; never gone, never double."""
    hits = rag.search(f"key{number}x", mode="keyword").hits
    found = [hit.chunk.text for hit in hits]
    old, new = [text(number, "old")], [text(number, "new")]
    if "new" in acknowledged:
        allowed = [new]
    elif "old" in acknowledged:
        allowed = [old, new]
    else:
        allowed = [[], old, new]
    return [] if found in allowed else [f"d{number}: found {found}, promised {acknowledged}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["ingest", "verify"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="store_true")
    given = parser.parse_args()
    home = given.folder / f"run-{RUN}"
    if given.what == "ingest":
        ingest(home, model=given.model)
    elif broken := verify(home, model=given.model) if home.is_dir() else []:
        print("\n".join(broken[:10]))
        sys.exit(1)


if __name__ == "__main__":
    main()
