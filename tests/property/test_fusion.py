"""Fusion against its formulas."""

from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.retrieval.fusion import RRF_K, fuse_by_rank, fuse_by_score
from storage.records import ChunkId, Scored

keys = st.integers(1, 12).map(ChunkId)
rankings = st.lists(
    st.lists(keys, unique=True, max_size=8).map(lambda found: [Scored(key, 0.5) for key in found]),
    max_size=5,
)
sides = st.dictionaries(keys, st.floats(-1, 40, allow_nan=False), max_size=8)
weights = st.floats(0, 1)


@given(rankings, st.randoms(use_true_random=False))
def test_the_order_of_the_rankings_never_matters(given_rankings, rng):
    shuffled = rng.sample(given_rankings, len(given_rankings))
    assert fuse_by_rank(shuffled) == fuse_by_rank(given_rankings)


@given(rankings)
def test_ranks_give_the_sums_of_the_formula(given_rankings):
    expected: dict[int, float] = {}
    for ranking in given_rankings:
        for place, found in enumerate(ranking):
            expected[found.chunk_id] = expected.get(found.chunk_id, 0) + 1 / (RRF_K + place + 1)
    fused = fuse_by_rank(given_rankings)
    assert {found.chunk_id for found in fused} == set(expected)
    assert all(isclose(found.score, expected[found.chunk_id]) for found in fused)


@given(sides, sides, weights)
def test_scores_give_the_combination_of_the_formula(vector, keyword, weight):
    def share(side, key):
        best = max(side.values(), default=0)
        return max(side.get(key, 0), 0) / best if best > 0 else 0

    fused = fuse_by_score(vector, keyword, vector_weight=weight)
    assert {found.chunk_id for found in fused} == {*vector, *keyword}
    for found in fused:
        key = found.chunk_id
        expected = weight * share(vector, key) + (1 - weight) * share(keyword, key)
        assert isclose(found.score, expected, abs_tol=1e-12)
        assert 0 <= found.score <= 1 + 1e-12


@given(rankings, sides, sides, weights)
def test_the_best_come_first_and_ties_go_to_the_lower_key(given_rankings, vector, keyword, weight):
    for fused in (
        fuse_by_rank(given_rankings),
        fuse_by_score(vector, keyword, vector_weight=weight),
    ):
        order = [(-found.score, found.chunk_id) for found in fused]
        assert order == sorted(order)


@given(sides, sides, st.sampled_from([0.25, 0.5, 2.0, 8.0]), weights)
def test_the_measure_of_a_side_never_matters(vector, keyword, factor, weight):
    scaled = {key: factor * score for key, score in keyword.items()}
    assert fuse_by_score(vector, scaled, vector_weight=weight) == fuse_by_score(
        vector, keyword, vector_weight=weight
    )


def test_nothing_fuses_to_nothing():
    assert fuse_by_rank([]) == fuse_by_rank([[], []]) == []
    assert fuse_by_score({}, {}, vector_weight=0.5) == []
