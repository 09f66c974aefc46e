"""`rag synth` on series, as its users run it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from support.cli import Program, assert_one_line_error
from support.visits import LOOSE_SERIES, QUICK_SERIES, write_visits

SETTINGS = [word for name, value in QUICK_SERIES.items() for word in ("--set", f"{name}={value}")]
LIMITS = [
    word for name, value in LOOSE_SERIES.items() for word in ("--threshold", f"{name}={value}")
]


@pytest.mark.slow
def test_a_newcomer_goes_from_visits_to_whole_synthetic_series(
    rag: Program, tmp_path: Path
) -> None:
    write_visits(tmp_path / "visits.csv")
    load = ("synth", "load", "visits", "visits.csv")
    assert_one_line_error(rag(*load, "--series", "doctor"), "no column 'doctor'")
    assert_one_line_error(rag(*load, "--time", "visited_at"), "--series")
    loaded = rag(*load, "--series", "patient", "--time", "visited_at", "--json").json
    assert (loaded["series"], loaded["time"]) == ("patient", "visited_at")
    assert "names the series" in rag("synth", "show", "visits").out
    fitted = rag("synth", "fit", "visits", *SETTINGS)
    assert "series by series/recurrent" in fitted.out
    sample = ("synth", "sample", "visits", "-n", "50", *LIMITS)
    moving = rag(*sample, "--where", "pressure > 9")
    assert (moving.status, moving.out) == (1, "")
    assert "changes within series" in moving.err
    drawn = rag(*sample, "--where", "sex = 'm'", "--out", "drawn.jsonl")
    assert "records of 50 series where sex = 'm'" in drawn.out
    rows = [json.loads(line) for line in (tmp_path / "drawn.jsonl").read_text().splitlines()]
    assert {row["sex"] for row in rows} == {"m"}
    assert sum(one["patient"] != other["patient"] for one, other in pairwise(rows)) == 49
    assert "50 synthetic series" in (tmp_path / "drawn.jsonl.card.md").read_text()
    reported = rag("synth", "report", "visits", "--html", "report.html", "--json").json
    assert reported == rag("eval", "synthetic", "visits", "--json").json
    assert reported["provenance"]["series"] == 50
    assert ">Series</h2>" in (tmp_path / "report.html").read_text()
    refused = rag("synth", "sample", "visits", "-n", "100", "--threshold", "dynamics_error=0")
    assert refused.status == 1
    assert "dynamics_error is" in refused.out
    assert "healthy" in rag("doctor").out
