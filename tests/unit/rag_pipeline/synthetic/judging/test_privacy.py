"""Copies and shaken copies are found out; real records are not taken for copies."""

from collections.abc import Mapping

import numpy as np
import pytest
from support.sailors import SCHEMA, changed, first, sailors, shaken, shuffled, together

from rag_pipeline.synthetic.judging.copies import copies_of_unique, row_keys, without_copies
from rag_pipeline.synthetic.judging.distances import Space, distances, nearest
from rag_pipeline.synthetic.judging.gate import Verdict, verdict
from rag_pipeline.synthetic.judging.measure import Measured, area_under_curve
from rag_pipeline.synthetic.judging.privacy import privacy
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, table_of

SIZE = 1_200


def gated(train: Table, holdout: Table, synthetic: Table, *, dropped: int = 0) -> Verdict:
    found = privacy(train, holdout, synthetic, dropped=dropped)
    judged = Measured(records=len(synthetic), held_out=len(holdout), measures=found.measures)
    return verdict(judged)


def broken(found: Verdict) -> set[str]:
    return {check.threshold for check in found.reasons}


def values(train: Table, holdout: Table, synthetic: Table) -> Mapping[str, float]:
    found = privacy(train, holdout, synthetic).measures
    return {name: measure.value for name, measure in found.items()}


@pytest.fixture(scope="module")
def train() -> Table:
    return sailors(2_000, 1)


@pytest.fixture(scope="module")
def holdout() -> Table:
    return sailors(SIZE, 2)


@pytest.fixture(scope="module")
def fresh() -> Table:
    """As good as synthetic records can be."""
    return sailors(SIZE, 3)


def test_a_real_holdout_is_accepted_in_twenty_of_twenty_seeds() -> None:
    states = []
    for seed in range(20):
        train, holdout, fresh = (
            sailors(count, 100 + 3 * seed + place) for place, count in enumerate((SIZE, SIZE, SIZE))
        )
        states.append(gated(train, holdout, fresh).state)
    assert states == ["passed"] * 20


def test_one_planted_copy_in_a_hundred_is_rejected(
    train: Table, holdout: Table, fresh: Table
) -> None:
    planted = together(first(fresh, SIZE - SIZE // 100), first(train, SIZE // 100))
    assert "exact_copies" in broken(gated(train, holdout, planted))


def test_copies_that_were_dropped_before_count_all_the_same(
    train: Table, holdout: Table, fresh: Table
) -> None:
    assert gated(train, holdout, fresh).passes
    assert broken(gated(train, holdout, fresh, dropped=SIZE // 100)) == {"exact_copies"}


def test_shaken_training_records_are_rejected_though_none_is_a_copy(
    train: Table, holdout: Table
) -> None:
    copies = shaken(first(train, SIZE), 4)
    kept, _ = without_copies(train, copies)
    found = gated(train, holdout, kept)
    assert broken(found) >= {"near_copies", "closer_to_train", "membership"}
    assert "exact_copies" not in broken(found)
    assert {check.threshold for check in found.warnings} == {"distance_ratio_warning"}


def test_the_training_records_themselves_are_rejected_by_everything(
    train: Table, holdout: Table
) -> None:
    found = broken(gated(train, holdout, first(train, SIZE)))
    assert found == {
        "exact_copies", "near_copies", "closer_to_train", "membership", "singled_out",
    }  # fmt: skip


def test_a_large_distance_is_told_from_a_natural_one(
    train: Table, holdout: Table, fresh: Table
) -> None:
    natural = values(train, holdout, fresh)
    assert natural["distance_ratio"] == pytest.approx(1, abs=0.2)
    assert values(train, holdout, shuffled(fresh, 5))["distance_ratio"] > 1.1
    assert natural["closer_to_train"] == pytest.approx(0.5, abs=0.05)


def test_the_same_seed_measures_the_same_and_the_tables_stay_as_they_are(
    train: Table, holdout: Table, fresh: Table
) -> None:
    before = fresh.records()
    one, other = (privacy(train, holdout, fresh, seed=7).as_json() for _ in range(2))
    assert one == other
    assert fresh.records() == before
    assert privacy(train, holdout, fresh, seed=8).probes == one["probes"] == SIZE


def test_only_records_that_are_there_once_count_as_copies() -> None:
    schema = Schema(columns=(Column(name="a", kind="number"), Column(name="b", kind="category")))
    rows = [{"a": 1, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": None, "b": "x"}]
    drawn = [{"a": 2, "b": None}, {"a": 1, "b": "x"}, {"a": None, "b": "x"}, {"a": -0.0, "b": "x"}]
    train, synthetic = table_of(rows, schema), table_of(drawn, schema)
    assert copies_of_unique(train, synthetic).tolist() == [0, 2]
    kept, dropped = without_copies(train, synthetic)
    assert dropped.tolist() == [0, 2]
    assert kept.records() == [drawn[1], {"a": 0.0, "b": "x"}]


def test_keys_and_texts_make_no_copy_another_record() -> None:
    schema = Schema(
        columns=(
            Column(name="id", kind="category", is_key=True),
            Column(name="note", kind="text"),
            Column(name="a", kind="number"),
        )
    )
    train = table_of([{"id": "1", "note": "one", "a": 3}], schema)
    synthetic = table_of([{"id": "9", "note": "other", "a": 3}], schema)
    assert copies_of_unique(train, synthetic).tolist() == [0]


def test_zeros_are_one_value_whatever_their_sign_and_nan_is_one() -> None:
    schema = Schema(columns=(Column(name="a", kind="number"),))
    one = Table(schema=schema, values={"a": np.array([0.0, np.nan])})
    other = Table(schema=schema, values={"a": np.array([-0.0, -np.nan])})
    ours, theirs = row_keys([one, other], ["a"])
    assert ours.tolist() == theirs.tolist()
    assert len(set(ours.tolist())) == 2


def test_distances_are_sums_of_ranks_and_mismatches() -> None:
    schema = Schema(
        columns=(
            Column(name="a", kind="number"),
            Column(name="b", kind="category"),
            Column(name="c", kind="boolean"),
        )
    )
    rows = [{"a": n, "b": "x" if n < 2 else "y", "c": n == 3} for n in range(4)]
    other = [{"a": None, "b": "z", "c": None}]
    table, space = table_of(rows, schema), Space(table_of(rows, schema), ["a", "b", "c"])
    found = np.concatenate([*distances(space.place(table), space.place(table))])
    assert found[0].tolist() == pytest.approx([0, 1 / 3, 5 / 3, 3])
    assert np.array_equal(found, found.T)
    # What is missing differs from all, and stands in the middle.
    assert nearest(space.place(table_of(other, schema)), space.place(table)).min() >= 3


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    chance = np.random.default_rng(0)
    ones, others = chance.integers(0, 9, 80) / 1.0, chance.integers(2, 12, 50) / 1.0
    theirs = roc_auc_score([1] * 80 + [0] * 50, np.concatenate([ones, others]))
    assert area_under_curve(ones, others) == pytest.approx(theirs)


@pytest.mark.parametrize("count", [1, 2])
def test_tables_of_one_record_or_two_are_judged_without_a_crash(count: int) -> None:
    found = privacy(sailors(count, 1), sailors(count, 2), sailors(count, 3))
    assert found.probes == count
    assert found.measures["closer_to_train"].by_chance is not None


def test_a_column_with_nothing_in_it_or_one_value_hurts_no_figure() -> None:
    tables = [
        changed(
            sailors(500, seed),
            height=np.full(500, np.nan),
            age=np.full(500, 30.0),
            town=np.full(500, None, np.object_),
        )
        for seed in (1, 2, 3)
    ]
    found = privacy(*tables)
    assert found.measures["closer_to_train"].value == pytest.approx(0.5, abs=0.1)
    assert tables[0].schema == SCHEMA
