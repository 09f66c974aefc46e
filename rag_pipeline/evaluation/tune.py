"""`rag eval tune`, wired: fits how a collection is searched to judged queries of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_pipeline.composition import Composition
from rag_pipeline.evaluation.comparison import Compared, compare
from rag_pipeline.evaluation.judgments import Grades, Judgments, read_judgments
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.evaluation.searching import check_queries
from rag_pipeline.retrieval.errors import TuningError
from rag_pipeline.retrieval.rerank.features import features
from rag_pipeline.retrieval.rerank.linear import Example
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.retrieval.tuning import (
    CUTOFF,
    JudgedQuery,
    ReadQuery,
    Tuned,
    TunedReranker,
    fit,
    fit_reranker,
)
from storage.collection import retrieval_settings, set_retrieval_settings
from storage.ranking import Scores
from storage.records import ChunkId, Principal, StoredChunk

if TYPE_CHECKING:
    from rag_pipeline.retrieval.ranking import Gathered
    from rag_pipeline.retrieval.rerank.port import RerankCandidate
    from rag_pipeline.retrieval.search import Retriever

FOLDS = 5
_SHUFFLED_BY = 20_260
_QUERIES_A_STEP = 64
_FUSION = ("vector_weight", "feedback")
_RERANKER = "linear_reranker"
"""With those of the fusion, what is stored of the settings; the rest is the user's to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What was fitted of one step of the search, and what that is worth."""

    compared: Compared
    """Each query ranked without the step's fit, and by a fit of the step that never saw it."""
    fitted: Mapping[str, Any] | None
    """The settings as fitted on all queries. None: nothing helps for sure."""

    def as_json(self) -> dict[str, Any]:
        gain = self.compared.difference
        return {
            "before": self.compared.baseline,
            "after": self.compared.value,
            "gain": {"mean": gain.mean, "low": gain.low, "high": gain.high},
            "wins": self.compared.wins,
            "losses": self.compared.losses,
            "ties": self.compared.ties,
            "fitted": None if self.fitted is None else dict(self.fitted),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was fitted to a collection, and what that is worth on queries it was not fitted on.

    The gain of each stage is that on held-out queries. Between the stages nothing is held out: the
    reranker starts from the fusion as it would be stored, whose few weights were fitted on all
    queries if they help. So its `before` and `after` may both be a little too high, but not so its
    gain: that is of coefficients which never saw the query. Where the fusion's fit does not help,
    the reranker starts from the settings as they were, and all of its figures are held out.
    """

    collection: str
    start: Mapping[str, Any]
    """The settings of the fusion that the fit began with."""
    fusion: Stage
    reranker: Stage | None
    """Its figures count only what it reads, the best `rerank_depth` chunks."""
    no_reranker: str | None
    """Why none was fitted; None where one was."""
    overruled: tuple[str, ...]
    """Those of the fitted settings that the user has set, which goes before."""
    kept: Mapping[str, Any] | None
    """What was fitted to the collection earlier, and stays; None where nothing does."""
    is_stored: bool

    @property
    def queries(self) -> int:
        """How many were judged."""
        one = self.fusion.compared
        return one.wins + one.losses + one.ties

    @property
    def fitted(self) -> Mapping[str, Any] | None:
        """The settings of all stages that help; None where none does."""
        return _merged(self.fusion, self.reranker)

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface of `rag eval tune --json`."""
        return {
            "collection": self.collection,
            "queries": self.queries,
            "folds": FOLDS,
            "metric": f"ndcg@{CUTOFF}",
            "settings": dict(self.start),
            "fusion": self.fusion.as_json(),
            "reranker": None if self.reranker is None else self.reranker.as_json(),
            "no_reranker": self.no_reranker,
            "fitted": None if self.fitted is None else dict(self.fitted),
            "overruled": list(self.overruled),
            "stored": self.is_stored,
            "kept": None if self.kept is None else dict(self.kept),
        }


def tune(
    parts: Composition, folder: Path, collection: str, *, principal: Principal, dry_run: bool
) -> Tuning:
    """Fit on all queries of `folder`, and store of it what helps on held-out ones.

    First the fusion, then a reranker of what the fusion then ranks best. What is stored takes the
    place of all that was fitted earlier. Raises `EvaluationError`, and `TuningError` where there is
    too little to fit on.
    """
    judgments = read_judgments(folder)
    check_queries(judgments)
    retriever = parts.retriever(collection, principal=principal)
    earlier = retrieval_settings(parts.database, retriever.collection)
    queries = _shuffled(judgments)
    judged = _judged(parts, judgments, queries, retriever, principal)
    # Not from what was fitted before: it has seen some of these queries.
    start = parts.settings.retrieval
    tuned = fit(judged, start=start, folds=FOLDS)
    fusion = _fusion_stage(queries, tuned)
    ranking = replace(retriever, settings=_effective(start, tuned.settings), reranker=None)
    reranker, reason = _reranker_stage(judgments, queries, ranking, principal)
    fitted = _merged(fusion, reranker)
    is_stored = fitted is not None and not dry_run
    if is_stored:
        set_retrieval_settings(parts.database, retriever.collection, fitted)
    return Tuning(
        collection=collection,
        start=_of_fusion(start),
        fusion=fusion,
        reranker=reranker,
        no_reranker=reason,
        overruled=tuple(name for name in fitted or () if name in start.model_fields_set),
        kept=None if is_stored else earlier,
        is_stored=is_stored,
    )


def reset(parts: Composition, collection: str, *, principal: Principal) -> bool:
    """Forget what was fitted to the collection; whether there was anything."""
    found = parts.reader.collection(collection, principal=principal)
    was_fitted = retrieval_settings(parts.database, found) is not None
    set_retrieval_settings(parts.database, found, None)
    return was_fitted


def _merged(*stages: Stage | None) -> Mapping[str, Any] | None:
    found = [stage.fitted for stage in stages if stage is not None and stage.fitted is not None]
    return {name: value for fitted in found for name, value in fitted.items()} or None


def _of_fusion(settings: RetrievalSettings) -> dict[str, Any]:
    chosen: dict[str, Any] = settings.model_dump(mode="json", include={*_FUSION})
    return chosen


def _effective(start: RetrievalSettings, fitted: RetrievalSettings) -> RetrievalSettings:
    """What a search goes by once `fitted` is stored: the user's own settings go before it."""
    free = [name for name in _FUSION if name not in start.model_fields_set]
    return start.model_copy(update={name: getattr(fitted, name) for name in free})


def _fusion_stage(queries: Sequence[str], tuned: Tuned) -> Stage:
    return Stage(
        compared=_compared(queries, tuned),
        fitted=_of_fusion(tuned.settings) if tuned.helps else None,
    )


def _reranker_stage(
    judgments: Judgments, queries: Sequence[str], retriever: "Retriever", principal: Principal
) -> tuple[Stage | None, str | None]:
    """What was fitted, or why nothing was."""
    reason = _why_not(retriever.settings)
    if reason is not None:
        return None, reason
    read = _read(judgments, queries, retriever, principal)
    try:
        tuned = fit_reranker(read, folds=FOLDS)
    except TuningError as error:
        # What the fusion gains is worth having without a reranker.
        return None, str(error)
    fitted = {_RERANKER: dict(tuned.model.coefficients)} if tuned.helps else None
    return Stage(compared=_compared(queries, tuned), fitted=fitted), None


def _why_not(settings: RetrievalSettings) -> str | None:
    """Why a linear reranker would never be asked, if so."""
    if settings.rerank_depth == 0:
        return "your settings rerank nothing: rerank_depth is 0"
    if settings.cross_encoder is not None:
        return "your settings rerank by a cross-encoder"
    if _RERANKER in settings.model_fields_set:
        return f"your settings have {_RERANKER}, which goes before what is fitted"
    return None


def _read(
    judgments: Judgments, queries: Sequence[str], retriever: "Retriever", principal: Principal
) -> list[ReadQuery]:
    found: list[ReadQuery] = []
    for begin in range(0, len(queries), _QUERIES_A_STEP):
        step = queries[begin : begin + _QUERIES_A_STEP]
        texts = [judgments.texts[query] for query in step]
        readable = retriever.readable(texts, principal=principal)
        found += [
            _read_query(text, candidates, judgments.qrels[query])
            for query, text, candidates in zip(step, texts, readable, strict=True)
        ]
    return found


def _read_query(text: str, candidates: Sequence["RerankCandidate"], grades: Grades) -> ReadQuery:
    # By key, which is how a reranker orders ties.
    by_key = sorted(candidates, key=lambda candidate: candidate.chunk.chunk_id)
    chunks = [candidate.chunk for candidate in by_key]
    return ReadQuery(
        example=Example(
            features=features(text, by_key),
            grades=np.array([_grade(chunk, grades) for chunk in chunks], np.float64),
        ),
        documents=np.array([chunk.document_id for chunk in chunks], np.int64),
        judged=tuple(grades.values()),
    )


def _grade(chunk: StoredChunk, grades: Grades) -> int:
    """The best that one of its text's sources has."""
    return max((grades.get(ref.external_id, 0) for ref in chunk.sources), default=0)


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
        [_grade(chunks[key], grades) if key in chunks else 0 for key in ids], np.float64
    )


def _compared(queries: Sequence[str], tuned: Tuned | TunedReranker) -> Compared:
    name = f"ndcg@{CUTOFF}"

    def as_evaluation(figures: Scores) -> Evaluation:
        pairs = zip(queries, figures, strict=True)
        return Evaluation(
            settings={},
            judgments_sha256="",
            queries={query: {name: float(figure)} for query, figure in pairs},
        )

    return compare(as_evaluation(tuned.after), as_evaluation(tuned.before)).by_measure[name]
