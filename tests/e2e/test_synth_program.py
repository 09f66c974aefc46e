"""`rag synth` as its users run it."""

import json
import random
import time
from pathlib import Path

import pytest
from support.cli import Program, assert_one_line_error, finished
from support.people import LOOSE, QUICK, write_people

SETTINGS = [word for name, value in QUICK.items() for word in ("--set", f"{name}={value}")]
LIMITS = [word for name, value in LOOSE.items() for word in ("--threshold", f"{name}={value}")]


@pytest.mark.slow
def test_a_newcomer_goes_from_a_file_to_tagged_records_and_back(
    rag: Program, tmp_path: Path
) -> None:
    write_people(tmp_path / "people.csv")
    loaded = rag("synth", "load", "people", "people.csv", "--json").json
    assert (loaded["added"], loaded["dataset"]) == (700, "people@1")
    assert [(one["name"], one["kind"], one["is_key"]) for one in loaded["columns"]] == [
        ("id", "category", True),
        ("age", "integer", False),
        ("trade", "category", False),
        ("pay", "number", False),
    ]
    fitted = rag("synth", "fit", "people", *SETTINGS, "--plot", "loss.svg", "--json")
    assert fitted.json["model"] == "version:people@1"
    assert "held back" in fitted.err
    assert (tmp_path / "loss.svg").read_text().startswith("<?xml")
    drawn = rag(
        "synth", "sample", "people", "-n", "150", "--where", "age >= 40", *LIMITS,
        "--out", "drawn.csv", "--json",
    )  # fmt: skip
    assert (drawn.json["stored"], drawn.json["batch_id"]) == (150, 2)
    lines = (tmp_path / "drawn.csv").read_text().splitlines()
    assert len(lines) == 151
    assert lines[0] == "id,age,trade,pay,_origin,_generator,_batch"
    assert all(",synthetic,version:people@1,2" in line for line in lines[1:])
    reported = rag("synth", "report", "people", "--html", "report.html", "--json").json
    assert reported == drawn.json["report"] == rag("eval", "synthetic", "people", "--json").json
    assert "<svg" in (tmp_path / "report.html").read_text()
    refused = rag("synth", "sample", "people", "-n", "150", "--json")
    assert refused.status == 1
    assert json.loads(refused.out)["stored"] == 0
    shown = rag("synth", "show", "people", "--json").json
    assert [one["verdict"] for one in shown["batches"]] == [None, "passed", "refused"]
    assert rag("synth", "delete", "people").status == 2
    assert rag("synth", "delete", "people", "--yes", "--json").json["models"] == [
        "version:people@1"
    ]
    assert rag("synth", "list", "--json").json == []


def test_what_is_wrong_is_one_line_and_makes_no_set(rag: Program) -> None:
    assert_one_line_error(rag("synth", "load", "people", "nothing.csv"), "nothing.csv")
    assert_one_line_error(rag("synth", "sample", "people"), "'people'")
    assert rag("synth", "list", "--json").json == []


def test_somebody_is_forgotten_by_hand_and_it_is_asked_before(rag: Program, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv", 60)
    rag("synth", "load", "people", "people.csv")
    forget = ("synth", "forget", "people", "--where", "id = 'p7'")
    assert_one_line_error(rag(*forget[:4], "wage = 1"), "no column wage")
    unasked = rag(*forget)
    assert (unasked.status, "say --yes" in unasked.err) == (2, True)
    would = rag(*forget, "--dry-run", "--json").json["would_forget"]
    assert (would["records"], would["models"]) == (1, [])
    assert rag("synth", "list", "--json").json[0]["real"] == 60
    said = rag(*forget, "--yes")
    assert "none is left" in said.out
    assert (said.status, "Traceback" in said.err) == (0, False)
    (erasure,) = rag("forget", "list", "--json").json
    assert (erasure["kind"], erasure["certificate"]["counts"]["records"]["records"]) == (
        "record",
        1,
    )
    assert_one_line_error(rag(*forget, "--yes"), "no real record of 'people'")


@pytest.mark.slow
def test_a_killed_fit_goes_on_and_a_killed_sampling_leaves_whole_batches(
    rag: Program, tmp_path: Path
) -> None:
    chance = random.Random(3)
    write_people(tmp_path / "people.csv", 2_000)
    rag("synth", "load", "people", "people.csv")
    fit = ("synth", "fit", "people", "--steps", "1500", "--set", "width=64", "--json")
    went_on = 0
    for _ in range(3):
        process = rag.started("--home", rag.home, *fit)
        assert process.stderr is not None
        for line in process.stderr:
            went_on += "going on from step" in line
            if "held back" in line and chance.random() < 0.3:
                break
        process.kill()
        finished(process)
        assert rag("models", "versions", "--json").json == []
    assert went_on >= 1
    fitted = rag(*fit).json
    sample = ("synth", "sample", "people", "-n", "20000", *LIMITS)
    for _ in range(6):
        process = rag.started("--home", rag.home, *sample)
        time.sleep(chance.uniform(2, 12))
        process.kill()
        finished(process)
        for batch in rag("synth", "show", "people", "--json").json["batches"][1:]:
            assert batch["records"] == batch["sampling"]["drawn"] > 19_000
            assert batch["model"] == fitted["model"]
    assert "healthy" in rag("doctor").out
