"""Merges what vector search and keyword search found into one ranking. Pure functions."""

from collections.abc import Mapping, Sequence
from math import fsum

from storage.records import ChunkId, Scored

RRF_K = 60


def fuse_by_rank(rankings: Sequence[Sequence[Scored]], *, k: int = RRF_K) -> list[Scored]:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the rankings that have a chunk
    (Cormack, Clarke and Büttcher, SIGIR 2009). Best first; ties go to the lower key.
    """
    parts: dict[ChunkId, list[float]] = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            parts.setdefault(found.chunk_id, []).append(1 / (k + rank))
    # fsum is exact: the order of the rankings can't break a tie.
    return ranked({chunk_id: fsum(summands) for chunk_id, summands in parts.items()})


def fuse_by_score(
    vector: Mapping[ChunkId, float], keyword: Mapping[ChunkId, float], *, vector_weight: float
) -> list[Scored]:
    """Convex combination of both scores, each divided by the best of its side; within [0, 1].

    Unlike ranks, scores say by how much one chunk is better than the next (Bruch, Gai and Ingber,
    ACM TOIS 2023). A chunk that one side does not know scores nothing there. Best first; ties go
    to the lower key.
    """
    sides = ((vector_weight, _of_best(vector)), (1 - vector_weight, _of_best(keyword)))
    fused: dict[ChunkId, float] = dict.fromkeys((*vector, *keyword), 0.0)
    for weight, scores in sides:
        for chunk_id, score in scores.items():
            fused[chunk_id] += weight * score
    return ranked(fused)


def ranked(scores: Mapping[ChunkId, float]) -> list[Scored]:
    """Best first; ties go to the lower key."""
    best_first = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Scored(chunk_id, score) for chunk_id, score in best_first]


def _of_best(scores: Mapping[ChunkId, float]) -> dict[ChunkId, float]:
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return {}
    return {chunk_id: max(score, 0.0) / best for chunk_id, score in scores.items()}
