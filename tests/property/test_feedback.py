"""Feedback against a slow reading of its formulas."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.retrieval.feedback import BEST_TEXTS, NEIGHBOURS, TEMPERATURE, reinforced
from rag_pipeline.retrieval.fusion import Candidates, fuse
from rag_pipeline.retrieval.settings import FeedbackSettings

ALONE = {"centroid": 0.0, "neighbours": 0.0, "document": 0.0}


@st.composite
def found(draw):
    """A query, candidates of some documents, and their vectors."""
    count = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vectors = rng.normal(size=(count, 24)) + draw(st.sampled_from([0, 1]))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    query = vectors[rng.integers(count)]
    candidates = Candidates(
        ids=np.sort(rng.choice(1000, count, replace=False)),
        documents=rng.integers(1, draw(st.integers(2, 80)), count),
        vector=(vectors @ query).astype(np.float64),
        keyword=np.maximum(rng.normal(size=count), 0),
    )
    return candidates, vectors, query


def units_of(candidates, vectors, name):
    """What a signal of weight 1 adds, in the measure of the fusion."""
    fused = fuse(candidates, vector_weight=0.5)
    weights = FeedbackSettings(**{**ALONE, name: 1.0})
    more = reinforced(fused, candidates, vectors, weights)
    return more.parts[name] * more.scale, fused.score * fused.scale


def standardised(values):
    values = np.array(values)
    return (values - values.min()) / values.std() if values.std() > 1e-6 else 0 * values


def cosine(one, other):
    one, other = one.astype(np.float64), other.astype(np.float64)
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


@settings(max_examples=40)
@given(found())
def test_the_centroid_is_of_the_best_chunk_of_each_of_the_best_texts(query_found):
    candidates, vectors, _ = query_found
    added, score = units_of(candidates, vectors, "centroid")
    best, seen = [], set()
    for row in sorted(range(len(score)), key=lambda row: -score[row]):
        if candidates.documents[row] not in seen and len(best) < BEST_TEXTS:
            best.append(row)
        seen.add(candidates.documents[row])
    centroid = sum(np.exp(score[row] - score[best[0]]) * vectors[row] for row in best)
    expected = standardised([cosine(vector, centroid) for vector in vectors])
    assert np.allclose(added, expected, atol=1e-3)


@settings(max_examples=40)
@given(found())
def test_neighbours_lend_their_mean_score_by_likeness(query_found):
    candidates, vectors, _ = query_found
    added, score = units_of(candidates, vectors, "neighbours")
    near = sorted(range(len(score)), key=lambda row: -score[row])[:NEIGHBOURS]
    expected = []
    for row, vector in enumerate(vectors):
        others = [other for other in near if other != row]
        likeness = np.array([cosine(vector, vectors[other]) for other in others]) / TEMPERATURE
        say = np.exp(likeness - likeness.max())
        expected.append(say @ score[others] / say.sum())
    assert np.allclose(added, np.array(expected) - min(expected), atol=1e-3)


@settings(max_examples=40)
@given(found())
def test_a_text_is_as_like_the_query_as_the_mean_of_its_candidates(query_found):
    candidates, vectors, query = query_found
    added, _ = units_of(candidates, vectors, "document")
    expected = [
        cosine(vectors[candidates.documents == document].sum(axis=0), query)
        for document in candidates.documents
    ]
    assert np.allclose(added, standardised(expected), atol=1e-3)


@settings(max_examples=40)
@given(found())
def test_the_parts_add_up_and_the_score_stays_between_0_and_1(query_found):
    candidates, vectors, _ = query_found
    fused = fuse(candidates, vector_weight=0.5)
    more = reinforced(fused, candidates, vectors, FeedbackSettings())
    assert [*more.parts] == ["vector", "keyword", "centroid", "neighbours", "document"]
    assert np.allclose(sum(more.parts.values()), more.score)
    assert all((part >= 0).all() for part in more.parts.values())
    assert (more.score <= 1 + 1e-12).all()


@settings(max_examples=40)
@given(found())
def test_without_weights_feedback_changes_no_score(query_found):
    candidates, vectors, _ = query_found
    fused = fuse(candidates, vector_weight=0.5)
    more = reinforced(fused, candidates, vectors, FeedbackSettings(**ALONE))
    assert np.allclose(more.score, fused.score)
