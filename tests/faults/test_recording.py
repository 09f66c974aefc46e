"""Kill -9 while answers are recorded: each that was delivered is on record, once and whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "recording.py"
TESTS = PROGRAM.parent.parent
QUICK, MANY = 5, 500


def killed(home: Path, database_url: str, *options: str) -> str:
    """What the program says in the end; fails if it found anything lost, doubled or half."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(home), "--database", database_url, *options],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_delivered_answer_outlives_a_kill(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "truth.db")
    options = ("--kills", str(QUICK), "--check-every", str(QUICK), "--check-can-fail")
    said = killed(tmp_path / "home", f"sqlite:///{tmp_path / 'truth.db'}", *options)
    assert int(said.split()[2]) > QUICK


@pytest.mark.slow
def test_every_delivered_answer_outlives_many_kills(tmp_path: Path, database_url: str) -> None:
    said = killed(tmp_path / "home", database_url, "--kills", str(MANY), "--check-every", "25")
    assert int(said.split()[2]) > MANY
