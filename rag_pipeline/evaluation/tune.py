"""`rag eval tune`, wired: fits how a collection is searched to judged queries of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_pipeline.composition import Composition
from rag_pipeline.evaluation.comparison import Compared, compare
from rag_pipeline.evaluation.judgments import Grades, Judgments, read_judgments
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.evaluation.searching import check_queries
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.tuning import CUTOFF, JudgedQuery, Tuned, fit
from storage.collection import retrieval_settings, set_retrieval_settings
from storage.ranking import Scores
from storage.records import ChunkId, Principal

if TYPE_CHECKING:
    from rag_pipeline.retrieval.ranking import Gathered
    from rag_pipeline.retrieval.search import Retriever

FOLDS = 5
_SHUFFLED_BY = 20_260
_QUERIES_A_STEP = 64
_FITTED = ("vector_weight", "feedback")
"""What is stored of the settings; the rest stays the user's to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was fitted to a collection, and what that is worth on queries it was not fitted on."""

    collection: str
    compared: Compared
    before: Mapping[str, Any]
    fitted: Mapping[str, Any] | None
    """None: nothing helps for sure."""
    is_stored: bool

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface of `rag eval tune --json`."""
        gain = self.compared.difference
        return {
            "collection": self.collection,
            "queries": self.compared.wins + self.compared.losses + self.compared.ties,
            "folds": FOLDS,
            "metric": f"ndcg@{CUTOFF}",
            "before": self.compared.baseline,
            "after": self.compared.value,
            "gain": {"mean": gain.mean, "low": gain.low, "high": gain.high},
            "wins": self.compared.wins,
            "losses": self.compared.losses,
            "ties": self.compared.ties,
            "settings": dict(self.before),
            "fitted": None if self.fitted is None else dict(self.fitted),
            "stored": self.is_stored,
        }


def tune(
    parts: Composition, folder: Path, collection: str, *, principal: Principal, dry_run: bool
) -> Tuning:
    """Fit on all queries of `folder`, and store what was fitted if it helps on held-out ones.

    Raises `EvaluationError`, and `TuningError` where there is too little to fit on.
    """
    judgments = read_judgments(folder)
    check_queries(judgments)
    retriever = parts.retriever(collection, principal=principal)
    queries = _shuffled(judgments)
    judged = _judged(parts, judgments, queries, retriever, principal)
    # Not from what was fitted before: it has seen some of these queries.
    start = parts.settings.retrieval
    tuned = fit(judged, start=start, folds=FOLDS)
    fitted = _fitted(tuned.settings) if tuned.helps else None
    if fitted is not None and not dry_run:
        set_retrieval_settings(parts.database, retriever.collection, fitted)
    return Tuning(
        collection=collection,
        compared=_compared(queries, tuned),
        before=_fitted(start),
        fitted=fitted,
        is_stored=fitted is not None and not dry_run,
    )


def reset(parts: Composition, collection: str, *, principal: Principal) -> bool:
    """Forget what was fitted to the collection; whether there was anything."""
    found = parts.reader.collection(collection, principal=principal)
    was_fitted = retrieval_settings(parts.database, found) is not None
    set_retrieval_settings(parts.database, found, None)
    return was_fitted


def _fitted(settings: RetrievalSettings) -> dict[str, Any]:
    chosen: dict[str, Any] = settings.model_dump(mode="json", include={*_FITTED})
    return chosen


def _shuffled(judgments: Judgments) -> list[str]:
    """The order of a file may say something, and folds are taken by place."""
    queries = list(judgments.texts)
    order = np.random.default_rng(_SHUFFLED_BY).permutation(len(queries))
    return [queries[at] for at in order]


def _judged(
    parts: Composition,
    judgments: Judgments,
    queries: Sequence[str],
    retriever: "Retriever",
    principal: Principal,
) -> list[JudgedQuery]:
    found: list[JudgedQuery] = []
    generation = parts.reader.served().generation
    for begin in range(0, len(queries), _QUERIES_A_STEP):
        step = queries[begin : begin + _QUERIES_A_STEP]
        texts = [judgments.texts[query] for query in step]
        for query, one in zip(step, retriever.gathered(texts, principal=principal), strict=True):
            grades = judgments.qrels[query]
            found.append(
                JudgedQuery(
                    candidates=one.candidates,
                    vectors=one.vectors,
                    query=one.query,
                    grades=_grades(parts, one, grades, principal, generation),
                    judged=tuple(grades.values()),
                )
            )
    return found


def _grades(
    parts: Composition, found: "Gathered", grades: Grades, principal: Principal, generation: int
) -> Scores:
    """float64 (n,): of each candidate the best grade that one of its text's sources has."""
    ids = [ChunkId(int(key)) for key in found.candidates.ids]
    chunks = parts.reader.chunks(ids, principal=principal, generation=generation)
    return np.array(
        [
            max((grades.get(ref.external_id, 0) for ref in chunks[key].sources), default=0)
            if key in chunks
            else 0
            for key in ids
        ],
        np.float64,
    )


def _compared(queries: Sequence[str], tuned: Tuned) -> Compared:
    name = f"ndcg@{CUTOFF}"

    def as_evaluation(figures: Scores) -> Evaluation:
        pairs = zip(queries, figures, strict=True)
        return Evaluation(
            settings={},
            judgments_sha256="",
            queries={query: {name: float(figure)} for query, figure in pairs},
        )

    return compare(as_evaluation(tuned.after), as_evaluation(tuned.before)).by_measure[name]
