"""Settings are fitted only where that helps on queries that they were not fitted on."""

import numpy as np
import pytest

from rag_pipeline.retrieval.errors import TuningError
from rag_pipeline.retrieval.fusion import Candidates
from rag_pipeline.retrieval.rerank.features import FEATURES
from rag_pipeline.retrieval.rerank.linear import Example
from rag_pipeline.retrieval.settings import FeedbackSettings, RetrievalSettings
from rag_pipeline.retrieval.tuning import JudgedQuery, ReadQuery, fit, fit_reranker, ndcg

WITHOUT_FEEDBACK = RetrievalSettings(feedback=None)


def judged(count=40, *, vector_tells=0.0, keyword_tells=0.0, size=30) -> list[JudgedQuery]:
    """Queries with one relevant document each, which stands out on the sides as told."""
    rng = np.random.default_rng(11)
    made = []
    for _ in range(count):
        grades = np.zeros(size)
        grades[rng.integers(size)] = 1
        vectors = rng.normal(size=(size, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        candidates = Candidates(
            ids=np.arange(1, size + 1),
            documents=np.arange(1, size + 1),
            vector=rng.normal(size=size) + vector_tells * grades,
            keyword=rng.normal(size=size) + keyword_tells * grades,
        )
        made.append(
            JudgedQuery(
                candidates=candidates,
                vectors=vectors,
                grades=grades,
                judged=[1],
            )
        )
    return made


def one_query(grades, documents, judgments, keyword=(4, 3, 2, 1)) -> JudgedQuery:
    candidates = Candidates(
        ids=np.arange(1, 5),
        documents=np.array(documents),
        vector=np.zeros(4),
        keyword=np.array(keyword, float),
    )
    return JudgedQuery(
        candidates=candidates,
        vectors=np.eye(4, dtype=np.float32),
        grades=np.array(grades, float),
        judged=judgments,
    )


def test_where_only_one_side_knows_anything_it_is_given_the_weight():
    found = fit(judged(vector_tells=3.0), start=WITHOUT_FEEDBACK)
    assert found.helps
    assert found.settings.vector_weight == 0.8
    assert found.after.mean() > found.before.mean() + 0.05


def test_where_nothing_tells_the_settings_stay_as_they_were():
    found = fit(judged(), start=WITHOUT_FEEDBACK)
    assert not found.helps
    assert found.settings == WITHOUT_FEEDBACK


def test_each_query_is_judged_by_settings_that_never_saw_it():
    # One query in two is answered by vectors alone, the others by keywords alone, fold by fold:
    # what is fitted without a fold is wrong for it.
    both = zip(judged(20, vector_tells=5.0), judged(20, keyword_tells=5.0), strict=True)
    found = fit([one for pair in both for one in pair], start=WITHOUT_FEEDBACK, folds=2)
    assert found.after.mean() < found.before.mean()
    assert not found.helps
    assert found.settings == WITHOUT_FEEDBACK


def test_what_is_not_fitted_is_kept():
    start = RetrievalSettings(depth=77, rerank_depth=5, feedback=None)
    found = fit(judged(keyword_tells=3.0), start=start).settings
    assert (found.depth, found.rerank_depth) == (77, 5)


def test_fitting_twice_gives_the_same():
    one, other = (fit(judged(vector_tells=3.0), start=RetrievalSettings()) for _ in range(2))
    assert one.settings == other.settings
    assert np.array_equal(one.after, other.after)


def test_too_few_queries_are_refused_with_how_many_it_takes():
    with pytest.raises(TuningError, match=r"^19 judged.*20 or more"):
        fit(judged(19), start=RetrievalSettings())


def test_a_fusion_by_rank_is_refused():
    with pytest.raises(TuningError, match="set the fusion to score"):
        fit(judged(), start=RetrievalSettings(fusion="rank"))


@pytest.mark.parametrize(
    ("grades", "documents", "judgments", "expected"),
    [
        ([1, 0, 0, 0], [1, 2, 3, 4], [1], 1.0),
        ([0, 1, 0, 0], [1, 2, 3, 4], [1], 1 / np.log2(3)),
        ([0, 0, 1, 1], [1, 1, 2, 2], [1], 1 / np.log2(3)),
        ([0, 0, 0, 0], [1, 2, 3, 4], [1], 0.0),
        ([1, 0, 0, 0], [1, 2, 3, 4], [1, 1], 1 / (1 + 1 / np.log2(3))),
        ([1, 2, 0, 0], [1, 2, 3, 4], [1, 2, -1, 0],
         (1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3))),
        ([-1, 0, 0, 0], [1, 2, 3, 4], [0, -1], 0.0),
    ],
)  # fmt: skip
def test_ndcg_counts_texts_and_all_that_is_relevant(grades, documents, judgments, expected):
    query = one_query(grades, documents, judgments)
    assert ndcg(query, WITHOUT_FEEDBACK) == pytest.approx(expected)


def test_ndcg_is_of_the_ranking_that_search_gives_with_feedback():
    query = judged(1, vector_tells=1.0)[0]
    strong = RetrievalSettings(feedback=FeedbackSettings(centroid=9, neighbours=9, document=0))
    assert ndcg(query, strong) != ndcg(query, WITHOUT_FEEDBACK)


def read(count=60, *, telling: str | None = None, size=12) -> list[ReadQuery]:
    """Queries read beside their candidates, of which the relevant one has most of `telling`."""
    rng = np.random.default_rng(6)
    made = []
    for _ in range(count):
        features = rng.normal(size=(size, len(FEATURES)))
        best = rng.integers(size)
        if telling:
            features[best, FEATURES.index(telling)] += 4
        grades = (np.arange(size) == best).astype(float)
        made.append(
            ReadQuery(example=Example(features, grades), documents=np.arange(size), judged=[1])
        )
    return made


def test_a_reranker_that_learns_what_tells_is_worth_having():
    found = fit_reranker(read(telling="pairs"))
    assert found.helps
    assert found.after.mean() > found.before.mean() + 0.3
    assert max(found.model.coefficients, key=found.model.coefficients.__getitem__) == "pairs"


def test_a_reranker_is_not_worth_having_where_nothing_tells_or_the_fusion_tells_all():
    assert not fit_reranker(read()).helps
    assert not fit_reranker(read(telling="fusion")).helps


def test_a_reranker_takes_enough_queries_too():
    with pytest.raises(TuningError, match=r"^3 judged"):
        fit_reranker(read(3))
