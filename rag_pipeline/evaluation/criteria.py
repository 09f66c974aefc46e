"""When an evaluation fails: `ndcg@10 < 0.4`, `map <= baseline`, `recall@100 < baseline - 0.01`.

A metric, a comparison, and a number or the baseline's figure with a number added or taken away.
Nothing else is an expression, and nothing is ever executed.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_pipeline.evaluation.comparison import Comparison
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.measures import Measure
from rag_pipeline.evaluation.record import Evaluation

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_EXPRESSION = re.compile(
    r"\s*(?P<measure>[A-Za-z]+(?:@\d+)?)\s*(?P<sign><=|>=|<|>)\s*"
    rf"(?:(?P<baseline>baseline)\s*(?:(?P<way>[+-])\s*(?P<shift>{_NUMBER}))?|(?P<bound>{_NUMBER}))\s*",
    re.IGNORECASE,
)
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A condition under which an evaluation fails."""

    text: str
    measure: Measure
    sign: str
    number: float
    """The bound; where it is `relative`, what is added to the baseline's figure."""
    relative: bool

    @classmethod
    def parse(cls, text: str) -> "Criterion":
        """The condition that `text` states. Raises `EvaluationError`."""
        found = _EXPRESSION.fullmatch(text)
        if found is None:
            raise EvaluationError(
                f"{text!r} is no condition: write a metric, < <= > or >=, and a number or the"
                " baseline, like 'ndcg@10 < baseline - 0.01'"
            )
        measure = Measure.parse(found["measure"])
        size = float(found["bound"] or found["shift"] or 0)
        if not math.isfinite(size):
            raise EvaluationError(f"{text!r} has a number that is too large: use one from 0 to 1")
        return cls(
            text=" ".join(text.split()),
            measure=measure,
            sign=found["sign"],
            number=-size if found["way"] == "-" else size,
            relative=found["baseline"] is not None,
        )

    def failure(self, found: Evaluation, against: Comparison | None) -> str | None:
        """Why `found` fails, with the figures; None if it does not.

        Without a baseline no condition that speaks of it is met. One is judged over the queries
        that both have.
        """
        name = self.measure.name
        value, bound = found.mean(name), self.number
        if self.relative:
            if against is None:
                return None
            compared = against.of(name)
            value, bound = compared.value, compared.baseline + self.number
        if not _HOLDS[self.sign](value, bound):
            return None
        # With so many digits that the two differ where they do.
        return f"{self.text}: {name} is {value:.6g}, the bound {bound:.6g}"


def failures(
    criteria: Sequence[Criterion], found: Evaluation, against: Comparison | None
) -> list[str]:
    """Why `found` fails, a line for each condition that is met."""
    said = (criterion.failure(found, against) for criterion in criteria)
    return [why for why in said if why is not None]


def all_measures(wanted: Sequence[Measure], criteria: Sequence[Criterion]) -> tuple[Measure, ...]:
    """`wanted`, and what the conditions speak of besides."""
    return tuple(dict.fromkeys([*wanted, *(one.measure for one in criteria)]))
