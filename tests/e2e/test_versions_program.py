"""A data set under DVC, as the program itself keeps it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.cli import Program


@pytest.fixture
def rag(tmp_path: Path) -> Program:
    return Program(cwd=tmp_path, home=tmp_path / "home")


@pytest.mark.skipif(shutil.which("dvc") is None, reason="DVC is not installed")
@pytest.mark.slow
def test_dvc_itself_takes_a_version_to_a_remote_and_brings_it_back(
    rag: Program, tmp_path: Path
) -> None:
    (tmp_path / "notes.jsonl").write_text('{"_id": "a", "text": "The harbour was dredged."}\n')
    rag("ingest", "notes.jsonl")
    taken = rag("datasets", "snapshot", "corpus", "--json").json
    (repository := tmp_path / "repository").mkdir()
    silent = {**os.environ, "DVC_NO_ANALYTICS": "1"}

    def dvc(*arguments: str, cwd: Path) -> None:
        subprocess.run(["dvc", *arguments], cwd=cwd, env=silent, check=True, capture_output=True)

    dvc("init", "--no-scm", cwd=repository)
    dvc("remote", "add", "store", str(tmp_path / "store"), cwd=repository)
    outside = rag("datasets", "export", "corpus@1", "outside", "--dvc")
    assert outside.status == 1
    assert "`dvc init` makes a repository" in outside.err
    printed = rag("datasets", "export", "corpus@1", "repository/corpus", "--dvc", "--push", "store")
    assert printed.status == 0, printed.err
    tracked = repository / "corpus.dvc"
    assert "md5" in tracked.read_text()
    before = tracked.read_bytes()
    rag("datasets", "export", "corpus@1", "repository/corpus", "--dvc", "--force")
    assert tracked.read_bytes() == before
    (elsewhere := tmp_path / "elsewhere").mkdir()
    dvc("init", "--no-scm", cwd=elsewhere)
    dvc("remote", "add", "-d", "store", str(tmp_path / "store"), cwd=elsewhere)
    shutil.copy(tracked, elsewhere / "corpus.dvc")
    dvc("pull", cwd=elsewhere)
    for name in ("members.jsonl", "manifest.json"):
        brought = (elsewhere / "corpus" / name).read_bytes()
        assert brought == (repository / "corpus" / name).read_bytes()
    assert (
        json.loads((elsewhere / "corpus" / "manifest.json").read_bytes())["sha256"]
        == (taken["sha256"])
    )
