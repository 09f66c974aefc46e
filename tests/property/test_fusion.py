"""Fusion against its formulas."""

from math import isclose

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag_pipeline.retrieval.fusion import RRF_K, Candidates, deviations, fuse, fuse_by_rank
from storage.records import ChunkId, DocumentId, Scored

keys = st.integers(1, 12).map(ChunkId)
rankings = st.lists(
    st.lists(keys, unique=True, max_size=8).map(lambda found: [Scored(key, 0.5) for key in found]),
    max_size=5,
)
scores = st.floats(-1, 40, allow_nan=False).map(lambda score: round(score, 4))
sides = st.dictionaries(keys, scores, max_size=8)
weights = st.floats(0, 1)


def gathered(vector, keyword, documents=None) -> Candidates:
    ids = sorted({*vector, *keyword})
    return Candidates(
        ids=np.array(ids, np.int64),
        documents=np.array([(documents or {}).get(key, -key) for key in ids], np.int64),
        vector=np.array([vector.get(key, 0.0) for key in ids], np.float64),
        keyword=np.array([keyword.get(key, 0.0) for key in ids], np.float64),
    )


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
def test_scores_rank_as_the_combination_of_deviations_does(vector, keyword, weight):
    candidates = gathered(vector, keyword)

    def standardised(scores):
        return scores / scores.std() if scores.size and scores.std() > 1e-6 else 0 * scores

    expected = weight * standardised(candidates.vector)
    expected = expected + (1 - weight) * standardised(candidates.keyword)
    found = fuse(candidates, vector_weight=weight).score
    for one in range(len(found)):
        for other in range(len(found)):
            if found[one] > found[other] + 1e-9:
                assert expected[one] >= expected[other] - 1e-9


@given(sides, sides, weights)
def test_scores_lie_between_0_and_1_and_are_the_sum_of_their_parts(vector, keyword, weight):
    fused = fuse(gathered(vector, keyword), vector_weight=weight)
    assert fused.ids.tolist() == sorted({*vector, *keyword})
    assert np.allclose(sum(fused.parts.values()), fused.score)
    assert all((part >= 0).all() for part in fused.parts.values())
    assert (fused.score <= 1 + 1e-12).all()


@given(rankings, sides, sides, weights)
def test_the_best_come_first_and_ties_go_to_the_lower_key(given_rankings, vector, keyword, weight):
    for ranked in (
        fuse_by_rank(given_rankings),
        fuse(gathered(vector, keyword), vector_weight=weight).ranked(),
    ):
        order = [(-found.score, found.chunk_id) for found in ranked]
        assert order == sorted(order)


@given(sides, sides, st.sampled_from([0.25, 0.5, 2.0, 8.0]), weights)
def test_the_measure_of_a_side_never_matters(vector, keyword, factor, weight):
    scaled = {key: factor * score for key, score in keyword.items()}
    one = fuse(gathered(vector, keyword), vector_weight=weight)
    other = fuse(gathered(vector, scaled), vector_weight=weight)
    assert one.ids.tolist() == other.ids.tolist()
    assert np.allclose(one.score, other.score)


@given(sides, weights)
def test_a_side_that_found_nothing_leaves_the_order_to_the_other(vector, weight):
    assume(weight > 0.01)
    ranked = fuse(gathered(vector, {}), vector_weight=weight).ranked()
    by_vector = sorted(vector, key=lambda key: (-vector[key], key))
    assert [vector[found.chunk_id] for found in ranked] == [vector[key] for key in by_vector]


def test_a_candidate_that_is_best_on_both_sides_scores_1_and_the_worst_0():
    fused = fuse(gathered({1: 0.9, 2: 0.5, 3: 0.1}, {1: 9, 2: 7}), vector_weight=0.5)
    assert [found.chunk_id for found in fused.ranked()] == [1, 2, 3]
    assert fused.ranked()[0].score == 1
    assert fused.ranked()[-1].score == 0


@pytest.mark.parametrize("scores", [{5: 0.3}, {5: 0.3, 9: 0.3}, {5: 0.0}, {5: -0.2}])
def test_candidates_that_nothing_tells_apart_all_score_1(scores):
    ranked = fuse(gathered(scores, {}), vector_weight=0.5).ranked()
    assert [found.score for found in ranked] == [1.0] * len(scores)


def test_what_a_side_did_not_list_scores_nothing_there():
    candidates = gathered({1: 0.5}, {2: 3.0})
    assert candidates.vector.tolist() == [0.5, 0.0]
    assert candidates.keyword.tolist() == [0.0, 3.0]


def test_a_chunk_whose_document_is_not_known_is_a_text_of_its_own():
    documents = {ChunkId(1): DocumentId(2), ChunkId(3): DocumentId(2)}
    candidates = gathered({1: 0.5, 2: 0.4, 3: 0.3, 4: 0.1}, {}, documents)
    assert candidates.documents[0] == candidates.documents[2] == 2
    assert len({*candidates.documents.tolist()}) == 3


def test_nothing_fuses_to_nothing():
    assert fuse_by_rank([]) == fuse_by_rank([[], []]) == []
    assert fuse(gathered({}, {}), vector_weight=0.5).ranked() == []


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=400))
def test_deviations_are_those_of_numpy_to_the_last_bit(signal):
    signal = np.array(signal)
    if signal.std() <= 1e-6 * np.abs(signal).max():
        assert not deviations(signal).any()
    else:
        expected = (signal - signal.min()) / signal.std()
        assert deviations(signal).tobytes() == expected.tobytes()
