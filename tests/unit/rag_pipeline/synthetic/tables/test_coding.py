"""Columns as codes, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import (
    FEWEST,
    NameCodec,
    NumberCodec,
    Range,
    learnt,
)
from rag_pipeline.synthetic.tables.table import Column

NUMBERS = st.lists(
    st.one_of(st.integers(-50, 50).map(float), st.floats(-1e6, 1e6), st.just(float("nan"))),
    min_size=1,
    max_size=300,
)


@given(NUMBERS, st.integers(0, 3))
def test_what_is_drawn_from_the_codes_lies_between_the_ends_and_has_as_many_decimals(
    given: list[float], decimals: int
) -> None:
    values = np.round(np.array(given), decimals)
    codec = NumberCodec.learnt(values, decimals=decimals)
    drawn = codec.decode(codec.encode(values), np.random.default_rng(0), None)
    assert np.array_equal(np.isnan(drawn), np.isnan(values))
    present = values[~np.isnan(values)]
    if present.size:
        step = 10.0**-decimals
        assert present.min() - step <= np.nanmin(drawn) <= np.nanmax(drawn) <= present.max() + step
        np.testing.assert_allclose(drawn, np.round(drawn, decimals))


@given(NUMBERS)
def test_codes_keep_the_order_of_numbers_that_share_no_value(given: list[float]) -> None:
    values = np.unique(np.array(given)[~np.isnan(given)])
    codes = NumberCodec.learnt(values, decimals=None).encode(values)
    assert np.all(np.diff(codes) >= 0)


def test_a_value_that_many_share_has_a_code_of_its_own() -> None:
    values = np.concatenate([np.zeros(500), np.random.default_rng(0).normal(1e4, 10, 500)])
    codec = NumberCodec.learnt(values, decimals=None)
    codes = codec.encode(values)
    assert len(set(codes[:500])) == 1
    assert codes[0] not in codes[500:]
    assert np.all(codec.decode(codes[:500], np.random.default_rng(0), None) == 0)


def test_the_lone_value_at_an_end_is_never_drawn() -> None:
    values = np.append(np.arange(5_000.0), 1e9)
    codec = NumberCodec.learnt(values, decimals=0)
    drawn = codec.decode(codec.encode(values), np.random.default_rng(0), None)
    assert drawn.max() < 5_000


def test_within_a_range_all_that_is_drawn_is_in_it() -> None:
    codec = NumberCodec.learnt(np.random.default_rng(0).normal(size=3_000), decimals=2)
    wanted = Range(low=0.333, high=0.351)
    codes = np.repeat(np.flatnonzero(codec.shares(wanted)), 50)
    drawn = codec.decode(codes, np.random.default_rng(1), wanted)
    assert set(drawn) <= {0.34, 0.35}


def test_a_range_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(SyntheticError, match="nothing lies between"):
        Range(low=2, high=1)


def test_rare_names_are_never_drawn_and_unseen_ones_are_rare() -> None:
    values = np.array(["Ulm"] * 50 + ["Bonn"] * FEWEST + ["Hof"] + [None], np.object_)
    codec = NameCodec.learnt(values)
    assert codec.names == ("Ulm", "Bonn")
    rare = codec.encode(np.array(["Hof", "nowhere"], np.object_))
    assert set(rare) == {codec.size - 2}
    assert codec.drawable.tolist() == [True, True, False, True]


def test_names_come_back_and_ten_thousand_of_them_are_as_many_as_have_room() -> None:
    many = np.array([f"n{number % 10_000}" for number in range(60_000)], np.object_)
    codec = NameCodec.learnt(many)
    assert codec.size == 1_002
    few = np.array(["ä", "ö", None] * 10, np.object_)
    again = NameCodec.from_arrays(NameCodec.learnt(few).arrays())
    assert again.decode(again.encode(few), np.random.default_rng(0), None).tolist() == few.tolist()


@pytest.mark.parametrize("values", [[], [np.nan] * 9, [4.0] * 9, [1.0]])
def test_columns_with_nothing_to_learn_have_codes_all_the_same(values: list[float]) -> None:
    numbers = np.array(values)
    codec = NumberCodec.learnt(numbers, decimals=0)
    drawn = codec.decode(codec.encode(numbers), np.random.default_rng(0), None)
    assert np.array_equal(drawn, numbers, equal_nan=True)


def test_whole_numbers_stay_multiples_of_what_they_were_multiples_of() -> None:
    days = 7_200 + 86_400 * np.random.default_rng(0).integers(10_000, 20_000, 3_000).astype(float)
    codec = NumberCodec.learnt(days, decimals=0)
    again = NumberCodec.from_arrays(codec.arrays())
    drawn = again.decode(again.encode(days), np.random.default_rng(0), None)
    assert set(drawn % 86_400) == {7_200}
    wanted = Range(low=7_200 + 86_400 * 12_345 - 5, high=7_200 + 86_400 * 12_345 + 5)
    codes = np.repeat(np.flatnonzero(codec.shares(wanted)), 20)
    assert codes.size
    assert set(codec.decode(codes, np.random.default_rng(0), wanted)) == {7_200 + 86_400 * 12_345}


@pytest.mark.parametrize(("low", "high"), [(33.2, 33.8), (9_000.0, 9_999.0)])
def test_a_range_that_holds_no_value_is_wanted_of_no_code(low: float, high: float) -> None:
    values = np.random.default_rng(0).integers(0, 5_000, 4_000).astype(float)
    codec = NumberCodec.learnt(values, decimals=0)
    assert not codec.shares(Range(low=low, high=high)).any()
    assert codec.shares(Range(low=33, high=33)).any()


def test_names_too_many_for_codes_are_drawn_as_often_as_they_were_seen() -> None:
    values = np.array([f"n{n}" for n in range(50) for _ in range(n + 1)] + ["lone"], np.object_)
    codec = NameCodec.learnt(values, codes=10)
    again = NameCodec.from_arrays(codec.arrays())
    assert again.names == codec.names == tuple(f"n{n}" for n in range(49, 39, -1))
    rare = np.full(20_000, codec.size - 2)
    drawn = again.decode(rare, np.random.default_rng(0), None)
    names, counts = np.unique(drawn.astype(str), return_counts=True)
    assert set(names) == {f"n{n}" for n in range(4, 40)}, "and what fewer than five have never"
    shares = dict(zip(names.tolist(), (counts / 20_000).tolist(), strict=True))
    assert shares["n39"] == pytest.approx(40 / sum(range(5, 41)), rel=0.2)
    wanted = frozenset({"n7", "n20", "n45"})
    assert set(again.decode(rare, np.random.default_rng(0), wanted)) == {"n7", "n20"}
    assert codec.shares(wanted)[codec.size - 2] == pytest.approx((8 + 21) / sum(range(5, 41)))


def test_names_that_nobody_shares_are_drawn_as_missing() -> None:
    values = np.array([f"n{number}" for number in range(500)], np.object_)
    codec = NameCodec.learnt(values)
    assert codec.drawable.tolist() == [False, True]
    drawn = codec.decode(np.array([1, 1]), np.random.default_rng(0), None)
    assert drawn.tolist() == [None, None]


def test_the_more_columns_the_fewer_codes_each() -> None:
    column = Column(name="x", kind="number", decimals=None)
    values = np.random.default_rng(0).normal(size=5_000)
    sizes = [learnt(column, values, columns=count).size for count in (1, 40, 100, 1_000)]
    assert sizes == [101, 101, 41, 17]


@pytest.mark.parametrize("end", [np.inf, -np.inf])
def test_an_infinite_number_is_told_of_its_column(end: float) -> None:
    column = Column(name="height", kind="number", decimals=None)
    with pytest.raises(SyntheticError, match="'height' has infinite numbers"):
        learnt(column, np.array([1.0, 2.0, end]))
