"""What is asked, and how both indexes are asked for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rag_pipeline.defaults import Mode
from rag_pipeline.errors import QueryError
from storage.filters import Filter, field_names
from storage.reading import REAL_ONLY
from storage.records import KeywordClause, Origin, Position, Principal, Vectors

MAX_QUERY_CHARACTERS = 10_000
MAX_LIMIT = 10_000
MAX_CONTEXT_CHARACTERS = 1_000_000

KeywordQuery = str | Sequence[KeywordClause]
"""Plain text, in which no character is an operator, or clauses."""
AsOf = int | datetime | str | Position
"""A generation, or a time; or exactly where to stand, be it served yet or not: so a quality gate
asks."""


class QueryEmbedder(Protocol):
    """Gives a query a vector in the collection's space."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 (len(texts), dimension), in the order of `texts`."""


class QueryWriter(Protocol):
    """Writes a query in other words; a language model behind a narrow door."""

    def passage_for(self, question: str) -> str:
        """A passage as it might stand in a document that answers `question`."""

    def standalone(self, question: str, earlier: Sequence[str]) -> str:
        """`question` so that it can be understood without the `earlier` ones, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be found, and for whom."""

    principal: Principal
    limit: int
    mode: Mode = "hybrid"
    origins: frozenset[Origin] = REAL_ONLY
    """What is found at all; `origins_in` says it for a filter."""
    where: Filter | None = None
    as_of: AsOf | None = None
    """None: what is served now."""
    operators: bool = False
    """Whether quotes, `*`, `+` and `-` in the query are operators, rather than text."""
    diversity: float = 0.0
    """0: the best hits, however alike. 1: hits as different as can be."""
    collapse: bool = False
    """Whether hits with nearly the text of a better one are left out."""
    expand: int = 0
    """How many characters around (and with) each hit are wanted; 0: none."""
    explain: bool = False
    earlier: tuple[str, ...] = ()
    """Questions that were asked before in the same conversation, oldest first."""
    hypothesis: bool = False
    """Whether the vector side looks for a passage as the generator would write it, too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """A query as both indexes take it."""

    text: str
    """What rerankers read: without operators."""
    keywords: KeywordQuery
    vector: Vectors
    """Of unit length, (dimension,); (0,) where the vector side is not asked."""

    @property
    def clauses(self) -> Sequence[KeywordClause]:
        """The operators of the query; none in plain text."""
        return () if isinstance(self.keywords, str) else self.keywords


def origins_in(where: Filter | None) -> frozenset[Origin]:
    """What is found where nobody says it: real documents, unless the filter asks for an origin."""
    asks = where is not None and "origin" in field_names(where)
    return frozenset(Origin) if asks else REAL_ONLY


def check_request(request: Request) -> None:
    """Raise `QueryError` for what can't be given."""
    if not 1 <= request.limit <= MAX_LIMIT:
        raise QueryError(f"{request.limit} results can't be given; ask for 1 to {MAX_LIMIT}")
    if not 0 <= request.diversity <= 1:
        raise QueryError(f"a diversity of {request.diversity} has no meaning; give 0 to 1")
    if not 0 <= request.expand <= MAX_CONTEXT_CHARACTERS:
        raise QueryError(
            f"{request.expand} characters around a hit can't be given; ask for 0 to"
            f" {MAX_CONTEXT_CHARACTERS}"
        )


def check_query(text: str) -> None:
    """Raise `QueryError` for what can't be searched for."""
    if not text.strip():
        raise QueryError("the question is empty; write what you want to know")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the question has {len(text)} characters; ask in at most {MAX_QUERY_CHARACTERS}"
        )
