"""`rag eval retrieval`, wired: searches for judged queries, and judges what is found."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode
from rag_pipeline.evaluation.criteria import Criterion, all_measures
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.judgments import Judgments, read_judgments, read_qrels
from rag_pipeline.evaluation.measures import DEFAULT_MEASURES, Measure
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.evaluation.report import Ranked, Report, evaluated, from_run, report
from rag_pipeline.evaluation.searching import DEFAULT_DEPTH, MAX_DEPTH, searched
from storage.documents import external_ids_held
from storage.filters import parse
from storage.records import LOCAL_OWNER, EmbeddingSpace, Position, Principal

if TYPE_CHECKING:
    from rag_pipeline.retrieval.search import SearchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """What is searched for judged queries, and how."""

    collection: str = DEFAULT_COLLECTION
    mode: Mode = "hybrid"
    depth: int = DEFAULT_DEPTH
    """How many documents of each query count."""
    where: str | None = None
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be said of what was found."""

    measures: Sequence[Measure] = DEFAULT_MEASURES
    criteria: Sequence[Criterion] = ()
    """Conditions under which the evaluation fails."""
    baseline: Evaluation | None = None

    @property
    def all_measures(self) -> tuple[Measure, ...]:
        """Those that were asked for and those that the conditions speak of."""
        return all_measures(self.measures, self.criteria)


def evaluate(parts: Composition, folder: Path, searching: Searching, wanted: Wanted) -> Report:
    """Search for the judged queries of `folder`, all at one generation, and judge what is found.

    Raises `EvaluationError`, and what a search raises.
    """
    judgments = read_judgments(folder)
    position = parts.reader.served()
    ranked, found = evaluated_at(parts, judgments, searching, wanted.all_measures, position)
    held = external_ids_held(
        parts.database,
        parts.reader.collection(searching.collection, principal=searching.principal).collection_id,
        sorted(judgments.relevant),
        principal=searching.principal,
        generation=position.generation,
    )
    return _reported(ranked, found, judgments, wanted, held)


def evaluate_run(path: Path, folder: Path, depth: int, wanted: Wanted) -> Report:
    """Judge a TREC run file by the judgments of `folder`; nothing is searched."""
    check_depth(depth)
    qrels = read_qrels(folder)
    judgments = Judgments(texts={}, qrels=qrels)
    ranked = from_run(path, depth=depth)
    found = evaluated(
        ranked,
        judgments.sha256,
        qrels,
        wanted.all_measures,
        settings={"run": path.name, "k": depth},
    )
    return _reported(ranked, found, judgments, wanted, None)


def evaluated_at(
    parts: Composition,
    judgments: Judgments,
    searching: Searching,
    measures: Sequence[Measure],
    position: Position,
) -> tuple[Ranked, Evaluation]:
    """What is found at `position`, which need not be served, and how good that is."""
    check_depth(searching.depth)
    retriever = parts.retriever(searching.collection, principal=searching.principal)
    where = None if searching.where is None else parse(searching.where)
    for shelf in retriever.shelves:
        # What is served is put on disk; a search at `position` starts from there.
        shelf.vectors.catch_up()
        shelf.keywords.catch_up()

    def search(query: str) -> "SearchResult":
        # One by one, as they are asked in use: a vector may depend on what is embedded with it.
        (found,) = retriever.search_documents(
            [query],
            limit=searching.depth,
            mode=searching.mode,
            principal=searching.principal,
            where=where,
            as_of=position,
        )
        return found

    ranked = searched(judgments, search)
    settings: dict[str, Any] = {
        "collection": searching.collection,
        "mode": searching.mode,
        "k": searching.depth,
        "where": searching.where,
        "retrieval": retriever.settings.model_dump(mode="json"),
    }
    found = evaluated(
        ranked,
        judgments.sha256,
        judgments.qrels,
        measures,
        settings=settings,
        space=_space(retriever.collection.space),
    )
    return ranked, found


def check_depth(depth: int) -> None:
    """Raise `EvaluationError` for a depth that can't be searched to."""
    if not 1 <= depth <= MAX_DEPTH:
        raise EvaluationError(f"{depth} documents can't be looked at; ask for 1 to {MAX_DEPTH}")


def _reported(
    ranked: Ranked,
    found: Evaluation,
    judgments: Judgments,
    wanted: Wanted,
    held: frozenset[str] | None,
) -> Report:
    return report(
        found,
        ranked,
        judgments.qrels,
        held=held,
        baseline=wanted.baseline,
        criteria=wanted.criteria,
    )


def _space(space: EmbeddingSpace | None) -> dict[str, Any] | None:
    return None if space is None else asdict(space)
