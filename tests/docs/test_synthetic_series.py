"""The guide to synthetic series, followed from its first line to its last."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from rag_pipeline.cli.main import cli
from rag_pipeline.service.api.synthetic import MAX_DRAWN, MAX_OF_SERIES
from rag_pipeline.synthetic.judging.gate import Thresholds
from rag_pipeline.synthetic.sampling_report import MOST_RECORDS
from rag_pipeline.synthetic.series.series import FEWEST_SERIES, LONGEST
from rag_pipeline.synthetic.series_records import SeriesRecords

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/synthetic-series.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `(\w+)` \| at most ([\d.]+) \|", re.MULTILINE)


@pytest.mark.slow
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
            printed["python"] = capsys.readouterr().out
            continue
        for line in block.splitlines():
            result = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
            assert result.exit_code == 0, f"{line}: {result.output}"
            printed[line] = result.stdout
    stored, tried = [said for line, said in printed.items() if line.startswith("rag synth sample")]
    assert "of 300 series" in stored
    assert "stored as batch 2 of visits, tagged as synthetic" in stored
    assert "of 150 series where sex = 'f'" in tried
    assert "visits@1-1-0,20" in Path("synthetic.csv").read_text("utf-8")
    assert ">Series</h2>" in Path("report.html").read_text("utf-8")
    assert printed["python"].startswith("100 series, ")


def test_the_limits_that_are_shown_are_the_defaults() -> None:
    limits = Thresholds()
    shown = {name: float(number) for name, number in _ROW.findall(TEXT)}
    assert len(shown) == 4
    assert shown == {name: getattr(limits, name) for name in shown}
    told = (
        f"fewer than {limits.fewest_series} drawn or {limits.fewest_held_out_series} held out",
        f"Fewer than {SeriesRecords.fewest} series to learn from",
        f"{FEWEST_SERIES} are the least",
        f"more than {LONGEST:,} records",
        f"{MAX_DRAWN:,} series with {MAX_OF_SERIES:,} records",
        f"about {MOST_RECORDS:,} records",
    )
    for said in told:
        assert said in " ".join(TEXT.split())
