"""`rag eval calibrate`, wired: fits how sure answers of a collection are to questions about it.

The fit is logistic, and drawn to the default's weights: a few questions move it a little, many as
far as they say. What may be promised comes from held-out questions alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipeline.composition import Composition
from rag_pipeline.evaluation.answers_questions import KnownQuestion, read_questions
from rag_pipeline.evaluation.answers_scores import (
    Flags,
    Values,
    auroc,
    calibration_error,
    overlaps,
)
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.generation.answer import Answerer
from rag_pipeline.generation.calibration import DEFAULT, Calibration, Point
from rag_pipeline.generation.confidence import cosines_of, signals
from rag_pipeline.generation.extraction import nearest, quoted
from rag_pipeline.generation.guard import admitted
from rag_pipeline.generation.signals import SIGNALS
from storage.collection import set_answering
from storage.records import Principal

FOLDS = 5
FEWEST = 50
"""Questions; fewer say nothing of rare errors."""
_PULL = 4.0
"""How strongly the weights are drawn to the default's: as much as so many questions weigh."""
_STEPS = 50
_CHANCES = (0.97, 0.95, 0.93, 0.92, 0.91, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What was fitted, and how that does on questions that it was not fitted on."""

    collection: str
    calibration: Calibration
    answerable: int
    risk: float
    certainty: float
    grounded: Point | None
    """What keeps to the risk; None: nothing can be promised, and no answer is called grounded."""
    before: dict[str, float]
    """Of the default, on all questions: error of the stated chances, and AUROC of being right."""
    after: dict[str, float]
    """Of fits that have not seen the question."""
    is_stored: bool

    def as_json(self) -> dict[str, Any]:
        """The stable interface of `rag eval calibrate --json`."""
        point = self.grounded
        return {
            "collection": self.collection,
            "questions": self.calibration.questions,
            "answerable": self.answerable,
            "risk": self.risk,
            "certainty": self.certainty,
            "grounded": None
            if point is None
            else {
                "chance": point.chance,
                "answers": point.answers,
                "wrong": point.wrong,
                "risk_at_most": point.risk(self.certainty),
            },
            "before": self.before,
            "after": self.after,
            "fitted": self.calibration.as_json(),
            "stored": self.is_stored,
        }


@dataclass(frozen=True, slots=True)
class _Cases:
    """Signals of each question's answer, float64 (questions, signals), and whether it is right."""

    signals: Values
    right: Flags
    groups: tuple[str, ...]


def calibrate(
    parts: Composition, path: Path, collection: str, *, principal: Principal, dry_run: bool
) -> Calibrated:
    """Fit to the questions of the file at `path`, and keep it with the collection.

    Raises `EvaluationError` where there are too few questions, or of one kind only.
    """
    questions = read_questions(path)
    answerer = parts.answerer(collection, principal=principal, extractive=True)
    cases = _cases(answerer, questions, principal)
    _check(cases)
    default = _vector(DEFAULT)
    held_out = _held_out(cases, default)
    fitted = _fitted(cases.signals, cases.right, default)
    calibration = Calibration(
        weights=dict(zip(SIGNALS, map(float, fitted[:-1]), strict=True)),
        bias=float(fitted[-1]),
        abstain_below=DEFAULT.abstain_below,
        curve=_curve(held_out, cases.right),
        questions=len(questions),
        note=path.name,
    )
    settings = parts.settings.generation
    if not dry_run:
        set_answering(parts.database, answerer.retriever.collection, calibration.as_json())
    return Calibrated(
        collection=collection,
        calibration=calibration,
        answerable=sum(bool(one.golds) for one in questions),
        risk=settings.risk,
        certainty=settings.certainty,
        grounded=calibration.grounded(settings.risk, settings.certainty),
        before=_quality(_chances(cases.signals, default), cases.right),
        after=_quality(held_out, cases.right),
        is_stored=not dry_run,
    )


def reset(parts: Composition, collection: str, *, principal: Principal) -> bool:
    """Go back to the default; whether anything else was there."""
    found = parts.reader.collection(collection, principal=principal)
    set_answering(parts.database, found, None)
    return found.answering is not None


def _cases(answerer: Answerer, questions: Sequence[KnownQuestion], principal: Principal) -> _Cases:
    rows: list[list[float]] = []
    right: list[bool] = []
    groups: list[str] = []
    for one in questions:
        case = _case(answerer, one, principal)
        if case is not None:
            rows.append(case[0])
            right.append(case[1])
            groups.append(one.group)
    return _Cases(np.array(rows, np.float64), np.array(right, dtype=bool), tuple(groups))


def _case(
    answerer: Answerer, question: KnownQuestion, principal: Principal
) -> tuple[list[float], bool] | None:
    """Of the sentences that would answer; None where none was found."""
    settings, embed = answerer.settings, answerer.embed
    found = answerer.retriever.search(
        question.text, limit=settings.passages, principal=principal, collapse=True
    )
    hits = admitted(question.text, found.hits, is_guarded=settings.guard).hits
    near = nearest(
        question.text, [hit.chunk for hit in hits], embed=embed, cosines=cosines_of(hits)
    )
    if not near:
        return None
    said = signals(question.text, near[0], near)
    return [getattr(said, name) for name in SIGNALS], overlaps(quoted(near).answer, question.golds)


def _check(cases: _Cases) -> None:
    if len(cases.right) < FEWEST or len(set(cases.groups)) < FOLDS:
        raise EvaluationError(
            f"{len(cases.right)} questions from {len(set(cases.groups))} texts are too few to"
            f" calibrate on: give {FEWEST} from {FOLDS} texts or more"
        )
    if cases.right.all() or not cases.right.any():
        raise EvaluationError(
            "the answers are all right or all wrong: give questions of both kinds, among them such"
            " that the documents do not answer"
        )


def _vector(calibration: Calibration) -> Values:
    """Weights by the order of the signals, then the bias."""
    return np.array([*(calibration.weights.get(name, 0.0) for name in SIGNALS), calibration.bias])


def _chances(found: Values, weights: Values) -> Values:
    chances: Values = 1 / (1 + np.exp(-np.clip(found @ weights[:-1] + weights[-1], -50, 50)))
    return chances


def _fitted(found: Values, right: Flags, default: Values) -> Values:
    """Weights of the largest posterior, by Newton's method; the bias is free."""
    rows = np.column_stack([found, np.ones(len(found))])
    pull = np.full(len(default), _PULL)
    pull[-1] = 1e-6
    weights = default.copy()
    for _ in range(_STEPS):
        chances = _chances(found, weights)
        slope = rows.T @ (chances - right) + pull * (weights - default)
        curvature = (rows * (chances * (1 - chances))[:, None]).T @ rows + np.diag(pull)
        step = np.linalg.solve(curvature, slope)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-8:
            break
    return weights


def _held_out(cases: _Cases, default: Values) -> Values:
    """Each question's chance by a fit that has seen no question of its group."""
    order = {group: place for place, group in enumerate(sorted(set(cases.groups)))}
    folds = np.array([order[group] % FOLDS for group in cases.groups])
    chances = np.zeros(len(folds))
    for fold in range(FOLDS):
        inside = folds == fold
        weights = _fitted(cases.signals[~inside], cases.right[~inside], default)
        chances[inside] = _chances(cases.signals[inside], weights)
    return chances


def _curve(chances: Values, right: Flags) -> tuple[Point, ...]:
    points = []
    for least in _CHANCES:
        above = chances >= least
        if above.any():
            wrong = int((above & ~right).sum())
            points.append(Point(chance=least, answers=int(above.sum()), wrong=wrong))
    return tuple(points)


def _quality(chances: Values, right: Flags) -> dict[str, float]:
    return {
        "calibration_error": calibration_error(chances, right),
        "auroc": auroc(chances, right) or 0.0,
    }
