"""Registering and activating models, killed at any moment: what is on record is whole."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.versions import write_model

from storage.engine import Database
from storage.versions.registry import Versions

pytestmark = pytest.mark.slow
KILLS = 25
PROGRAM = """
import sys
from pathlib import Path
from storage.engine import Database
from storage.versions.registry import Versions

url, home, sources = sys.argv[1:]
versions = Versions(Database(url), Path(home))
print("ready", flush=True)
for number, source in enumerate(sorted(Path(sources).iterdir())):
    keep = "blob" if number % 2 else "file"
    model = versions.add_model("m", kind="embedder", folder=source, keep=keep)
    versions.activate("m", model.version)
"""


def _killed(url: str, home: Path, sources: Path, after_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(home), str(sources)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_registration_leaves_whole_versions_or_none_and_one_active(
    database_url: str, tmp_path: Path
) -> None:
    chance, home, sources = random.Random(7), tmp_path / "home", tmp_path / "sources"
    for number in range(200):
        source = write_model(sources / f"{number:03}", str(number))
        (source / "notes.md").write_text(f"{number} " * 50_000)
    database = Database(database_url)
    versions = Versions(database, home)
    for _ in range(KILLS):
        _killed(database_url, home, sources, chance.uniform(0, 0.4))
        found = versions.models()
        assert [model.version for model in found] == [*range(len(found), 0, -1)]
        assert sum(model.state == "active" for model in found) == bool(versions.activations("m"))
        for model in found:
            versions.folders.checked(model)
    assert 1 < len(versions.models()) < 200
    log = versions.activations("m")
    assert versions.model("m").version == log[0].version
    database.close()
