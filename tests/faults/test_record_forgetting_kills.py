"""Forgetting records, killed at any moment: what is left is whole, and is completed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.pipelines import parts_of, word_pipeline
from support.record_sets import drawing_model, drawn, filled, people

pytestmark = pytest.mark.slow
KILLS = 14
RECORDS = 4_000
PROGRAM = """
import sys
from pathlib import Path
from support.pipelines import word_pipeline

home, url, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with word_pipeline(home, database=url) as rag:
    print("ready", flush=True)
    rag.forget.resume()
    for number in range(first, 4_000):
        print(f"try p{number}", flush=True)
        rag.forget.records("people", f"id = 'p{number}'", with_models=number % 2 == 0)
        print(f"gone p{number}", flush=True)
"""


def _killed(home: Path, url: str, first: int, after_s: float) -> list[list[str]]:
    """What it said, word by word."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home), url, str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        said = [line.split() for line in process.stdout]
    process.wait()
    return said


def test_a_killed_forgetting_leaves_whole_batches_and_is_completed(
    database_url: str, tmp_path: Path
) -> None:
    chance, home = random.Random(5), tmp_path / "home"
    gone: set[str] = set()
    with word_pipeline(home, database=database_url) as rag:
        database = parts_of(rag).database
        sets = filled(database, RECORDS)
        sets.add_real("people", people(50, prefix="q"), source="more.csv")
        model = drawing_model(database, tmp_path)
        sets.add_synthetic("people", people(5, prefix="s"), **drawn(model))
    unfinished = 0
    for _ in range(KILLS):
        said = _killed(home, database_url, len(gone), chance.uniform(0, 2.5))
        with word_pipeline(home, database=database_url) as rag:
            begun = [one for one in rag.forget.erasures() if one.certificate is None]
            unfinished += len(begun)
            # Whole, before anything is completed: only that is said, that there is an erasure.
            assert len(rag.doctor().differences) == len(begun)
            there = {one.values["id"] for one in rag.synthetic.rows("people", "real")}
            assert not there & {name for word, name in said if word == "gone"}
            assert len(there) in (RECORDS + 50 - len(gone) - n for n in range(len(said) + 1))
            rag.forget.resume()
            assert rag.doctor().differences == ()
            there = {one.values["id"] for one in rag.synthetic.rows("people", "real")}
            gone = {f"p{n}" for n in range(RECORDS)} - there
            tried = {name for word, name in said if word == "try"}
            assert gone >= {name for word, name in said if word == "gone"}
            assert gone <= {f"p{n}" for n in range(len(gone))} | tried
            assert len(there) == RECORDS + 50 - len(gone)
    assert unfinished > 0
    assert len(gone) > 1
