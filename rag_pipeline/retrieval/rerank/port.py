"""What a reranker is: it reads the query beside each of a few candidates, and scores them anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.records import ChunkId, StoredChunk, TermMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankCandidate:
    """A chunk, and how it was found."""

    chunk: StoredChunk
    score: float
    """Of the fusion."""
    vector_rank: int | None = None
    """From 1; None where that side did not list it. So with the other three."""
    vector_score: float | None = None
    keyword_rank: int | None = None
    keyword_score: float | None = None
    matches: Sequence[TermMatch] = ()
    """How the query's terms match, where that was looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """A candidate's new score, and what it is made of."""

    chunk_id: ChunkId
    score: float
    contributions: Mapping[str, float]
    """By feature; they add up to the score."""


class Reranker(Protocol):
    """A second opinion on the best candidates."""

    def rerank(self, query: str, candidates: Sequence[RerankCandidate]) -> list[Reranked]:
        """Every candidate once, best first; ties go to the lower key."""


def best_first(reranked: Sequence[Reranked]) -> list[Reranked]:
    """In the order that a reranker gives; any order of the same candidates gives the same."""
    return sorted(reranked, key=lambda one: (-one.score, one.chunk_id))
