"""Judged questions of the user's own as what a training is stopped and judged by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.evaluation.judgments import Judgments, read_judgments
from rag_pipeline.evaluation.searching import check_queries
from rag_pipeline.history.training import group_of
from rag_pipeline.tuning.data import LEAST_QUESTIONS, HeldOut, limited
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.ranking import RankingSet

_HALVES = {"validation": 0.5, "test": 0.5}


def held_out_of_judged(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    passages: Sequence[tuple[str, str]],
    *,
    seed: int,
) -> HeldOut:
    """Half of the judged questions of `folder` to stop by, the other half to judge by.

    `records` are the documents, `passages` theirs, each with its document's id. Raises
    `EvaluationError`, and `ExamplesError` for too few whose answers are there.
    """
    judged = _answerable(read_judgments(folder), {str(record["_id"]) for record in records})
    check_queries(judged)
    plan = SplitPlan(shares=_HALVES, seed=seed)
    halves: dict[str, list[str]] = {name: [] for name in _HALVES}
    for query, text in judged.texts.items():
        halves[plan.split_of(group_of(text))].append(query)
    if min(map(len, halves.values())) < LEAST_QUESTIONS:
        raise ExamplesError(
            f"{folder} judges {len(judged.texts)} questions whose answers the collection holds:"
            f" it takes {LEAST_QUESTIONS} in each half; give more, or name another --collection"
        )
    validation = _of(judged, halves["validation"])
    chosen = limited(passages, validation.relevant.__contains__)
    return HeldOut(
        validation=RankingSet(
            questions=validation.texts,
            passages=[text for _, text in chosen],
            documents=[name for name, _ in chosen],
            grades=validation.qrels,
        ),
        records=records,
        test=_of(judged, halves["test"]),
    )


def _answerable(judged: Judgments, held: set[str]) -> Judgments:
    """The questions that some document of the collection answers."""
    queries = [
        query
        for query, grades in judged.qrels.items()
        if any(grade > 0 and name in held for name, grade in grades.items())
    ]
    return _of(judged, queries)


def _of(judged: Judgments, queries: Sequence[str]) -> Judgments:
    return Judgments(
        texts={query: judged.texts[query] for query in queries},
        qrels={query: judged.qrels[query] for query in queries},
    )
