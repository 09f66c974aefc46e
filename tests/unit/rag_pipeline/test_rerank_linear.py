"""A reranker of fitted coefficients: it learns what tells, explains itself, refuses nonsense."""

import numpy as np
import pytest

from rag_pipeline.retrieval.errors import RerankerError, TuningError
from rag_pipeline.retrieval.rerank.features import FEATURES
from rag_pipeline.retrieval.rerank.linear import Example, LinearModel, LinearReranker, fit
from rag_pipeline.retrieval.rerank.port import RerankCandidate
from storage.records import ChunkId, DocumentId, StoredChunk


def candidate(key: int, text: str, score: float) -> RerankCandidate:
    chunk = StoredChunk(
        chunk_id=ChunkId(key),
        document_id=DocumentId(key),
        text=text,
        title="",
        start=0,
        end=len(text),
        sources=(),
        language="en",
    )
    return RerankCandidate(chunk=chunk, score=score)


def examples(telling: str, count=60, size=12) -> list[Example]:
    """Judged queries whose best candidate is the one with most of the feature `telling`."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(count, size, len(FEATURES)))
    column = rows[:, :, FEATURES.index(telling)]
    return [
        Example(one, (values == values.max()).astype(float))
        for one, values in zip(rows, column, strict=True)
    ]


@pytest.mark.parametrize("telling", ["fusion", "pairs", "length"])
def test_the_feature_that_tells_gets_the_weight(telling):
    weights = fit(examples(telling)).coefficients
    assert max(weights, key=weights.__getitem__) == telling
    others = [abs(weight) for name, weight in weights.items() if name != telling]
    assert weights[telling] > 5 * max(others)


def test_the_unit_of_a_feature_changes_no_ranking():
    given = examples("pairs")
    scaled = [Example(one.features * 1000 + 7, one.grades) for one in given]
    small, large = fit(given).coefficients, fit(scaled).coefficients
    assert np.allclose([small[name] for name in FEATURES], [large[n] * 1000 for n in FEATURES])


def test_a_feature_that_never_varies_gets_no_weight():
    given = [
        Example(one.features * (np.arange(len(FEATURES)) != 3), one.grades)
        for one in examples("pairs")
    ]
    assert fit(given).coefficients[FEATURES[3]] == 0


def test_judgments_that_a_straight_line_separates_give_finite_weights():
    rows = np.zeros((2, len(FEATURES)))
    rows[0] = 100
    weights = fit([Example(rows, np.array([1.0, 0.0]))] * 5, penalty=1e-6).coefficients
    assert all(np.isfinite(weight) for weight in weights.values())
    assert weights["fusion"] > 0


@pytest.mark.parametrize("grades", [[0.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
def test_judgments_that_prefer_nothing_are_refused(grades):
    with pytest.raises(TuningError, match="judge more"):
        fit([Example(np.ones((2, len(FEATURES))), np.array(grades))])
    with pytest.raises(TuningError):
        fit([])


def test_contributions_add_up_to_the_score_and_ties_go_to_the_lower_key():
    model = LinearModel(coefficients={"fusion": 2.0, "pairs": 0.5})
    given = [
        candidate(9, "shock wave", 0.5),
        candidate(4, "shock wave", 0.5),
        candidate(2, "nothing", 0.6),
        candidate(1, "nothing", 0.1),
    ]
    found = LinearReranker(model=model).rerank("shock wave", given)
    assert [one.chunk_id for one in found] == [4, 9, 2, 1]
    assert found[0].contributions == {"fusion": 1.0, "pairs": 0.5}
    assert all(one.score == pytest.approx(sum(one.contributions.values())) for one in found)


def test_the_order_of_the_candidates_never_matters_but_for_nothing():
    reranker = LinearReranker(model=LinearModel(coefficients={"length": 1.0}))
    given = [candidate(key, "word " * (key % 3), 0.1) for key in range(1, 8)]
    assert reranker.rerank("q", given) == reranker.rerank("q", given[::-1])
    assert reranker.rerank("q", []) == []


def test_a_model_survives_its_json():
    model = fit(examples("pairs"))
    assert LinearModel.from_json(model.as_json()) == model


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"coefficients": [1]}', '{"coefficients": {"pairs": "x"}}',
     '{"coefficients": {"pairs": null}}'],
)  # fmt: skip
def test_what_is_no_model_is_refused(text):
    with pytest.raises(RerankerError, match="fit it anew"):
        LinearModel.from_json(text)


def test_an_unknown_feature_and_a_coefficient_that_is_no_number_are_named():
    with pytest.raises(RerankerError, match="'pears'.*pairs"):
        LinearModel.from_json('{"coefficients": {"pears": 1}}')
    with pytest.raises(RerankerError, match="'pairs' is nan"):
        LinearModel.from_json('{"coefficients": {"pairs": NaN}}')
