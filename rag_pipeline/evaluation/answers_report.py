"""What answers to known questions amount to: figures of each, and of all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from rag_pipeline.evaluation.answers_questions import KnownQuestion
from rag_pipeline.evaluation.answers_scores import (
    auroc,
    calibration_curve,
    calibration_error,
    exact_match,
    holds,
    overlaps,
    risk_coverage,
    token_f1,
)
from rag_pipeline.evaluation.comparison import Comparison, Interval, compare, intervals
from rag_pipeline.evaluation.criteria import Criterion, failures
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.record import Evaluation
from storage.records import AnswerState

MEASURES = ("exact_match", "f1", "right", "answered", "grounded", "citation_recall", "confidence")
"""Of each question: `right` is a cited gold answer, or none where there is none to give."""
TOTALS = (
    "exact_match_answerable",
    "f1_answerable",
    "bleu",
    "rouge_l",
    "citation_precision",
    "verbatim",
    "groundedness",
    "grounded_precision",
    "answered_precision",
    "abstention_auroc",
    "calibration_error",
    "area_risk_coverage",
    "latency_p50_s",
    "latency_p95_s",
)
"""Of all questions together; left out where there is nothing to measure it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A known question, and what was answered."""

    question: KnownQuestion
    text: str
    state: AnswerState
    confidence: float
    quotes: tuple[str, ...]
    verbatim: int
    """How many of the quotes stand in the stored text where they say."""
    unsupported: float
    """The part of the text that nothing bears out."""
    seconds: float

    @property
    def said(self) -> str:
        """The answer; empty where none was given."""
        return "" if self.state == "no_evidence" else self.text

    @property
    def is_right(self) -> bool:
        """Whether a gold answer was given; where there is none, whether nothing was."""
        if not self.question.golds:
            return not self.said
        return bool(self.said) and overlaps(self.said, self.question.golds)

    @property
    def is_right_answer(self) -> bool:
        """Whether it says something, and that is right."""
        return bool(self.said) and self.is_right

    def figures(self) -> dict[str, float]:
        """By the names of `MEASURES`."""
        golds = self.question.golds
        cited = any(holds(quote, golds) for quote in self.quotes)
        return {
            "exact_match": exact_match(self.said, golds),
            "f1": token_f1(self.said, golds),
            "right": float(self.is_right),
            "answered": float(bool(self.said)),
            "grounded": float(self.state == "grounded"),
            "citation_recall": float(cited if golds else not self.quotes),
            "confidence": self.confidence,
        }


def check_scorers() -> None:
    """Raise `EvaluationError` where BLEU and ROUGE can't be had, before any work."""
    if not all(map(find_spec, ("rouge_score", "sacrebleu"))):
        raise EvaluationError(
            "judging answers needs sacrebleu and rouge-score:"
            " pip install 'rag-pipeline-service[eval]'"
        )


def totals(answers: Sequence[Answered]) -> dict[str, float]:
    """By the names of `TOTALS`."""
    answerable = [one for one in answers if one.question.golds]
    given = [one for one in answers if one.said]
    grounded = [one for one in answers if one.state == "grounded"]
    quotes = [(quote, one.question.golds) for one in answers for quote in one.quotes]
    chances = np.array([one.confidence for one in answers])
    # Those that were not given are judged by what they would have been: wrong.
    right = np.array([one.is_right_answer for one in answers], dtype=bool)
    curve = risk_coverage(chances, right)
    found: dict[str, float | None] = {
        "exact_match_answerable": _mean(
            [exact_match(a.said, a.question.golds) for a in answerable]
        ),
        "f1_answerable": _mean([token_f1(a.said, a.question.golds) for a in answerable]),
        **_overlap_scores(answerable),
        "citation_precision": _mean([float(holds(quote, golds)) for quote, golds in quotes]),
        "verbatim": sum(one.verbatim for one in answers) / len(quotes) if quotes else None,
        "groundedness": _mean([1 - one.unsupported for one in given]),
        "grounded_precision": _mean([float(one.is_right) for one in grounded]),
        "answered_precision": _mean([float(one.is_right) for one in given]),
        "abstention_auroc": auroc(
            chances, np.array([bool(one.question.golds) for one in answers], dtype=bool)
        ),
        "calibration_error": calibration_error(chances, right),
        "area_risk_coverage": float(np.mean([risk for _, risk in curve])),
        "latency_p50_s": float(np.percentile([one.seconds for one in answers], 50)),
        "latency_p95_s": float(np.percentile([one.seconds for one in answers], 95)),
    }
    return {name: value for name, value in found.items() if value is not None}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _overlap_scores(answers: Sequence[Answered]) -> dict[str, float | None]:
    """BLEU of the corpus and the mean ROUGE-L, each from 0 to 1, where the answers are known."""
    if not answers:
        return {"bleu": None, "rouge_l": None}
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

    said = [one.said for one in answers]
    most = max(len(one.question.golds) for one in answers)
    references = [
        [one.question.golds[min(place, len(one.question.golds) - 1)] for one in answers]
        for place in range(most)
    ]
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    best = [
        scorer.score_multi(list(one.question.golds), one.said)["rougeL"].fmeasure for one in answers
    ]
    bleu = BLEU(effective_order=True).corpus_score(said, references).score / 100
    return {"bleu": bleu, "rouge_l": _mean(best)}


def named(text: str) -> str:
    """The figure that `text` names. Raises `EvaluationError` for one that there is not."""
    name = text.lower()
    if name not in (*MEASURES, *TOTALS):
        raise EvaluationError(
            f"{text!r} is no figure of answers: name one of {', '.join((*MEASURES, *TOTALS))}"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersReport:
    """An evaluation of answers, how sure it is, and how it compares."""

    answers: tuple[Answered, ...]
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    comparison: Comparison | None = None
    failures: tuple[str, ...] = ()

    @property
    def calibration(self) -> list[tuple[float, float, int]]:
        """Stated chance, part that was right, and number of answers, by tenths."""
        return calibration_curve(self._chances, self._right)

    @property
    def risk_coverage(self) -> list[tuple[float, float]]:
        """Of the surest answers: the part of all that they are, and the part that is wrong."""
        return risk_coverage(self._chances, self._right)

    @property
    def _chances(self) -> Any:
        return np.array([one.confidence for one in self.answers])

    @property
    def _right(self) -> Any:
        return np.array([one.is_right_answer for one in self.answers], dtype=bool)

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface of `rag eval answers --json`."""
        found = self.evaluation
        states = [one.state for one in self.answers]
        return {
            "generation": found.generation,
            "settings": dict(found.settings),
            "judgments_sha256": found.judgments_sha256,
            "questions": {
                "asked": len(self.answers),
                "answerable": sum(bool(one.question.golds) for one in self.answers),
            },
            "states": {name: states.count(name) for name in ("grounded", "partial", "no_evidence")},
            "metrics": {name: self._metric(name) for name in found.measures},
            "totals": {name: self._total(name) for name in found.totals},
            "calibration": [
                {"stated": said, "right": true, "answers": count}
                for said, true, count in self.calibration
            ],
            "risk_coverage": _thinned(self.risk_coverage),
            "failures": list(self.failures),
        }

    def _metric(self, name: str) -> dict[str, Any]:
        of = self.intervals[name]
        said: dict[str, Any] = {"mean": of.mean, "low": of.low, "high": of.high}
        if self.comparison is not None and name in self.comparison.by_measure:
            one = self.comparison.by_measure[name]
            change = one.difference
            said["baseline"] = one.baseline
            said["difference"] = {"mean": change.mean, "low": change.low, "high": change.high}
            said |= {"wins": one.wins, "losses": one.losses, "ties": one.ties}
        return said

    def _total(self, name: str) -> dict[str, float]:
        said = {"value": self.evaluation.totals[name]}
        if self.comparison is not None and name in self.comparison.totals:
            said["baseline"] = self.comparison.totals[name][0]
        return said


def _thinned(curve: Sequence[tuple[float, float]], points: int = 20) -> list[dict[str, float]]:
    """So many points of a curve, the last among them."""
    places = sorted({round(at) for at in np.linspace(0, len(curve) - 1, min(points, len(curve)))})
    return [{"coverage": curve[at][0], "risk": curve[at][1]} for at in places]


def report(
    answers: Sequence[Answered],
    *,
    sha256: str,
    settings: Mapping[str, Any],
    generation: int | None = None,
    baseline: Evaluation | None = None,
    criteria: Sequence[Criterion] = (),
) -> AnswersReport:
    """All that there is to say. Raises `EvaluationError` where a comparison would mean nothing."""
    evaluation = Evaluation(
        settings=settings,
        judgments_sha256=sha256,
        queries={one.question.question_id: one.figures() for one in answers},
        generation=generation,
        totals=totals(answers),
    )
    comparison = None if baseline is None else compare(evaluation, baseline)
    return AnswersReport(
        answers=tuple(answers),
        evaluation=evaluation,
        intervals=intervals(evaluation),
        comparison=comparison,
        failures=tuple(failures(criteria, evaluation, comparison)),
    )
