"""From signals to a chance, and from chances to what may be promised.

What is `grounded` is decided by what came true: the curve of a calibration says of how many
held-out answers of at least some chance how many were wrong. The lowest chance is taken from which
on the bound of Clopper and Pearson (Biometrika 1934) keeps to the risk that is allowed, as in Learn
then Test (Angelopoulos et al. 2021, arXiv:2110.01052).

The default was fitted on a part of SQuAD 2.0's dev set (16 articles, 6,078 questions, its 646
contexts as the corpus, answers of one sentence): all questions, and of the answerable ones most
again with their article or their context taken out. On articles that were held out from the fit (8
folds) it tells answerable questions from those without their article, from those without their
context, and from SQuAD's own unanswerable ones with an AUROC of 0.97, 0.86 and 0.71. Its curve is
over all questions of held-out articles, answerable and not; an answer is right if it has a gold
answer in it. Six questions that are there twice, once called unanswerable, count with the gold
answers of their twins.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rag_pipeline.errors import SettingsError
from rag_pipeline.generation.signals import SIGNALS, Signals

_BISECTIONS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Of `answers` held-out answers with at least this chance, so many were wrong."""

    chance: float
    answers: int
    wrong: int

    def risk(self, certainty: float) -> float:
        """The part that is wrong, or less, with `certainty`: Clopper and Pearson's upper bound."""
        return upper_bound(self.wrong, self.answers, certainty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From signals to the chance that an answer is right, and what came true of such chances."""

    weights: Mapping[str, float]
    """By the name of a signal."""
    bias: float
    abstain_below: float
    """A smaller chance than this is no evidence."""
    curve: tuple[Point, ...]
    """From the highest chance down, each with all that are above it."""
    questions: int
    """It was fitted on."""
    note: str = ""

    def chance(self, found: Signals) -> float:
        """That an answer from this sentence is right; 0 to 1."""
        values = asdict(found)
        logit = self.bias + sum(weight * values[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))

    def grounded(self, risk: float, certainty: float) -> Point | None:
        """From which chance on at most `risk` of the answers are wrong, with `certainty`.

        The curve is gone down from its first point that keeps to the risk to the last before one
        that does not. None: no answer can be promised to be right that often.
        """
        kept: Point | None = None
        for point in self.curve:
            if point.risk(certainty) <= risk:
                kept = point
            elif kept is not None:
                break
        return kept

    def as_json(self) -> dict[str, Any]:
        """As it is kept with a collection."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any], *, collection: str) -> "Calibration":
        """What `as_json` gave. Raises `SettingsError` for what can't be used."""
        try:
            found = _STORED.validate_python(stored)
        except ValidationError as error:
            raise _unusable(collection, error.errors()[0]["msg"]) from error
        if unknown := found.weights.keys() - {*SIGNALS}:
            raise _unusable(collection, f"there is no signal {min(unknown)!r}")
        return found


_STORED = TypeAdapter(Calibration)


def _unusable(collection: str, reason: str) -> SettingsError:
    return SettingsError(
        f"the calibration of collection {collection!r} can't be used: {reason}; remove it with:"
        f" rag eval calibrate --reset -c {collection}"
    )


def upper_bound(wrong: int, answers: int, certainty: float) -> float:
    """The largest chance of being wrong under which `wrong` or fewer of `answers` is not less
    likely than 1 - `certainty` (Clopper and Pearson, Biometrika 1934)."""
    if wrong >= answers:
        return 1.0
    low, high = wrong / answers, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _at_most(wrong, answers, middle) > 1 - certainty:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, answers: int, chance: float) -> float:
    """The chance of `wrong` or fewer in `answers` draws."""
    if chance in (0.0, 1.0):
        return 1.0 - chance
    logs = (
        math.lgamma(answers + 1)
        - math.lgamma(count + 1)
        - math.lgamma(answers - count + 1)
        + count * math.log(chance)
        + (answers - count) * math.log1p(-chance)
        for count in range(wrong + 1)
    )
    return sum(map(math.exp, logs))


DEFAULT = Calibration(
    weights={
        "cosine": 2.03,
        "passage_cosine": 0.94,
        "best_cosine": 2.64,
        "about": 0.34,
        "words": 1.04,
        "marks": 0.98,
        "passage_words": -0.7,
        "same_polarity": 1.75,
        "opposed": -2.38,
        "denies": -0.82,
        "has_what_is_asked": 0.08,
        "is_of_kind": 1.04,
        "fit": 2.88,
        "is_stated": 2.16,
        "is_nearly_stated": 1.2,
    },
    bias=-10.53,
    abstain_below=0.1,
    curve=tuple(
        Point(chance=chance, answers=answers, wrong=wrong)
        for chance, answers, wrong in (
            (0.95, 51, 2),
            (0.94, 69, 3),
            (0.93, 80, 3),
            (0.92, 99, 4),
            (0.91, 109, 4),
            (0.9, 121, 4),
            (0.89, 134, 4),
            (0.88, 142, 4),
            (0.87, 147, 4),
            (0.86, 153, 5),
            (0.85, 159, 6),
            (0.8, 239, 19),
            (0.7, 589, 122),
            (0.6, 1132, 310),
            (0.5, 1731, 557),
            (0.4, 2365, 886),
            (0.3, 3011, 1260),
            (0.2, 3786, 1780),
            (0.1, 4761, 2561),
        )
    ),
    questions=6078,
    note="a part of SQuAD 2.0",
)
