"""How good a ranking is, as `trec_eval` counts it.

A ranking is cut where its run ends; a document that nobody judged, and one with a grade of 0 or
below, is not relevant. nDCG gains are the grades themselves (Järvelin and Kekäläinen, TOIS 2002,
with the discount log2(rank + 1)); MAP and recall divide by all that is relevant, found or not.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.judgments import Grades, relevant

Kind = Literal["ndcg", "map", "mrr", "recall", "p"]

_NAME = re.compile(r"(ndcg|map|mrr|recall|p)(?:@([1-9]\d{0,4}))?")
_CUT_ONLY = ("recall", "p")
SHOWN = "ndcg@10, map, mrr, recall@100, p@10"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of merit, from 0 to 1; without a cutoff it looks at the whole ranking."""

    kind: Kind
    cutoff: int | None = None

    @classmethod
    def parse(cls, name: str) -> "Measure":
        """The measure of that name, in any case. Raises `EvaluationError`."""
        found = _NAME.fullmatch(name.strip().lower())
        if found is None or (found[2] is None and found[1] in _CUT_ONLY):
            raise EvaluationError(
                f"{name.strip()!r} is no metric: write one like {SHOWN}, with any cutoff"
            )
        kind: Kind = found[1]  # type: ignore[assignment]  # the pattern allows no other
        return cls(kind, int(found[2]) if found[2] else None)

    @property
    def name(self) -> str:
        """As it is written: `ndcg@10`."""
        return self.kind if self.cutoff is None else f"{self.kind}@{self.cutoff}"

    def of(self, ranking: Sequence[str], grades: Grades) -> float:
        """The figure for one query; 0 where nothing is relevant. `ranking` is best first."""
        seen = ranking[: self.cutoff]
        wanted = relevant(grades)
        if not wanted:
            return 0.0
        ranks = [rank for rank, doc in enumerate(seen, start=1) if doc in wanted]
        match self.kind:
            case "ndcg":
                return _ndcg(seen, grades, self.cutoff)
            case "map":
                return sum(n / rank for n, rank in enumerate(ranks, start=1)) / len(wanted)
            case "mrr":
                return 1 / ranks[0] if ranks else 0.0
            case "recall":
                return len(ranks) / len(wanted)
            case "p":
                assert self.cutoff is not None
                return len(ranks) / self.cutoff


DEFAULT_MEASURES = tuple(
    map(Measure.parse, ("ndcg@10", "map", "mrr", "recall@10", "recall@100", "p@10"))
)


def parse_measures(names: str) -> tuple[Measure, ...]:
    """Measures from a list with commas, each once. Raises `EvaluationError`."""
    return tuple(dict.fromkeys(Measure.parse(name) for name in names.split(",")))


def ordered(scores: Mapping[str, float]) -> list[str]:
    """Documents best first, as `trec_eval` orders them.

    It keeps scores as float32, and of equal ones takes the greater id first.
    """
    key = {doc: (np.float32(score), doc.encode()) for doc, score in scores.items()}
    return sorted(scores, key=key.__getitem__, reverse=True)


def _ndcg(seen: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    return _gain(max(grades.get(doc, 0), 0) for doc in seen) / _gain(ideal[:cutoff])


def _gain(grades: Iterable[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))
