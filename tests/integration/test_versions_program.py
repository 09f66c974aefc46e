"""`rag datasets` and `rag models`: what they print, and what they say where something is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.versions import damage, write_model

from rag_pipeline.cli.main import cli


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_GENERATOR", "echo")


def rag(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="rag")


def told(*arguments: str) -> Any:
    """The one document that a command prints with --json."""
    result = rag(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def assert_refused(result: Result, said: str) -> None:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_a_model_is_registered_activated_rolled_back_and_traced(tmp_path: Path) -> None:
    for n in (1, 2):
        write_model(tmp_path / f"m{n}", str(n))
    (tmp_path / "metrics.json").write_text('{"ndcg": 0.61}')
    given = ("models", "register", "tuned", "--kind", "embedder")
    first = told(*given, "m1", "--base", "minilm", "--metrics", "metrics.json", "--seed", "3")
    assert (first["reference"], first["state"], first["seed"]) == ("version:tuned@1", "kept", 3)
    rag(*given, "m2", "--base", "version:tuned@1", "--keep", "blob")
    assert rag("models", "activate", "tuned@1", "--because", "first").exit_code == 0
    assert rag("models", "activate", "tuned@2", "--because", "better").exit_code == 0
    assert told("models", "rollback", "tuned", "--because", "worse")["version"] == 1
    listed = told("models", "versions")
    assert [(one["version"], one["state"]) for one in listed] == [(2, "kept"), (1, "active")]
    shown = told("models", "show", "tuned")
    assert [one["reason"] for one in shown["activations"]] == ["worse", "better", "first"]
    assert shown["metrics"] == {"ndcg": 0.61}
    tree = rag("models", "lineage", "tuned@2").stdout
    assert tree.splitlines()[1].startswith("└── base: version:tuned@1 (embedder, active")
    assert "└── base: minilm (not registered)" in tree.splitlines()[2]


def test_what_is_wrong_is_one_line_and_changes_nothing(tmp_path: Path) -> None:
    write_model(tmp_path / "m1")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.bin").write_bytes(b"\x80\x04N.")
    rag("models", "register", "m", "m1", "--kind", "embedder")
    register = ("models", "register")
    assert_refused(rag(*register, "m", "bad", "--kind", "embedder"), "model.bin")
    assert_refused(rag(*register, "a/b", "m1", "--kind", "embedder"), "can't name versions")
    assert_refused(rag("models", "activate", "m@7"), "m@7")
    assert_refused(rag("models", "rollback", "m"), "active before")
    assert_refused(rag("datasets", "show", "nothing@1"), "nothing@1")
    damage(tmp_path / "home" / "models" / "m" / "1" / "model.safetensors")
    assert_refused(rag("models", "activate", "m@1"), "is damaged")
    assert rag("models", "activate", "m").exit_code == 2
    assert rag(*register, "m", "--kind", "embedder").exit_code == 2
    (only,) = told("models", "versions")
    assert only["state"] == "kept"


def _noted(text: str) -> None:
    Path("notes.jsonl").write_text(json.dumps({"_id": "a", "text": text}) + "\n")
    assert rag("ingest", "notes.jsonl").exit_code == 0


@pytest.mark.models
def test_a_snapshot_is_taken_verified_compared_and_laid_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _noted("The harbour was dredged in 1874.")
    assert told("datasets", "snapshot", "corpus")["reference"] == "corpus@1"
    assert rag("datasets", "verify", "corpus").stdout.endswith("corpus@1 can be had as it was\n")
    assert len(rag("datasets", "export", "corpus@1", "out").stdout.splitlines()) == 2
    _noted("The harbour was dredged in 1875.")
    verified = rag("datasets", "verify", "corpus", "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["changed"]) == (1, 1)
    assert rag("datasets", "snapshot", "corpus").stdout.startswith("corpus@2")
    assert "1 changed" in rag("datasets", "diff", "corpus@1", "corpus@2").stdout
    assert [one["version"] for one in told("datasets", "list")] == [2, 1]
    assert "collection default (generation 2)" in rag("datasets", "show", "corpus").stdout
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_named: None)
    assert "rag-pipeline-service[dvc]" in rag("datasets", "export", "corpus", "d", "--dvc").stderr
    assert rag("datasets", "export", "corpus", "d", "--push", "store").exit_code == 2
