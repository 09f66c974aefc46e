"""The page on formats says what is read and where reading stops, as the code does."""

import re
import runpy
import shlex
import shutil
import tomllib
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingest.feeds.reading import MAX_BYTES, MAX_LINE_BYTES
from ingest.parse.budget import _RATIO_FROM
from ingest.parse.formats import FORMATS
from ingest.parse.image import MAX_PIXELS
from ingest.parse.lines import MAX_CHARACTERS
from ingest.settings import ParseSettings
from rag_pipeline.cli.main import cli
from rag_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/formats.md"
TEXT = PAGE.read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MEGABYTE = 1024 * 1024


def blocks(language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(TEXT) if name == language]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Beside the examples, with a home of its own."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    return tmp_path


def test_every_ending_that_is_read_stands_in_the_table_once_and_no_other_does() -> None:
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `.")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(FORMATS)


def test_the_endings_of_one_row_are_of_one_format_but_for_the_two_kinds_of_mail() -> None:
    for line in TEXT.splitlines():
        if line.startswith("| `."):
            found = {FORMATS[name] for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
            assert len(found) == 1 or found == {"email", "outlook"}


def test_the_limits_that_are_shown_are_the_defaults() -> None:
    limits, ocr = (tomllib.loads(block)["parsing"] for block in blocks("toml"))
    assert {**limits, "ocr": False} == ParseSettings().model_dump()
    assert Settings(parsing=ocr).parsing.ocr


def test_the_fixed_limits_are_those_of_the_code() -> None:
    for said in (
        f"a file of {MAX_BYTES // _MEGABYTE} MB",
        f"line of JSONL of {MAX_LINE_BYTES // _MEGABYTE} MB",
        f"of {MAX_PIXELS // 1_000_000} million pixels",
        f"{MAX_CHARACTERS / 1_000_000:.1f} million characters",
        f"up to {_RATIO_FROM // _MEGABYTE} MB unpacked",
    ):
        assert said in " ".join(TEXT.split()), said


@pytest.mark.usefixtures("workplace")
def test_the_commands_show_the_examples_as_ingestion_sees_them() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    calls = [shlex.split(line)[1:] for line in lines if line.startswith("rag ")]
    word, pdf = (CliRunner().invoke(cli, call, catch_exceptions=False) for call in calls)
    assert (word.exit_code, pdf.exit_code) == (0, 0)
    assert "# The work" in word.stdout
    assert "1807 | work on the rock begins" in word.stdout
    assert '"page_starts": [0' in pdf.stdout
    assert '"language": "en"' in pdf.stdout


def test_a_transcriber_of_ones_own_makes_a_recording_searchable(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "recordings").mkdir()
    with wave.open(str(workplace / "recordings/keeper.wav"), "wb") as recording:
        recording.setparams((1, 2, 8_000, 0, "NONE", ""))
        recording.writeframes(bytes(16_000))
    (program,) = blocks("python")
    (workplace / "program.py").write_text(program, "utf-8")
    runpy.run_path("program.py")
    said = capsys.readouterr().out
    assert said.startswith("1 new\n")
    assert "keeper.wav Recording keeper.wav: 0:00:01" in said
    assert "the winter of 1962" in said
