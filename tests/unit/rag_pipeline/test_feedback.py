"""What candidates say of each other moves the right ones, and breaks on none."""

import numpy as np
import pytest

from rag_pipeline.retrieval.feedback import reinforced
from rag_pipeline.retrieval.fusion import Candidates, Fused, fuse
from rag_pipeline.retrieval.settings import FeedbackSettings


def unit(*vectors) -> np.ndarray:
    rows = np.array(vectors, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def after_feedback(vectors, keyword, documents=None) -> Fused:
    query = unit([1, 0, 0])[0]
    candidates = Candidates(
        ids=np.arange(1, len(vectors) + 1),
        documents=np.array(documents or range(1, len(vectors) + 1)),
        vector=(vectors @ query).astype(np.float64),
        keyword=np.array(keyword, np.float64),
    )
    fused = fuse(candidates, vector_weight=0.5)
    return reinforced(fused, candidates, vectors, FeedbackSettings())


def test_of_two_that_score_alike_the_one_that_is_like_the_best_comes_first():
    best, like, unlike, other = [1, 0.2, 0], [0.5, 0.8, 0], [0.5, -0.8, 0], [0, 0, 1]
    found = after_feedback(unit(best, unlike, like, other), [3, 1, 1, 0]).ranked()
    assert [one.chunk_id for one in found] == [1, 3, 2, 4]


def test_a_text_whose_other_parts_fit_too_comes_before_one_with_a_single_part():
    alone = [[0.8, 0.6, 0]]
    parts = [[0.8, 0.6, 0], [1, 0.1, 0]]
    found = after_feedback(unit(*alone, *parts), [0, 0, 0], documents=[7, 8, 8])
    assert found.parts["document"][1] > found.parts["document"][0]


def test_a_single_candidate_stays_as_it_is():
    assert [one.score for one in after_feedback(unit([1, 0, 0]), [2]).ranked()] == [1.0]


def test_nothing_stays_nothing():
    assert after_feedback(np.empty((0, 3), np.float32), [], [0][:0]).ranked() == []


@pytest.mark.parametrize("count", [2, 3, 500])
def test_candidates_of_one_vector_keep_the_order_that_they_had(count):
    keyword = np.linspace(1, 0, count)
    found = after_feedback(unit(*[[1, 1, 0]] * count), keyword, [1] * count).ranked()
    assert [one.chunk_id for one in found][:2] == [1, 2]
    assert all(np.isfinite(one.score) for one in found)


def test_vectors_of_no_length_break_nothing():
    found = after_feedback(np.zeros((4, 3), np.float32), [1, 2, 3, 4]).ranked()
    assert [one.chunk_id for one in found] == [4, 3, 2, 1]


def test_the_vectors_of_the_index_are_left_as_they_are():
    vectors = unit([1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1])
    before = vectors.copy()
    after_feedback(vectors, [1, 2, 3, 4], documents=[1, 1, 1, 2])
    assert np.array_equal(vectors, before)
