"""A reranker that adds up weighted features. Fitted on judgments, a few numbers long, readable."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from rag_pipeline.retrieval.errors import RerankerError, TuningError
from rag_pipeline.retrieval.rerank.features import FEATURES, features
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranked, best_first
from storage.ranking import DECIMALS, Scores

_STEPS = 50
_CONVERGED = 1e-9
_NEVER = 1e-300
"""Stands for a likelihood too small to have a logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """What each feature adds to the score, for one unit of the feature; see `FEATURES`."""

    coefficients: Mapping[str, float]

    def as_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps({"coefficients": dict(self.coefficients)}, sort_keys=True)

    @classmethod
    def of(cls, coefficients: Mapping[str, float]) -> "LinearModel":
        """Raises `RerankerError` where a feature is unknown or a coefficient is no number."""
        for name, value in coefficients.items():
            if name not in FEATURES:
                raise RerankerError(
                    f"there is no feature {name!r} to rerank by: use {', '.join(FEATURES)};"
                    " rag eval tune --reset removes what was fitted"
                )
            if not isfinite(value):
                raise RerankerError(
                    f"the coefficient of {name!r} is {value};"
                    " rag eval tune --reset removes what was fitted"
                )
        return cls(coefficients=dict(coefficients))

    @classmethod
    def from_json(cls, text: str) -> "LinearModel":
        """What `as_json` gave. Raises `RerankerError`."""
        try:
            read = json.loads(text)["coefficients"]
            coefficients = {str(name): float(value) for name, value in read.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RerankerError(
                'a linear reranker is {"coefficients": {feature: number}}: fit it anew'
            ) from error
        return cls.of(coefficients)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The candidates of one judged query."""

    features: Scores
    """float64 (n, len(FEATURES))."""
    grades: Scores
    """float64 (n,): above 0 is relevant, and how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearReranker:
    """A `Reranker` of fitted coefficients."""

    model: LinearModel

    def rerank(self, query: str, candidates: Sequence[RerankCandidate]) -> list[Reranked]:
        """Every candidate once, best first; ties go to the lower key."""
        rows = features(query, candidates)
        return best_first([self._of(*pair) for pair in zip(candidates, rows, strict=True)])

    def _of(self, candidate: RerankCandidate, row: Scores) -> Reranked:
        values = dict(zip(FEATURES, row.tolist(), strict=True))
        parts = {
            name: weight * values[name] for name, weight in sorted(self.model.coefficients.items())
        }
        score = round(sum(parts.values()), DECIMALS)
        return Reranked(chunk_id=candidate.chunk.chunk_id, score=score, contributions=parts)


def fit(examples: Sequence[Example], *, penalty: float = 1.0) -> LinearModel:
    """Coefficients that make relevant candidates likely to be drawn before the others.

    The listwise loss of ListNet (Cao et al., ICML 2007: cross entropy between the grades and the
    softmax of the scores), which is convex here, with an L2 `penalty` on coefficients of features
    in standard deviations; minimised by Newton's method. Raises `TuningError` where no query has
    both a relevant candidate and another.
    """
    telling = [one for one in examples if _tells(one.grades)]
    if not telling:
        raise TuningError("no judged query has a relevant candidate beside another: judge more")
    columns = np.concatenate([one.features for one in telling])
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    spread[spread < 1e-12] = np.inf
    scaled = [Example((one.features - mean) / spread, one.grades) for one in telling]
    weights = _minimised(scaled, penalty) / spread
    return LinearModel(coefficients=dict(zip(FEATURES, weights.tolist(), strict=True)))


def _tells(grades: Scores) -> bool:
    return bool(np.any(grades > 0) and np.any(grades <= 0))


def _minimised(examples: Sequence[Example], penalty: float) -> Scores:
    weights = np.zeros(examples[0].features.shape[1])
    loss = _loss(examples, weights, penalty)
    for _ in range(_STEPS):
        step, other = _newton_step(examples, weights, penalty), np.inf
        # Far from the minimum a whole step may lead uphill.
        while other > loss and float(np.abs(step).max()) > _CONVERGED:
            other = _loss(examples, weights - step, penalty)
            step = step if other <= loss else step / 2
        if other > loss:
            break
        weights, loss = weights - step, other
    return weights


def _loss(examples: Sequence[Example], weights: Scores, penalty: float) -> float:
    lost = [
        -float(_wanted(one.grades) @ np.log(_softmax(one.features @ weights) + _NEVER))
        for one in examples
    ]
    return sum(lost) + penalty * float(weights @ weights) / 2


def _newton_step(examples: Sequence[Example], weights: Scores, penalty: float) -> Scores:
    slope, curvature = penalty * weights, penalty * np.eye(weights.size)
    for one in examples:
        likely = _softmax(one.features @ weights)
        slope = slope + one.features.T @ (likely - _wanted(one.grades))
        centred = one.features - likely @ one.features
        curvature += (centred * likely[:, None]).T @ centred
    return np.asarray(np.linalg.solve(curvature, slope), np.float64)


def _wanted(grades: Scores) -> Scores:
    positive = np.maximum(grades, 0)
    return np.asarray(positive / positive.sum(), np.float64)


def _softmax(scores: Scores) -> Scores:
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum(), np.float64)
