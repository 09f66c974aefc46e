"""The page on entities: its commands run one after the other, and its program too."""

import json
import re
import runpy
import shlex
import shutil
import tomllib
from pathlib import Path

import networkx
import pytest
from click.testing import CliRunner
from support.embedding import WordEmbedder

from rag_pipeline.cli.main import cli
from rag_pipeline.composition import Composition
from rag_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/entities.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(TEXT) if name == language]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Beside the examples, with a home of its own and an embedder that needs no weights."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Composition, "embedder", WordEmbedder())
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    return tmp_path


def test_the_commands_do_what_the_page_says(workplace: Path) -> None:
    printed = {}
    for line in [line for block in blocks("sh") for line in block.splitlines()]:
        result = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        printed[line.removeprefix("rag ")] = result.stdout
    listed = json.loads(printed["entities list --kind place -n 5 --json"])
    assert listed["stands_at"] == listed["generation"]
    assert len(listed["entities"]) == 5
    shown = printed['entities show "Boston Light"']
    for line in blocks("text")[0].splitlines():
        expected = line.replace("/home/mia", str(workplace))
        assert expected in shown, shown
    path = printed['entities related "Little Brewster Island" "George Worthylake"']
    assert "both in" in path
    assert "boston-light.txt" in path
    graph = networkx.read_graphml(workplace / "lights.graphml")
    lines = (workplace / "lights.jsonl").read_text("utf-8").splitlines()
    nodes = [json.loads(line) for line in lines if '"type": "entity"' in line]
    assert sorted(node["id"] for node in nodes) == sorted(graph.nodes)
    assert "Boston Light" in {label for _, label in graph.nodes(data="label")}


@pytest.mark.usefixtures("workplace")
def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = blocks("python")
    Path("program.py").write_text(program, "utf-8")
    runpy.run_path("program.py")
    said = capsys.readouterr().out
    assert "George Worthylake 1" in said
    assert "Boston Light" in said


def test_the_setting_is_one() -> None:
    (block,) = blocks("toml")
    given = tomllib.loads(block)["entities"]
    assert Settings(entities=given).entities.after_ingest is True
    assert Settings().entities.after_ingest is False
