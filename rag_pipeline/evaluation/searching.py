"""Asks the queries that are judged, and keeps which documents were found."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rag_pipeline.errors import QueryError
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.judgments import Judgments
from rag_pipeline.evaluation.report import Ranked
from rag_pipeline.evaluation.trec import documents
from rag_pipeline.retrieval.query import MAX_LIMIT, check_query

if TYPE_CHECKING:
    from rag_pipeline.retrieval.search import SearchResult

Search = Callable[[str], "SearchResult"]
"""Enough hits for a query to name as many documents as are looked at; always at one generation."""

DEFAULT_DEPTH = 100
MAX_DEPTH = MAX_LIMIT


def searched(judgments: Judgments, search: Search) -> Ranked:
    """The documents that are found for each judged query.

    Raises `EvaluationError` naming a query that can't be searched for.
    """
    check_queries(judgments)
    rankings: dict[str, Sequence[str]] = {}
    generation = 0
    for query, text in judgments.texts.items():
        result = search(text)
        rankings[query] = list(documents(result.hits))
        generation = result.generation
    return Ranked(rankings=rankings, generation=generation)


def check_queries(judgments: Judgments) -> None:
    """Raise `EvaluationError` naming a query that can't be searched for."""
    for query, text in judgments.texts.items():
        try:
            check_query(text)
        except QueryError as error:
            raise EvaluationError(f"the judged query {query!r} can't be asked: {error}") from error
