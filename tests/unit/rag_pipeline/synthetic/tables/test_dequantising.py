"""Columns as a class and a normal deviate each."""

import numpy as np
import pytest
import torch
from support.mixed_tables import odd_columns, workers

from rag_pipeline.synthetic.judging.tables import kolmogorov_smirnov
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.columns import codes_of, learnt_codecs
from rag_pipeline.synthetic.tables.dequantising import SplitColumn, deviates, split_columns
from rag_pipeline.synthetic.tables.table import Table

CHANCE = np.random.default_rng(0)


def split(table: Table) -> tuple[dict[str, SplitColumn], dict[str, np.ndarray]]:
    codecs = learnt_codecs(table)
    codes = codes_of(codecs, table)
    return split_columns(codecs, codes), dict(zip(codecs, codes.T, strict=True))


def drawn_between(ranks: np.ndarray) -> np.ndarray:
    low, high = ranks.T
    return deviates(torch.tensor(low + CHANCE.random(len(low)) * (high - low))).numpy()


@pytest.mark.parametrize("table", [workers(2_000, 0), odd_columns(500)])
def test_values_come_back_from_classes_and_deviates(table: Table) -> None:
    columns, codes = split(table)
    for name, column in columns.items():
        values = table.values[name]
        given = drawn_between(column.ranks(values, codes[name]))
        again = column.values(column.class_of[codes[name]], given, CHANCE, None)
        if values.dtype == np.object_:
            kept = [value is None or value in column.codec.names for value in values.tolist()]
            assert again[kept].tolist() == values[kept].tolist(), name
            continue
        assert np.array_equal(np.isnan(again), np.isnan(values)), name
        spread = (
            np.nanquantile(values, 0.99) - np.nanquantile(values, 0.01) if name != "empty" else 1
        )
        inner = (values > np.nanquantile(values, 0.002)) & (values < np.nanquantile(values, 0.998))
        assert np.abs(again - values)[inner].max(initial=0) <= 0.01 * spread, name


def test_deviates_are_spread_as_a_normal_whatever_the_column_is_like() -> None:
    table = workers(2_000, 0)
    columns, codes = split(table)
    normal = np.random.default_rng(1).normal(size=50_000)
    for name in ("age", "pay", "bonus"):
        column = columns[name]
        there = column.class_of[codes[name]] == column.size - 1
        found = drawn_between(column.ranks(table.values[name], codes[name])[there])
        assert kolmogorov_smirnov(found, normal) < 0.05, name


def test_what_many_records_share_and_what_is_missing_are_classes_of_their_own() -> None:
    columns, _ = split(workers(2_000, 0))
    assert columns["bonus"].size == 3
    assert columns["age"].size == 2
    assert not columns["trade"].has_deviate
    assert columns["bonus"].drawable.tolist() == [True, False, True]
    assert columns["pay"].drawable.tolist() == [True, True]


@pytest.mark.parametrize("wanted", [Range(low=30, high=33), Range(low=89), Range(high=18)])
def test_within_limits_all_values_are_as_wanted(wanted: Range) -> None:
    columns, _ = split(workers(2_000, 0))
    column, limits = columns["age"], columns["age"].limits(wanted)
    at = np.linspace(max(limits.low, -6), min(limits.high, 6), 200)
    found = column.values(np.full(200, column.size - 1), at, CHANCE, wanted)
    assert found.min() >= wanted.low
    assert found.max() <= wanted.high
    assert limits.classes[-1] == pytest.approx(
        np.mean(
            (workers(2_000, 0).values["age"] >= wanted.low)
            & (workers(2_000, 0).values["age"] <= wanted.high)
        ),
        abs=0.01,
    )


def test_a_range_beside_every_value_leaves_no_class() -> None:
    columns, _ = split(workers(2_000, 0))
    assert not columns["age"].limits(Range(low=200)).classes.any()
    assert columns["bonus"].limits(Range(low=-1, high=1)).classes.tolist() == [1, 0, 0]
