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
    r"\s*(?P<measure>[A-Za-z][A-Za-z0-9_]*(?:@\d+)?)\s*(?P<sign><=|>=|<|>)\s*"
    rf"(?:(?P<baseline>baseline)\s*(?:(?P<way>[+-])\s*(?P<shift>{_NUMBER}))?|(?P<bound>{_NUMBER}))\s*",
    re.IGNORECASE,
)
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


Named = Callable[[str], str]
"""From how a figure is written to its name. Raises `EvaluationError` for one that is not known."""


def _metric(text: str) -> str:
    return Measure.parse(text).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A condition under which an evaluation fails."""

    text: str
    name: str
    """Of the figure that it speaks of."""
    sign: str
    number: float
    """The bound; where it is `relative`, what is added to the baseline's figure."""
    relative: bool

    @classmethod
    def parse(cls, text: str, named: "Named | None" = None) -> "Criterion":
        """The condition that `text` states, on one of retrieval's metrics or of what is `named`.

        Raises `EvaluationError`.
        """
        found = _EXPRESSION.fullmatch(text)
        if found is None:
            raise EvaluationError(
                f"{text!r} is no condition: write a metric, < <= > or >=, and a number or the"
                " baseline, like 'ndcg@10 < baseline - 0.01'"
            )
        name = (named or _metric)(found["measure"])
        size = float(found["bound"] or found["shift"] or 0)
        if not math.isfinite(size):
            raise EvaluationError(f"{text!r} has a number that is too large: use one from 0 to 1")
        return cls(
            text=" ".join(text.split()),
            name=name,
            sign=found["sign"],
            number=-size if found["way"] == "-" else size,
            relative=found["baseline"] is not None,
        )

    def failure(self, found: Evaluation, against: Comparison | None) -> str | None:
        """Why `found` fails, with the figures; None if it does not.

        Without a baseline no condition that speaks of it is met. One is judged over the queries
        that both have.
        """
        value, bound = found.mean(self.name), self.number
        if self.relative:
            if against is None:
                return None
            then, value = against.figures(self.name)
            bound = then + self.number
        return self.met_by(value, bound)

    def met_by(self, value: float, bound: float) -> str | None:
        """What is said where `value` is on the wrong side of `bound`; None where it is not."""
        if not _HOLDS[self.sign](value, bound):
            return None
        # With so many digits that the two differ where they do.
        return f"{self.text}: {self.name} is {value:.6g}, the bound {bound:.6g}"


def failures(
    criteria: Sequence[Criterion], found: Evaluation, against: Comparison | None
) -> list[str]:
    """Why `found` fails, a line for each condition that is met."""
    said = (criterion.failure(found, against) for criterion in criteria)
    return [why for why in said if why is not None]


def all_measures(wanted: Sequence[Measure], criteria: Sequence[Criterion]) -> tuple[Measure, ...]:
    """`wanted`, and what the conditions speak of besides."""
    return tuple(dict.fromkeys([*wanted, *(Measure.parse(one.name) for one in criteria)]))
