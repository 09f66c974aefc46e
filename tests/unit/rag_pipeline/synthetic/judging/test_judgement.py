"""A judgement tells good records from bad ones, and says what it looked at."""

import json

import numpy as np
import pytest
from support.sailors import changed, first, sailors, shaken, shuffled, together

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging import judgement
from rag_pipeline.synthetic.judging.coverage import coverage
from rag_pipeline.synthetic.judging.efficacy import efficacy_of, telling_of
from rag_pipeline.synthetic.judging.gate import verdict
from rag_pipeline.synthetic.judging.judgement import Judgement, judged
from rag_pipeline.synthetic.judging.slices import sliced
from rag_pipeline.synthetic.judging.validity import unseen, valid
from rag_pipeline.synthetic.tables.table import Column, Schema, Table


@pytest.fixture(scope="module")
def train() -> Table:
    return sailors(1_600, 1)


@pytest.fixture(scope="module")
def holdout() -> Table:
    return sailors(1_000, 2)


@pytest.fixture(scope="module")
def fresh() -> Table:
    return sailors(1_000, 3)


@pytest.fixture(scope="module")
def good(train: Table, holdout: Table, fresh: Table) -> Judgement:
    return judged(train, holdout, fresh, target="pay", slices=("trade", "age", "married"))


def test_real_records_in_the_place_of_synthetic_ones_pass(good: Judgement) -> None:
    found = verdict(good)
    assert found.state == "passed", found.as_json()["reasons"]
    assert good.synthetic.detection < 0.6
    assert good.efficacy is not None
    assert good.efficacy.ratio == pytest.approx(1, abs=0.05)
    assert good.measures["shape_error_ratio"].value == pytest.approx(1, abs=0.5)


@pytest.mark.slow
def test_real_records_pass_all_limits_in_twenty_of_twenty_seeds() -> None:
    broken = []
    for seed in range(20):
        tables = (sailors(n, 200 + 3 * seed + k) for k, n in enumerate((1_600, 1_000, 1_000)))
        found = verdict(judged(*tables, target="married", slices=("trade",), seed=seed))
        broken += [f"{seed}: {check}" for check in found.reasons]
    assert broken == []


def test_columns_with_nothing_between_them_and_broken_constraints_are_refused(
    train: Table, holdout: Table, fresh: Table
) -> None:
    bad = shuffled(fresh, 4)
    found = judged(
        train, holdout, bad, target="pay", constraints=lambda table: table.values["age"] > 18
    )
    assert {check.threshold for check in verdict(found).reasons} >= {
        "validity", "trend_error", "efficacy_ratio_number",
    }  # fmt: skip
    assert found.synthetic.validity == pytest.approx((fresh.values["age"] > 18).mean())
    assert found.synthetic.detection > 0.75 > found.floor.detection


def test_what_is_left_of_few_kinds_of_records_covers_little(train: Table, fresh: Table) -> None:
    one = fresh.rows(np.resize(np.flatnonzero(fresh.values["trade"] == "nurse")[:20], 1_000))
    found, natural = coverage(train, one), coverage(train, fresh)
    assert found.recall < 0.3 < natural.recall
    assert found.names < 0.6 < natural.names
    assert found.unique < 0.1 < natural.unique
    assert found.entropy < 0.7 < natural.entropy


def test_the_same_tables_and_seed_give_the_same_json(train: Table, holdout: Table) -> None:
    tables = (first(train, 300), first(holdout, 200), sailors(200, 7))
    one, other = (json.dumps(judged(*tables, target="married").as_json()) for _ in range(2))
    assert one == other


def test_the_json_is_whole(good: Judgement, train: Table) -> None:
    found = json.loads(json.dumps(good.as_json(), allow_nan=False))
    assert found["records"]["train"] == 1_600
    assert [one["name"] for one in found["columns"]] == list(train.values)
    assert len(found["pairs"]) == 15
    for one in found["columns"]:
        assert sum(one["histogram"]["real"]) == pytest.approx(1, abs=1e-3)
        assert sum(one["histogram"]["synthetic"]) == pytest.approx(1, abs=1e-3)


def test_slices_show_whom_synthetic_records_do_injustice(
    train: Table, holdout: Table, fresh: Table
) -> None:
    pay = fresh.values["pay"].copy()
    nurses = fresh.values["trade"] == "nurse"
    pay[nurses] = np.random.default_rng(0).permutation(pay[nurses])
    kept = np.flatnonzero(~nurses | (np.arange(len(fresh)) % 2 == 0))
    drawn = changed(fresh, pay=pay).rows(kept)
    telling = telling_of(train, holdout, drawn, "pay")
    found = sliced(train, holdout, drawn, ("trade",), telling)
    by_trade = {one.value: one for one in found}
    assert list(by_trade) == ["smith", "clerk", "nurse"]
    nurse, smith = by_trade["nurse"], by_trade["smith"]
    assert nurse.synthetic_share < 0.65 * nurse.real_share
    assert nurse.trend is not None
    assert smith.trend is not None
    assert nurse.trend < smith.trend
    assert nurse.learnt_from_synthetic is not None
    assert nurse.learnt_from_real is not None
    assert nurse.learnt_from_synthetic < nurse.learnt_from_real - 0.1


def test_a_weak_target_and_few_held_out_records_leave_room_for_chance(train: Table) -> None:
    for seed in range(2):
        few, drawn = sailors(300, 50 + seed), sailors(800, 60 + seed)
        found = efficacy_of(few, telling_of(train, few, drawn, "married"))
        (ratio,) = found.measures.values()
        assert ratio.by_chance is not None
        assert 0.7 < ratio.by_chance < 0.97
        assert ratio.value > ratio.by_chance
    without = efficacy_of(few, telling_of(train, few, shuffled(train, 1), "pay"))
    (ratio,) = without.measures.values()
    assert ratio.by_chance is not None
    assert ratio.value < ratio.by_chance


def test_parts_of_a_number_have_as_many_records_each(good: Judgement) -> None:
    ages = [one for one in good.slices if one.column == "age"]
    assert len(ages) == 4
    assert sum(one.real for one in ages) == 1_600
    assert {one.value for one in good.slices if one.column == "married"} == {"True", "False"}


def test_many_records_are_judged_by_some_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch, train: Table, holdout: Table, fresh: Table
) -> None:
    monkeypatch.setattr(judgement, "_MOST_RECORDS", 600)
    monkeypatch.setattr(judgement, "_MOST_MEETINGS", 300 * 15)
    found = judged(train, first(holdout, 400), fresh)
    assert found.as_json()["records"] == {
        "train": 1_600,
        "held_out": 400,
        "synthetic": 1_000,
        "compared": {"shapes": 600, "held_out": 400, "trends": 300, "privacy": 400},
    }


def test_infinite_numbers_and_ten_thousand_names_are_judged_and_refused() -> None:
    chance = np.random.default_rng(0)

    def with_many_names(table: Table) -> Table:
        names = [f"name {number}" for number in chance.integers(0, 10_000, len(table))]
        return changed(table, town=np.array(names, np.object_))

    train, holdout, drawn = (with_many_names(sailors(count, count)) for count in (600, 300, 301))
    pay = drawn.values["pay"].copy()
    pay[:3] = np.inf, -np.inf, np.nan
    found = judged(train, holdout, changed(drawn, pay=pay), target="pay")
    json.dumps(found.as_json(), allow_nan=False)
    assert found.synthetic.validity < 1
    assert found.measures["trend_error"].value < 1


def test_what_does_not_go_together_is_refused(train: Table, holdout: Table, fresh: Table) -> None:
    with pytest.raises(SyntheticError, match="no column 'shoe'"):
        judged(train, holdout, fresh, target="shoe")
    with pytest.raises(SyntheticError, match="no column 'shoe'"):
        judged(train, holdout, fresh, slices=("shoe",))
    with pytest.raises(SyntheticError, match="no records"):
        judged(train, first(holdout, 0), fresh)


def test_values_out_of_what_a_column_has_room_for_are_not_valid() -> None:
    schema = Schema(
        columns=(
            Column(name="id", kind="category", is_key=True),
            Column(name="whole", kind="integer"),
            Column(name="cents", kind="number", decimals=2),
            Column(name="truth", kind="boolean"),
        )
    )
    nan = float("nan")
    table = Table(
        schema=schema,
        values={
            "id": np.array(["a", "b", "c", "d", "e", "e"], np.object_),
            "whole": np.array([1, 1.5, np.inf, nan, 1, 1]),
            "cents": np.array([0.25, 0.25, 0.25, nan, 0.255, 0.25]),
            "truth": np.array([1, 1, 1, nan, 0.5, 0]),
        },
    )
    assert valid(table).tolist() == [True, False, False, True, False, False]


def test_values_that_were_never_learnt_are_seen(train: Table) -> None:
    table = first(train, 5)
    town, age = table.values["town"].copy(), table.values["age"].copy()
    height, pay = table.values["height"].copy(), table.values["pay"].copy()
    town[0], town[1], age[2], height[3], pay[3] = "Atlantis", None, 200, np.nan, np.nan
    other = changed(table, town=town, age=age, height=height, pay=pay)
    found = unseen(train, other, list(train.values))
    assert found.tolist() == [True, True, True, True, False]
    assert not unseen(train, changed(other, pay=table.values["pay"]), ["height", "pay"]).any()


def test_precision_falls_with_noise_and_recall_with_what_is_missing(
    train: Table, fresh: Table
) -> None:
    natural = coverage(train, fresh)
    noisy = coverage(train, shuffled(fresh, 1))
    few = coverage(train, fresh.rows(np.flatnonzero(fresh.values["age"] > 70)))
    assert noisy.precision < natural.precision
    assert few.recall < natural.recall - 0.2
    copied = together(first(train, 500), first(train, 500))
    assert coverage(train, copied).unique == pytest.approx(0.5, abs=0.01)
    assert coverage(train, shaken(train, 2)).unique > 0.95
