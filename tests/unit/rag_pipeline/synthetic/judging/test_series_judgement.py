"""Real series pass; copied, shaken and shuffled ones do not."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from lxml import html
from support.visits import visits

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.gate import Verdict, verdict
from rag_pipeline.synthetic.judging.outlines import series_keys
from rag_pipeline.synthetic.judging.page import page
from rag_pipeline.synthetic.judging.report import report_of
from rag_pipeline.synthetic.judging.series import Ordered, series_quality
from rag_pipeline.synthetic.judging.series_judgement import SeriesJudgement, judged_series
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, Values, table_of

LAYOUT = Layout(key="patient", time="visited_at")
DAY = 86_400.0


def _with_role(column: Column) -> Column:
    if column.name == "patient":
        return replace(column, kind="category", is_key=False, role="series")
    return replace(column, role="time") if column.name == "visited_at" else column


_FOUND = table_of(visits(30)).schema
SCHEMA = Schema(columns=tuple(map(_with_role, _FOUND.columns)))


def patients(count: int, seed: int) -> Table:
    return table_of(visits(count, seed), SCHEMA)


def _changed(table: Table, **columns: Values) -> Table:
    return Table(schema=table.schema, values={**table.values, **columns})


def shuffled(table: Table) -> Table:
    """Each series in another order; its times, sex and age stay."""
    chance = np.random.default_rng(0)
    order = np.arange(len(table))
    for group in LAYOUT.groups(table):
        order[group] = chance.permutation(group)
    return _changed(table, **{name: table.values[name][order] for name in ("state", "pressure")})


def shaken(table: Table) -> Table:
    """Each series with a little added to its pressures and times."""
    chance = np.random.default_rng(0)
    days = chance.integers(-1, 2, len(table)) * DAY
    pressure = table.values["pressure"] + chance.integers(-2, 3, len(table))
    return _changed(table, pressure=pressure, visited_at=table.values["visited_at"] + days)


TRAIN, HELD_OUT = patients(200, 1), patients(50, 2)


def judged(drawn: Table, target: str | None = None) -> SeriesJudgement:
    return judged_series(TRAIN, HELD_OUT, drawn, LAYOUT, target=target, seed=3)


def reasons(found: Verdict) -> set[str]:
    return {check.measure for check in found.reasons}


@pytest.fixture(scope="module")
def good() -> SeriesJudgement:
    """Of real series."""
    return judged(patients(200, 3))


def test_real_series_that_were_not_learnt_from_pass_by_default(good: SeriesJudgement) -> None:
    assert verdict(good).state == "passed"
    assert good.synthetic.detection < 0.7


def test_a_target_is_told_from_the_record_before_too() -> None:
    learnt, fresh = patients(50, 1), patients(50, 2)
    told = [
        judged_series(learnt, fresh, one, LAYOUT, target="state").efficacy
        for one in (patients(50, 3), shuffled(patients(50, 3)))
    ]
    (real, broken) = [one.ratio for one in told if one is not None and one.ratio is not None]
    assert broken < 0.8 < real


@pytest.mark.parametrize(
    ("control", "seen"),
    [
        (lambda: shuffled(patients(200, 3)), {"dynamics_error", "detection"}),
        (lambda: TRAIN, {"exact_copies", "near_copies", "membership"}),
        (lambda: shaken(TRAIN), {"near_copies", "membership"}),
        (lambda: patients(200, 3).rows(np.arange(700)), {"length_error"}),
    ],
    ids=["shuffled", "copied", "shaken", "cut off"],
)
def test_what_is_no_new_series_is_refused_and_it_is_said_why(
    control: Callable[[], Table], seen: set[str]
) -> None:
    found = verdict(judged(control()))
    assert found.state == "refused"
    assert seen <= reasons(found)


def test_a_few_copies_among_good_series_are_seen() -> None:
    fresh, copied = patients(200, 3), TRAIN.rows(np.concatenate(LAYOUT.groups(TRAIN)[:12]))
    both = {
        name: np.concatenate([fresh.values[name], copied.values[name]]) for name in fresh.values
    }
    both["patient"][len(fresh) :] = [f"c{name}" for name in copied.values["patient"]]
    assert "exact_copies" in reasons(verdict(judged(Table(schema=SCHEMA, values=both))))


def test_few_series_stay_unreviewed_and_their_limits_are_wider(good: SeriesJudgement) -> None:
    few, many = judged(patients(40, 3)), good
    assert verdict(few).state == "unreviewed"
    assert "series" in reasons(verdict(few))
    for name in ("length_error", "dynamics_error", "closer_to_train"):
        wide, narrow = few.measures[name].by_chance, many.measures[name].by_chance
        assert wide is not None
        assert narrow is not None
        assert wide > narrow
    with pytest.raises(SyntheticError, match="10 series of one side are too few"):
        judged(patients(10, 3))


def test_a_copy_is_one_whatever_it_is_called_and_whenever_it_began_and_in_no_other_order() -> None:
    later = _changed(TRAIN, visited_at=TRAIN.values["visited_at"] + 777 * DAY)
    again = _changed(later, patient=np.array([f"x{name}" for name in TRAIN.values["patient"]]))
    turned = TRAIN.rows(np.random.default_rng(0).permutation(len(TRAIN)))
    sides = [Ordered.by(one, LAYOUT) for one in (TRAIN, again, turned, shuffled(TRAIN), HELD_OUT)]
    learnt, called, stored, other, fresh = series_keys(sides, LAYOUT)
    assert learnt.tolist() == called.tolist()
    assert sorted(learnt.tolist()) == sorted(stored.tolist())
    assert np.isin(other, learnt).mean() < 0.1
    assert not np.isin(fresh, learnt).any()
    longer = TRAIN.rows(np.delete(np.arange(len(TRAIN)), LAYOUT.groups(TRAIN)[0][-1]))
    (cut,) = series_keys([Ordered.by(longer, LAYOUT)], LAYOUT)
    assert np.count_nonzero(~np.isin(learnt, cut)) == 1


def test_shuffling_breaks_what_follows_what_and_leaves_lengths_and_steps() -> None:
    fresh = patients(200, 3)
    good, broken = (series_quality(TRAIN, one, LAYOUT) for one in (fresh, shuffled(fresh)))
    assert good.transitions.keys() == {"state"}
    assert good.autocorrelations.keys() == good.changes.keys() == {"pressure"}
    assert (good.lengths, good.steps) == (broken.lengths, broken.steps)
    assert good.dynamics > 0.95 > 0.85 > broken.dynamics


def test_the_same_series_give_the_same_report_and_a_page_that_shows_them(
    good: SeriesJudgement,
) -> None:
    first, second = good.as_json(), judged(patients(200, 3)).as_json()
    assert json.dumps(first, allow_nan=False) == json.dumps(second)
    assert first["series"]["synthetic"] == 200
    assert first["series"]["unit"] == "days"
    shown = html.fromstring(page(report_of(verdict(good), good, provenance={"set": "visits"})))
    headings = [" ".join(one.itertext()) for one in shown.xpath("//section/h2")]
    assert "Series" in headings
    part = shown.xpath("//section[@aria-labelledby='series']")[0]
    assert len(part.xpath(".//svg[@aria-label]")) == 3
    assert "200 synthetic series, by patient" in " ".join(part.itertext())


def test_series_without_times_or_without_moves_are_judged_by_what_they_have() -> None:
    names = [one for one in SCHEMA.columns if one.name in ("patient", "sex", "age")]
    still = Schema(columns=tuple(names))
    layout = Layout(key="patient")
    learnt, held_out, drawn = (
        Table(schema=still, values={one.name: table.values[one.name] for one in names})
        for table in (TRAIN, HELD_OUT, patients(150, 3))
    )
    found = judged_series(learnt, held_out, drawn, layout)
    assert "step_error" not in found.measures
    assert found.as_json()["series"]["moves"] == []
    assert verdict(found).state == "passed"
    assert "No column changes" in page(report_of(verdict(found), found, provenance={}))
