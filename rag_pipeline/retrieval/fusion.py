"""Merges what vector search and keyword search found into one ranking. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import fsum, sqrt

import numpy as np

from storage.ranking import Listing, Scores, best
from storage.records import ChunkId, Ids, Scored

RRF_K = 60
_FLAT = 1e-6
"""Scores whose deviation is a smaller share of the greatest of them do not differ: it is what
rounding left of cosines of 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """What either side found for one query, with the scores of both; one row a chunk."""

    ids: Ids
    """int64 (n,), ascending."""
    documents: Ids
    """int64 (n,): rows with the same number are parts of one text."""
    vector: Scores
    """float64 (n,): cosines to the query."""
    keyword: Scores
    """float64 (n,): 0 where no term matches."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fused:
    """The scores of candidates, and what they are made of; row i belongs to `ids[i]`."""

    ids: Ids
    parts: Mapping[str, Scores]
    """What each signal adds, 0 for the candidate that is last in it. The sum is at most 1, which
    is reached by a candidate that is first in all."""
    scale: float
    """How many standard deviations a score of 1 is, with the weights of the signals."""

    @property
    def score(self) -> Scores:
        """The sum of the parts, float64 (n,)."""
        return reduce(np.add, self.parts.values())

    def ranked(self) -> Listing:
        """Best first, scores rounded; ties go to the lower key."""
        return best(self.ids, self.score, self.ids.size)


def fuse_by_rank(rankings: Sequence[Sequence[Scored]], *, k: int = RRF_K) -> Listing:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the rankings that have a chunk
    (Cormack, Clarke and Büttcher, SIGIR 2009). Best first; ties go to the lower key.
    """
    parts: dict[ChunkId, list[float]] = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            parts.setdefault(found.chunk_id, []).append(1 / (k + rank))
    # fsum is exact: the order of the rankings can't break a tie.
    scores = {chunk_id: fsum(summands) for chunk_id, summands in parts.items()}
    best_first = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return Listing.of([Scored(chunk_id, score) for chunk_id, score in best_first])


def fuse(candidates: Candidates, *, vector_weight: float) -> Fused:
    """Convex combination of both scores, each counted in its standard deviations over the
    candidates, so that a side weighs the same whatever its measure, and one that can't tell them
    apart weighs nothing (Bruch, Gai and Ingber, ACM TOIS 2023, compare such normalisations).
    """
    return combined(
        candidates.ids,
        {
            "vector": vector_weight * deviations(candidates.vector),
            "keyword": (1 - vector_weight) * deviations(candidates.keyword),
        },
    )


def combined(ids: Ids, signals: Mapping[str, Scores]) -> Fused:
    """The sum of weighted signals, none of which is negative, brought into [0, 1]."""
    scale = float(sum(signal.max(initial=0.0) for signal in signals.values()))
    if not scale:
        # Where nothing differs all are first in all.
        signals = {name: np.full(ids.size, 1 / len(signals)) for name in signals}
        scale = 1.0
    return Fused(
        ids=ids,
        parts={name: signal / scale for name, signal in signals.items()},
        scale=scale,
    )


def deviations(signal: Scores) -> Scores:
    """How far each is above the lowest, in standard deviations; 0 where all are the same."""
    if not signal.size:
        return signal
    lowest, highest, spread = float(signal.min()), float(signal.max()), _spread(signal)
    if spread <= _FLAT * max(-lowest, highest):
        return np.zeros(signal.size)
    return np.asarray((signal - lowest) / spread, np.float64)


def _spread(signal: Scores) -> float:
    """The standard deviation, summed up as `signal.std()` does it, which checks far more."""
    off = signal - np.add.reduce(signal) / signal.size
    return sqrt(np.add.reduce(off * off) / signal.size)
