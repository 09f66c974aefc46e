"""Kill -9 at random times: what was acknowledged is there, and the indexes agree."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "killable.py"
TESTS = PROGRAM.parent.parent
RUNS = 40


def environment(folder: Path, run: int) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    acks = str(folder / "acks.txt")
    return {**os.environ, "PYTHONPATH": path, "FK_RUN": str(run), "FK_ACKS": acks}


def run_and_kill(folder: Path, run: int, after_s: float) -> bool:
    """Whether the program was still at work when it was killed."""
    command = [sys.executable, str(PROGRAM), "ingest", str(folder)]
    with (folder / "acks.txt").open("ab") as acks:
        process = subprocess.Popen(command, stdout=acks, env=environment(folder, run))
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
    assert process.returncode == 0
    return False


def verified(folder: Path, run: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), "verify", str(folder)],
        env=environment(folder, run),
        capture_output=True,
        text=True,
    )


def test_the_check_can_fail(tmp_path: Path) -> None:
    assert not run_and_kill(tmp_path, 1, 120)
    assert verified(tmp_path, 1).returncode == 0
    acks = tmp_path / "acks.txt"
    database = sqlite3.connect(tmp_path / "run-1" / "rag.db")
    database.execute("UPDATE sources SET to_generation = 1 WHERE external_id = 'd3'")
    database.commit()
    database.close()
    assert verified(tmp_path, 1).returncode == 1
    acks.write_text("ACK 2:new:d3\n")
    (tmp_path / "run-2").mkdir()
    assert verified(tmp_path, 2).stdout == "1 documents are gone\n"


@pytest.mark.slow
def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    started = time.monotonic()
    assert not run_and_kill(tmp_path, 0, 120)
    whole = time.monotonic() - started
    rng = random.Random(1)
    killed = 0
    for run in range(1, RUNS):
        killed += run_and_kill(tmp_path, run, rng.uniform(0.3, 1.0) * whole)
        check = verified(tmp_path, run)
        assert check.returncode == 0, f"run {run}: {check.stdout}{check.stderr}"
    assert killed > RUNS / 2
