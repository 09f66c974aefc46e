"""Shapes and trends equal what a plain reading of their definitions gives."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import contingency
from support.sailors import changed, first, sailors, shuffled

from rag_pipeline.synthetic.errors import SyntheticError, TableError
from rag_pipeline.synthetic.judging.tables import detection, efficacy, quality
from rag_pipeline.synthetic.judging.trends import apart, correlations
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, table_of

ORDERED = ("age", "pay", "height")


@pytest.fixture(scope="module")
def real() -> Table:
    return sailors(700, 1)


@pytest.fixture(scope="module")
def other() -> Table:
    table = sailors(400, 2)
    return changed(table, pay=table.values["pay"] * 1.3, trade=shuffled(table, 3).values["trade"])


def named(table: Table, name: str) -> list[object]:
    return ["-" if one is None or one != one else one for one in table.values[name].tolist()]


def variation(ours: list[object], theirs: list[object]) -> float:
    one, two = Counter(ours), Counter(theirs)
    return sum(abs(one[k] / len(ours) - two[k] / len(theirs)) for k in {*one, *two}) / 2


def binned(table: Table, real: Table, name: str) -> list[object]:
    if name not in ORDERED:
        return named(table, name)
    there = real.values[name][~np.isnan(real.values[name])]
    edges = np.histogram_bin_edges(there, 10)
    bins = [int(np.searchsorted(edges, one, side="right")) for one in table.values[name]]
    return ["-" if np.isnan(one) else b for one, b in zip(table.values[name], bins, strict=True)]


def test_shapes_are_those_of_the_definitions(real: Table, other: Table) -> None:
    found = quality(real, other).shapes
    for name in ("trade", "town", "married"):
        assert found[name] == pytest.approx(1 - variation(named(real, name), named(other, name)))
    for name in ORDERED:
        ours, theirs = (t.values[name][~np.isnan(t.values[name])] for t in (real, other))
        at = np.concatenate([ours, theirs])
        steps = [abs((ours <= x).mean() - (theirs <= x).mean()) for x in at]
        assert found[name] == pytest.approx(1 - max(steps))


def test_trends_are_those_of_the_definitions(real: Table, other: Table) -> None:
    found = quality(real, other).trends
    assert list(found) == list(combinations(real.values, 2))
    for (one, two), trend in found.items():
        if one in ORDERED and two in ORDERED:
            ours, theirs = (pearson(table, one, two) for table in (real, other))
            assert trend == pytest.approx(1 - abs(ours - theirs) / 2)
        else:
            meeting = [
                list(zip(binned(table, real, one), binned(table, real, two), strict=True))
                for table in (real, other)
            ]
            assert trend == pytest.approx(1 - variation(*meeting)), (one, two)


def pearson(table: Table, one: str, two: str) -> float:
    pair = np.stack([table.values[one], table.values[two]])
    return float(np.corrcoef(pair[:, ~np.isnan(pair).any(axis=0)])[0, 1])


def test_pairs_that_belong_together_are_those_of_scipy_s_association() -> None:
    table = sailors(700, 1)
    near = changed(table, town=np.array([f"{n // 4}" for n in table.values["age"]], np.object_))
    found = quality(near, shuffled(near, 1))
    expected = set()
    for one, two in combinations(near.values, 2):
        if one in ORDERED and two in ORDERED:
            strength, least = abs(pearson(near, one, two)), 0.5
        else:
            met = Counter(zip(binned(near, near, one), binned(near, near, two), strict=True))
            ours, theirs = ({str(pair[n]): 0 for pair in met} for n in (0, 1))
            grid = [[met_as(met, a, b) for b in theirs] for a in ours]
            strength, least = contingency.association(np.array(grid), method="cramer"), 0.3
        if strength > least:
            expected.add((one, two))
    assert found.related == expected
    assert ("age", "town") in expected
    assert len(expected) < len(found.trends) / 2
    # Most pairs don't belong together: that nothing is left of those that do shows here.
    assert found.related_trend < found.trend - 0.1


def met_as(met: Counter[tuple[object, object]], one: str, two: str) -> int:
    return sum(count for pair, count in met.items() if (str(pair[0]), str(pair[1])) == (one, two))


def test_correlations_of_large_numbers_that_hardly_change_are_exact() -> None:
    chance = np.random.default_rng(0)
    a = chance.normal(size=500)
    columns = {"a": a + 1e9, "b": 1e9 - a, "c": np.full(500, 0.1), "d": np.full(500, np.nan)}
    schema = Schema(columns=tuple(Column(name=name, kind="number") for name in columns))
    found = correlations(Table(schema=schema, values=columns), list(columns))
    assert found[0, 1] == pytest.approx(-1, abs=1e-9)
    assert found[2:].tolist() == found[:, 2:].T.tolist() == [[0] * 4] * 2


def test_counting_in_a_grid_and_sorting_give_the_same() -> None:
    chance = np.random.default_rng(0)
    one, other = chance.integers(0, 900, 300), chance.integers(100, 999, 200)
    assert apart(one, other, 1_000) == pytest.approx(apart(one, other, 10**9))


def test_the_same_records_are_as_near_as_can_be_in_any_order(real: Table) -> None:
    turned = real.rows(np.arange(len(real))[::-1])
    assert quality(real, turned).score == pytest.approx(1)


def test_columns_of_one_value_or_none_or_all_different_are_judged() -> None:
    count = 60
    schema = Schema(
        columns=(
            Column(name="one", kind="number"),
            Column(name="none", kind="integer"),
            Column(name="empty", kind="category"),
            Column(name="own", kind="category"),
        )
    )
    columns = {
        "one": np.full(count, 4.0),
        "none": np.full(count, np.nan),
        "empty": np.full(count, None, np.object_),
        "own": np.array([f"n{n}" for n in range(count)], np.object_),
    }
    table = Table(schema=schema, values=columns)
    assert quality(table, table).score == 1
    assert detection(table, table) == pytest.approx(0.5, abs=0.2)
    other = Table(schema=schema, values={**columns, "none": np.zeros(count)})
    assert quality(table, other).shapes["none"] == 0


def test_tables_that_differ_in_columns_or_have_no_records_are_refused(real: Table) -> None:
    with pytest.raises(SyntheticError, match="other columns"):
        quality(real, table_of([{"age": 1}]))
    with pytest.raises(SyntheticError, match="no records"):
        quality(real, first(real, 0))
    keys = table_of([{"id": "a"}, {"id": "b"}])
    with pytest.raises(SyntheticError, match="only keys"):
        quality(keys, keys)
    with pytest.raises(SyntheticError, match="too few"):
        detection(first(real, 2), real)
    with pytest.raises(TableError, match="no column 'shoe'"):
        efficacy(real, real, "shoe")


def test_what_is_learnt_from_little_or_nothing_is_no_number_and_no_crash(real: Table) -> None:
    alone = changed(real, trade=np.full(len(real), "smith", np.object_))
    assert np.isnan(efficacy(alone, real, "trade"))
    gone = changed(real, pay=np.full(len(real), np.nan))
    assert np.isnan(efficacy(gone, real, "pay"))
    assert np.isnan(efficacy(real, gone, "pay"))
    rare = real.values["trade"].copy()
    rare[0] = "pirate"
    assert efficacy(changed(real, trade=rare), sailors(400, 5), "trade") > 0.6


def test_a_class_that_was_not_learnt_lowers_what_is_told() -> None:
    """Synthetic records that have only two of three classes tell nothing of the third."""
    real, asked = sailors(1_500, 1), sailors(800, 2)
    two = real.rows(np.flatnonzero(real.values["trade"] != "nurse"))
    assert efficacy(two, asked, "trade") < efficacy(real, asked, "trade") - 0.05
