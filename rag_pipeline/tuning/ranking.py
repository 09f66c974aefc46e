"""How well vectors rank passages for questions: the measure that a training stops by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from rag_pipeline.evaluation.judgments import Grades
from rag_pipeline.evaluation.measures import Measure
from storage.records import Vectors

MEASURE = Measure.parse("ndcg@10")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingSet:
    """Questions, the passages that are ranked for each, and which of them answer it."""

    questions: Mapping[str, str]
    """By id."""
    passages: Sequence[str]
    documents: Sequence[str]
    """For each passage the id of the document that it is of."""
    grades: Mapping[str, Grades]
    """By the question's id: the grades of documents, by theirs."""

    def ndcg(self, questions: Vectors, passages: Vectors) -> float:
        """Mean nDCG@10 over the questions, for unit vectors of questions and passages in order.

        A document is as near as its nearest passage; of equals the first comes first.
        """
        order = np.argsort(-(questions @ passages.T), axis=1, kind="stable")
        figures = [
            MEASURE.of(self._documents(best.tolist()), self.grades[question])
            for question, best in zip(self.questions, order, strict=True)
        ]
        return float(np.mean(figures))

    def _documents(self, passages: Sequence[int]) -> list[str]:
        assert MEASURE.cutoff is not None
        return [*islice(dict.fromkeys(self.documents[at] for at in passages), MEASURE.cutoff)]

    def of(self, questions: Sequence[str]) -> "RankingSet":
        """Only these questions, over all passages."""
        return RankingSet(
            questions={one: self.questions[one] for one in questions},
            passages=self.passages,
            documents=self.documents,
            grades={one: self.grades[one] for one in questions},
        )
