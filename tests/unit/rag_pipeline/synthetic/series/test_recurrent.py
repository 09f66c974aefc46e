"""A recurrent network that learns series of records."""

from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.series import series_quality
from rag_pipeline.synthetic.saved import load_generator, save_generator
from rag_pipeline.synthetic.series.recurrent import Recurrent, Settings
from rag_pipeline.synthetic.series.series import Layout, SeriesCodec
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, table_of

LAYOUT = Layout(key="id", time="day")
NEXT = {"new": "open", "open": "held", "held": "done", "done": "open"}


def cases(count: int, seed: int) -> Table:
    """States follow one another, load moves slowly, days rise by 1 to 7, and a city stays."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        state, load = str(chance.choice([*NEXT])), float(chance.normal(0, 3))
        day = int(chance.integers(0, 300))
        city = str(chance.choice(["Ulm", "Bonn"]))
        for _ in range(int(chance.integers(3, 9 if city == "Ulm" else 6))):
            records.append({"id": f"s{number}", "day": day, "city": city, "state": state,
                            "load": round(load, 1)})  # fmt: skip
            state, load = NEXT[state], 0.9 * load + float(chance.normal(0, 1))
            day += int(chance.integers(1, 8))
    order = chance.permutation(len(records))
    return table_of([records[at] for at in order])


@pytest.fixture(scope="module")
def real() -> Table:
    return cases(250, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Recurrent:
    chosen = Settings(key="id", time="day", width=32, dropout=0.1, steps=160, learning_rate=1e-2)
    return Recurrent.fit(real, chosen, Fitting(seed=1))[0]


def test_what_is_drawn_moves_as_what_was_learnt(model: Recurrent, real: Table) -> None:
    fresh, drawn = cases(250, 2), model.sample(250, seed=1)
    found = series_quality(fresh, drawn, LAYOUT)
    assert found.lengths > 0.8
    assert found.transitions["state"] > 0.8
    assert found.autocorrelations["load"] > 0.72
    shuffled = real.rows(np.arange(len(real)))
    for name in ("state", "load", "city"):
        shuffled.values[name][:] = np.random.default_rng(0).permutation(shuffled.values[name])
    worse = series_quality(fresh, shuffled, LAYOUT)
    assert worse.transitions["state"] < 0.5
    assert worse.autocorrelations["load"] < 0.7
    assert worse.score < found.score < series_quality(fresh, cases(250, 3), LAYOUT).score


def test_times_rise_a_city_stays_and_no_series_is_longer_than_was_learnt(
    model: Recurrent,
) -> None:
    drawn = model.sample(120, seed=4)
    groups = LAYOUT.groups(drawn)
    assert len(groups) == len(set(drawn.values["id"])) == 120
    assert max(map(len, groups)) <= 8
    for group in groups:
        assert set(np.diff(drawn.values["day"][group])) <= set(range(1, 8))
        assert len(set(drawn.values["city"][group])) == 1


def test_the_same_seed_draws_the_same_saved_or_not(model: Recurrent, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, Recurrent)
    assert loaded.sample(30, seed=7).records() == model.sample(30, seed=7).records()
    assert model.sample(30, seed=7).records() != model.sample(30, seed=8).records()
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 8 * 2**20


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_same_table_and_seed_give_the_same_weights_and_go_on_with_what_has_begun(
    real: Table, cell: str
) -> None:
    chosen = Settings(key="id", time="day", cell=cell, width=16, steps=5, window=3)  # type: ignore[arg-type]
    first, second = (Recurrent.fit(real, chosen, Fitting(seed=2))[0] for _ in range(2))
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())
    begun = cases(20, 5)
    whole = first.continued(begun, seed=1)
    assert first.continued(begun, seed=1).records() == whole.records()
    before, after = LAYOUT.groups(begun), LAYOUT.groups(whole)
    for old, new in zip(before, after, strict=True):
        assert len(old) <= len(new) <= max(8, len(old))
        given = [begun.rows(old).records(), whole.rows(new[: len(old)]).records()]
        assert given[0] == given[1]


def test_what_follows_depends_on_what_came_before(model: Recurrent) -> None:
    held = [{"id": f"x{n}", "day": 5, "city": "Ulm", "state": "held"} for n in range(60)]
    schema = cases(3, 1).schema
    whole = model.continued(table_of(held, schema), seed=2)
    second = [group[1] for group in LAYOUT.groups(whole) if len(group) > 1]
    assert np.mean(whole.values["state"][second] == "done") > 0.8


def test_all_series_fulfil_what_is_asked(model: Recurrent) -> None:
    drawn = model.sample_conditionally(40, {"city": frozenset({"Bonn"}), "load": Range(high=1)})
    assert set(drawn.values["city"]) == {"Bonn"}
    assert drawn.values["load"].max() <= 1
    for where, said in (
        ({"city": frozenset({"Hof"})}, "no record can have 'city' like that"),
        ({"hat": Range(low=1)}, "no column 'hat'"),
        ({"id": frozenset({"s1"})}, "'id' is not learnt"),
    ):
        with pytest.raises(SyntheticError, match=said):
            model.sample_conditionally(5, where)  # type: ignore[arg-type]


def test_what_is_asked_of_one_column_holds_for_what_goes_with_it() -> None:
    """Who is old has a cane, which is drawn first."""
    chance = np.random.default_rng(1)
    rows = []
    for number in range(400):
        is_old = chance.random() < 0.1
        cane = "cane" if is_old and chance.random() < 0.9 else "none"
        rows += [{"id": f"s{number}", "stick": cane, "age": "old" if is_old else "young", "n": at}
                 for at in range(2)]  # fmt: skip
    chosen = Settings(key="id", time="n", width=16, dropout=0.0, steps=150, learning_rate=2e-2)
    model, _ = Recurrent.fit(table_of(rows), chosen, Fitting(seed=1))
    drawn = model.sample_conditionally(200, {"age": frozenset({"old"})}, seed=1)
    assert set(drawn.values["age"]) == {"old"}
    assert 0.75 < np.mean(drawn.values["stick"] == "cane") <= 1


def test_a_series_that_is_too_long_is_named() -> None:
    rows = [{"id": f"s{n}", "x": n % 3} for n in range(40)] + [{"id": "log", "x": 1}] * 10_001
    with pytest.raises(SyntheticError, match="'log' has 10,001 records, and 10,000 can be learnt"):
        Recurrent.fit(table_of(rows), Settings(key="id"))
    model, _ = Recurrent.fit(table_of(rows[:40]), Settings(key="id", width=4, steps=1))
    assert np.isfinite(model.score_anomalies(table_of(rows))).all()


def test_a_series_in_another_order_is_stranger(model: Recurrent) -> None:
    usual, odd = cases(40, 6), cases(40, 6)
    odd.values["state"][:] = np.random.default_rng(0).permutation(odd.values["state"])
    scores = model.score_anomalies(usual)
    assert scores.shape == (40,)
    assert model.score_anomalies(odd).mean() > scores.mean() + 0.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": None}, "record 3 has no 'day'"),
        ({"key": None}, "record 3 has no 'id'"),
    ],
)
def test_records_without_a_key_or_a_time_are_named(change: dict[str, None], said: str) -> None:
    table = cases(30, 1)
    if "time" in change:
        table.values["day"][2] = np.nan
    else:
        table.values["id"][2] = None
    with pytest.raises(SyntheticError, match=said):
        Recurrent.fit(table, Settings(key="id", time="day"))


def test_what_makes_no_series_is_refused() -> None:
    table = cases(30, 1)
    with pytest.raises(SyntheticError, match="19 series are too few"):
        Recurrent.fit(cases(19, 1), Settings(key="id", time="day"))
    with pytest.raises(SyntheticError, match="no column 'hat'"):
        Recurrent.fit(table, Settings(key="hat"))
    with pytest.raises(SyntheticError, match="'city' holds no numbers or times"):
        Recurrent.fit(table, Settings(key="id", time="city"))
    with pytest.raises(SyntheticError, match="the key of a series and its time at once"):
        Recurrent.fit(table, Settings(key="day", time="day"))
    with pytest.raises(SyntheticError, match="which column is the key"):
        Recurrent.fit(table)
    empty = Schema(columns=(Column(name="id", kind="category"),))
    alone = table_of([{"id": f"s{n}"} for n in range(40)], empty)
    with pytest.raises(SyntheticError, match="nothing can be learnt"):
        Recurrent.fit(alone, Settings(key="id"))


@pytest.mark.parametrize("length", [1, 4])
def test_series_of_one_record_and_series_that_are_all_the_same_are_drawn_as_such(
    length: int,
) -> None:
    table = table_of(
        {"id": n, "at": at, "state": "on", "load": 2.5} for n in range(30) for at in range(length)
    )
    model, _ = Recurrent.fit(
        table, Settings(key="id", time="at", width=8, steps=60, learning_rate=3e-2)
    )
    drawn = model.sample(10)
    groups = Layout(key="id", time="at").groups(drawn)
    assert len(groups) == 10
    assert np.mean([len(group) == length for group in groups]) > 0.7
    assert set(drawn.values["state"]) == {"on"}
    assert set(drawn.values["load"]) == {2.5}
    assert set(drawn.values["at"]) <= set(range(length))


def test_codes_of_series_come_back_as_records_in_the_order_of_their_times(real: Table) -> None:
    codec = SeriesCodec.learnt(real, LAYOUT)
    groups, codes = LAYOUT.groups(real), codec.encoded(real)
    again = codec.decoded(
        codes, real.values["id"][[g[0] for g in groups]], np.random.default_rng(0)
    )
    order = np.concatenate(groups)
    assert again.values["state"].tolist() == real.values["state"][order].tolist()
    assert again.values["city"].tolist() == real.values["city"][order].tolist()
    assert codec.fixed == ("city",)
    for group in LAYOUT.groups(again):
        assert (np.diff(again.values["day"][group]) >= 1).all()
