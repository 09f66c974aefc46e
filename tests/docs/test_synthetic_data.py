"""The guide to synthetic data, followed from its first line to its last."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from rag_pipeline.cli.main import cli
from rag_pipeline.service.data_routes import ROUTERS
from rag_pipeline.synthetic.judging.gate import Thresholds

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/synthetic-data.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (`[^|]+) \| ([^|]+) \|", re.MULTILINE)


def _run(line: str) -> str:
    words = shlex.split(line, comments=True)
    result = CliRunner().invoke(cli, words[1:], prog_name="rag", catch_exceptions=False)
    assert result.exit_code == 0, f"{line}: {result.output}"
    return result.stdout


def test_a_newcomer_who_types_what_stands_there_gets_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_GENERATOR", "echo")
    monkeypatch.chdir(tmp_path)
    printed = {}
    for language, block in _BLOCK.findall(TEXT):
        if language == "python":
            Path("program.py").write_text(block, "utf-8")
            runpy.run_path("program.py")
            assert capsys.readouterr().out.strip()
        else:
            printed |= {line: _run(line) for line in block.splitlines()}
    assert "id                   category, key" in printed["rag synth load people people.csv"]
    (first, second) = [
        text for line, text in printed.items() if line.startswith("rag synth sample")
    ]
    assert "stored as batch 2 of people, tagged as synthetic" in first
    assert "unreviewed" in second
    report = json.loads(printed["rag synth report people 2 --json"])
    assert report["verdict"]["state"] == "passed"
    assert Path("report.html").read_text("utf-8").startswith("<!doctype html>")
    assert Path("loss.svg").is_file()
    assert "synthetic,version:people@1,2" in Path("synthetic.csv").read_text("utf-8")
    assert "people" in Path("synthetic.csv.card.md").read_text("utf-8")
    assert '"_origin": "real"' in Path("all.jsonl").read_text("utf-8")


def test_the_limits_that_are_shown_are_the_defaults() -> None:
    limits = Thresholds()
    shown = {
        name: float(number)
        for names, said in _ROW.findall(TEXT)
        for name, number in zip(
            re.findall(r"`(\w+)`", names),
            re.findall(r"\d\.\d+", said) * 2 if "0.53" in said else re.findall(r"\d\.\d+", said),
            strict=False,
        )
    }
    assert len(shown) >= 9
    assert shown == {name: getattr(limits, name) for name in shown}
    assert (limits.fewest_records, limits.fewest_held_out) == (1_000, 100)


def test_the_routes_that_are_named_are_there() -> None:
    paths = {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]
    for named in re.findall(r"`(?:GET|POST) (/api/[^`]+)`", TEXT):
        assert named.replace("/people", "/{name}") in paths
