"""Kill -9: what was acknowledged is there, whole and once, and the indexes agree."""

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "killable.py"
TESTS = PROGRAM.parent.parent
RUNS = 40


def environment(folder: Path, run: int) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    acks = str(folder / "acks.txt")
    return {**os.environ, "PYTHONPATH": path, "FK_SEED": str(run), "FK_ACKS": acks}


def command(folder: Path, what: str, *options: str) -> list[str]:
    return [sys.executable, str(PROGRAM), what, str(folder / "store"), *options]


def work_and_kill(folder: Path, run: int, *, rounds: int, after_s: float | None) -> bool:
    """Whether the program was still at work when it was killed."""
    options = (str(folder / "documents"), "--rounds", str(rounds))
    with (folder / "acks.txt").open("ab") as acks:
        process = subprocess.Popen(
            command(folder, "work", *options), stdout=acks, env=environment(folder, run)
        )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
    assert process.returncode == 0
    return False


def run_to_the_end(folder: Path, what: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, what, *options), env=environment(folder, 1), capture_output=True, text=True
    )


def test_the_check_can_fail(tmp_path: Path) -> None:
    assert not work_and_kill(tmp_path, 1, rounds=2, after_s=None)
    assert run_to_the_end(tmp_path, "verify").returncode == 0
    promises = (tmp_path / "acks.txt").read_text()
    (tmp_path / "acks.txt").write_text(f"{promises}ACK d1.txt never-stored\n")
    check = run_to_the_end(tmp_path, "verify")
    assert (check.returncode, "never-stored" in check.stdout) == (1, True)
    (tmp_path / "acks.txt").write_text(promises)
    database = sqlite3.connect(tmp_path / "store" / "rag.db")
    database.execute("UPDATE sources SET to_generation = 1 WHERE to_generation IS NULL")
    database.commit()
    database.close()
    check = run_to_the_end(tmp_path, "verify")
    assert (check.returncode, "no source has it" in check.stdout) == (1, True)


def killed_in_turn(folder: Path, *, step: int) -> int:
    (folder / "store").mkdir()
    done = run_to_the_end(folder, "sweep", "--step", str(step))
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[2])


def test_a_run_killed_at_any_statement_or_file_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert killed_in_turn(tmp_path, step=8) > 7


@pytest.mark.slow
def test_a_run_killed_at_every_statement_and_file_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert killed_in_turn(tmp_path, step=1) > 60


@pytest.mark.slow
def test_one_store_outlives_many_kills_at_random_times(tmp_path: Path) -> None:
    rng = random.Random(1)
    killed = 0
    for run in range(RUNS):
        killed += work_and_kill(tmp_path, run, rounds=30, after_s=rng.uniform(0.6, 3))
        check = run_to_the_end(tmp_path, "verify")
        assert check.returncode == 0, f"run {run}: {check.stdout}{check.stderr}"
    assert killed > RUNS / 2
