"""Sets whose records make series: loaded, learnt, drawn, judged and exported as whole series."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.service import called
from support.visits import LOOSE_SERIES, QUICK_SERIES, visits, write_visits

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.synthetic.errors import SyntheticError, TableError
from rag_pipeline.synthetic.exporting import ExportWanted
from rag_pipeline.synthetic.fitting_report import FitWanted
from rag_pipeline.synthetic.judging.page import page
from rag_pipeline.synthetic.record_loading import LoadWanted
from rag_pipeline.synthetic.sampling_report import SampleWanted
from rag_pipeline.synthetic.series.recurrent import Recurrent
from rag_pipeline.synthetic.tables.table import Table
from storage.errors import InvalidRecordError
from storage.records import LOCAL_OWNER

LOAD = LoadWanted(name="visits", series="patient", time="visited_at")
FIT = FitWanted(name="visits", settings=QUICK_SERIES)
DRAW = SampleWanted(name="visits", count=40, thresholds=LOOSE_SERIES)
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Rows = list[Mapping[str, Any]]


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    with RagPipeline.open(tmp_path / "home", database=database_url, generator="echo") as rag:
        yield rag


@pytest.fixture
def loaded(rag: RagPipeline, tmp_path: Path) -> RagPipeline:
    rag.synthetic.load(replace(LOAD, path=write_visits(tmp_path / "visits.csv")))
    return rag


def by_patient(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(row["patient"], []).append(row)
    return found


def test_series_are_learnt_drawn_judged_tagged_and_exported_whole(
    loaded: RagPipeline, tmp_path: Path
) -> None:
    synthetic = loaded.synthetic
    learnt = synthetic.fit(FIT)
    assert learnt.method == "series/recurrent"
    assert learnt.model.parameters["settings"]["key"] == "patient"
    assert learnt.series == learnt.model.parameters["series"]
    assert {"lengths", "dynamics"} < learnt.nearness.keys()

    sampled = synthetic.sample(replace(DRAW, where="sex = 'f'", slices=("clinic",)))
    assert (sampled.series, sampled.stored) == (40, len(sampled.drawn))
    report = json.loads(json.dumps(sampled.report(), allow_nan=False))
    assert report == synthetic.report("visits")
    assert report["provenance"]["series"] == 40
    assert report["judgement"]["series"]["synthetic"] == 40
    assert {one["column"] for one in report["judgement"]["slices"]} == {"clinic"}
    assert "Series" in page(report)

    rows = [*synthetic.rows("visits", "synthetic")]
    assert {row.values["sex"] for row in rows} == {"f"}
    drawn = {row.values["patient"] for row in rows}
    assert len(drawn) == 40
    assert not drawn & {row.values["patient"] for row in synthetic.rows("visits", "real")}

    wanted = ExportWanted(name="visits", path=tmp_path / "both.jsonl", origin="both")
    exported = synthetic.export(wanted)
    lines = [json.loads(line) for line in wanted.path.read_text("utf-8").splitlines()]
    assert exported.synthetic == len(rows)
    order = list(dict.fromkeys(line["patient"] for line in lines))
    together = by_patient(lines)
    assert [line for name in order for line in together[name]] == lines
    for one in together.values():
        times = [line["visited_at"] for line in one]
        assert times == sorted(times)
        assert len({line["_origin"] for line in one}) == 1
    card = json.loads(exported.card.with_suffix(".json").read_text("utf-8"))
    assert card["series"] == {"real": 240, "synthetic": 40}
    assert "240 real and 40 synthetic series" in exported.card.read_text("utf-8")


def test_no_series_is_on_both_sides_of_the_split_whatever_comes_later(
    loaded: RagPipeline, tmp_path: Path
) -> None:
    later = [{**row, "visited_at": "2028" + row["visited_at"][4:]} for row in visits(240)]
    (tmp_path / "later.jsonl").write_text("\n".join(map(json.dumps, later)))
    loaded.synthetic.load(LoadWanted(name="visits", path=tmp_path / "later.jsonl"))
    sides: dict[str, set[str]] = {}
    for row in loaded.synthetic.rows("visits", "real"):
        sides.setdefault(row.values["patient"], set()).add(row.split)
    assert all(len(one) == 1 for one in sides.values())
    held_out = sum(one == {"holdout"} for one in sides.values())
    assert 0.1 < held_out / len(sides) < 0.3


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagPipeline]:
    folder = tmp_path_factory.mktemp("visits")
    with RagPipeline.open(folder / "home", generator="echo") as rag:
        for name in ("visits", "others"):
            path = write_visits(folder / f"{name}.csv")
            rag.synthetic.load(replace(LOAD, name=name, path=path))
        rag.synthetic.fit(FIT)
        yield rag


@SQLITE
@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (replace(DRAW, where="pressure > 100"), "'pressure' changes within series"),
        (replace(DRAW, where="visited_at > '2024-02-01'"), "sex, clinic, age"),
        (replace(DRAW, where="patient = 'p1'"), "'patient' is not learnt"),
        (replace(DRAW, where="sex = 'x'"), "no record can have"),
        (replace(DRAW, count=400_000), "400000 series would be about"),
        (replace(DRAW, count=40, most_records=100), "ask for 1"),
        (replace(DRAW, name="others", model="visits@1"), "learnt 'visits', not 'others'"),
        (replace(DRAW, target="patient"), "'patient'"),
    ],
    ids=lambda one: None,
)
def test_what_cant_be_drawn_of_series_is_said_and_nothing_is_stored(
    fitted: RagPipeline, wanted: SampleWanted, said: str
) -> None:
    before = fitted.synthetic.batches("visits")
    with pytest.raises(SyntheticError) as raised:
        fitted.synthetic.sample(wanted)
    assert said in str(raised.value)
    assert fitted.synthetic.batches("visits") == before


@SQLITE
@pytest.mark.usefixtures("database_url")
def test_series_that_were_learnt_are_dropped_and_others_drawn_in_their_place(
    fitted: RagPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in fitted.synthetic.rows("visits", "real") if row.split == "train"]
    name = rows[0].values["patient"]
    known = [row.values for row in rows if row.values["patient"] == name]
    drawn_before, turns = Recurrent.sample_conditionally, iter(range(9))

    def repeating(self: Recurrent, *args: Any, **kwargs: Any) -> Table:
        drawn = drawn_before(self, *args, **kwargs)
        if next(turns):
            return drawn
        longer = drawn.rows(np.concatenate([np.zeros(len(known), np.int64), np.arange(len(drawn))]))
        own = {column: longer.values[column].copy() for column in longer.values}
        for at, record in enumerate(known):
            own["patient"][at] = "copied"
            for column in ("sex", "clinic", "age", "state", "pressure"):
                own[column][at] = record[column]
        first = np.datetime64(known[0]["visited_at"][:19])
        later = [np.datetime64(record["visited_at"][:19]) - first for record in known]
        own["visited_at"][: len(known)] = 5e8 + np.array(later, "timedelta64[s]").astype(np.float64)
        return Table(schema=drawn.schema, values=own)

    monkeypatch.setattr(Recurrent, "sample_conditionally", repeating)
    sampled = fitted.synthetic.sample(replace(DRAW, dry_run=True))
    assert sampled.copies == 1
    assert "copied" not in set(sampled.drawn.values["patient"])
    assert sampled.series == 40


def _records(count: int, length: int) -> Rows:
    return [
        {"who": f"w{number}", "at": at, "load": number % 7 + at}
        for number in range(count)
        for at in range(length)
    ]


def _write(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return path


GAPPY = [{**row, "who": "" if at == 5 else row["who"]} for at, row in enumerate(_records(9, 3))]
TIMELESS = [{**row, "at": "" if at == 7 else row["at"]} for at, row in enumerate(_records(9, 3))]
WORDY = [{**row, "at": f"day {row['at']}"} for row in _records(9, 3)]


@SQLITE
@pytest.mark.parametrize(
    ("rows", "changes", "error", "said"),
    [
        (_records(9, 3), {"series": "whom"}, TableError, "no column 'whom'; there are 'who'"),
        (_records(9, 3), {"time": "hour"}, TableError, "no column 'hour'"),
        (_records(9, 3), {"series": None}, SyntheticError, "--series"),
        (_records(9, 3), {"time": "who"}, SyntheticError, "'who' names the series"),
        (_records(9, 3), {"keys": ("who",)}, SyntheticError, "'who' names the series"),
        (_records(9, 3), {"constraints": ("load >= 0",)}, SyntheticError, "no constraints"),
        (WORDY, {}, TableError, "'at' is of the kind category"),
        (GAPPY, {}, InvalidRecordError, "record 6: there is no 'who'"),
        (TIMELESS, {}, InvalidRecordError, "record 8: there is no 'at'"),
    ],
)
def test_what_makes_no_series_is_said_and_no_set_is_made(
    rag: RagPipeline,
    tmp_path: Path,
    rows: Rows,
    changes: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    wanted = replace(LOAD, path=_write(tmp_path / "log.csv", rows), series="who", time="at")
    with pytest.raises(error) as raised:
        rag.synthetic.load(replace(wanted, **changes))
    assert said in str(raised.value)
    assert rag.synthetic.sets() == []


@SQLITE
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (_records(1, 900), "all of one 'who' are together"),
        (_records(30, 30), "series to learn from: below 100 they are learnt by heart"),
        (_records(900, 1), "each 'who' has one record"),
        (
            [*_records(200, 3), *({"who": "long", "at": at, "load": 1} for at in range(10_050))],
            "the series 'long' has 10,050 records, and 10,000 can be learnt",
        ),
    ],
    ids=["one series", "few series", "one record each", "a very long one"],
)
def test_what_cant_be_learnt_of_series_is_said_and_nothing_is_registered(
    rag: RagPipeline, tmp_path: Path, rows: Rows, said: str
) -> None:
    path = _write(tmp_path / "log.csv", rows)
    rag.synthetic.load(replace(LOAD, path=path, series="who", time="at"))
    with pytest.raises(SyntheticError) as raised:
        rag.synthetic.fit(FIT)
    assert said in str(raised.value)
    assert rag.models.list() == []


@SQLITE
def test_the_set_alone_says_what_its_series_are(loaded: RagPipeline, tmp_path: Path) -> None:
    again = replace(LOAD, path=write_visits(tmp_path / "more.csv", 30, seed=8))
    assert loaded.synthetic.load(again).batch.records > 0
    with pytest.raises(SyntheticError, match="has its columns, keys, series"):
        loaded.synthetic.load(replace(again, series="clinic"))
    with pytest.raises(SyntheticError, match="says itself what the key"):
        loaded.synthetic.fit(replace(FIT, settings={"key": "clinic"}))
    with pytest.raises(SyntheticError, match="no method 'series/vae'"):
        loaded.synthetic.fit(replace(FIT, method="vae"))
    with pytest.raises(SyntheticError, match="series/recurrent"):
        loaded.synthetic.fit(replace(FIT, method="table/vae"))


@SQLITE
@pytest.mark.usefixtures("database_url")
def test_series_are_drawn_over_http_and_the_set_says_what_makes_them(fitted: RagPipeline) -> None:
    with called(fitted) as callers:
        client = callers.by(LOCAL_OWNER)
        shown = client.get("/api/synthetic/sets/visits").json()
        assert (shown["series"], shown["time"]) == ("patient", "visited_at")
        samples = "/api/synthetic/sets/visits/samples"
        asked = {"count": 30, "thresholds": LOOSE_SERIES, "dry_run": True, "with_records": True}
        drawn = client.post(samples, json=asked).json()
        assert drawn["report"]["provenance"]["series"] == 30
        assert len(by_patient(drawn["records"])) == 30
        answer = client.post(samples, json={**asked, "where": "state = 'new'"})
        assert answer.status_code == 400
        assert "changes within series" in answer.json()["error"]["message"]
