"""Codes that are drawn together come as often as they should, each record by its own chances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_pipeline.synthetic.tables.even_draws import drawn_evenly

NOTHING_KNOWN = np.zeros((40, 0), np.int64)


def some_shares(records: int, codes: int, seed: int = 0) -> np.ndarray:
    """(records, codes), another for each record, some of them nothing."""
    found = np.random.default_rng(seed).dirichlet(np.full(codes, 0.7), records)
    found[:, ::3] *= np.random.default_rng(seed).random((records, len(range(0, codes, 3)))) < 0.5
    found[:, 1] += 1e-3
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize("codes", [2, 3, 5, 17])
def test_each_record_has_a_code_with_its_own_chance(codes: int) -> None:
    shares, times = some_shares(40, codes), 8_000
    counts = np.zeros_like(shares)
    for seed in range(times):
        drawn = drawn_evenly(shares, NOTHING_KNOWN, np.random.default_rng(seed))
        counts[np.arange(40), drawn] += 1
    apart = (counts / times - shares) / np.sqrt(shares * (1 - shares) / times + 1e-12)
    assert np.abs(apart[shares > 0]).max() < 5
    assert not counts[shares == 0].any()


@given(
    chances=arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1, width=32)),
    seed=st.integers(0, 2**32),
)
def test_of_two_codes_each_comes_as_often_as_it_should(chances: np.ndarray, seed: int) -> None:
    shares = np.stack([1 - chances, chances], axis=1)
    known = np.zeros((len(chances), 0), np.int64)
    drawn = drawn_evenly(shares, known, np.random.default_rng(seed))
    assert abs(drawn.sum() - chances.sum()) < 1 + 1e-6
    assert (drawn[chances == 1] == 1).all()
    assert (drawn[chances == 0] == 0).all()


def test_so_they_do_among_records_that_are_alike() -> None:
    known = np.repeat(np.arange(4), 25)[:, None]
    of_kind = np.array([0.1, 0.5, 0.62, 0.9])
    chances = of_kind[known[:, 0]]
    shares = np.stack([1 - chances, chances], axis=1)
    mixed = np.random.default_rng(3).permutation(100)
    for seed in range(50):
        drawn = drawn_evenly(shares[mixed], known[mixed], np.random.default_rng(seed))
        for kind in range(4):
            among = drawn[known[mixed, 0] == kind]
            assert abs(among.sum() - 25 * of_kind[kind]) < 1 + 1e-6


def test_many_codes_come_nearer_to_their_shares_than_one_by_one() -> None:
    shares, known = some_shares(100, 30), np.zeros((100, 0), np.int64)
    evenly, one_by_one = [], []
    for seed in range(200):
        chance = np.random.default_rng(seed)
        alone = (shares.cumsum(1) < chance.random((100, 1))).sum(1)
        for drawn, found in ((drawn_evenly(shares, known, chance), evenly), (alone, one_by_one)):
            found.append(np.bincount(drawn, minlength=30)[:30] - shares.sum(0))
    assert np.square(evenly).mean() < np.square(one_by_one).mean() / 2


def test_one_code_no_record_and_the_same_seed() -> None:
    chance = np.random.default_rng(0)
    assert (drawn_evenly(np.ones((40, 1)), NOTHING_KNOWN, chance) == 0).all()
    assert drawn_evenly(np.ones((0, 3)), np.zeros((0, 2), np.int64), chance).shape == (0,)
    shares = some_shares(40, 9)
    twice = [drawn_evenly(shares, NOTHING_KNOWN, np.random.default_rng(5)) for _ in range(2)]
    assert (twice[0] == twice[1]).all()
