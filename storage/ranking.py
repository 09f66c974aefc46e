"""The order of results, in one place, so that every index and every adapter ranks alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from storage.records import ChunkId, Ids, Scored

Scores = npt.NDArray[np.float64]

DECIMALS = 6
"""Scores are rounded to this many decimals before they are compared: noise breaks no tie."""
ROUNDING = 10.0**-DECIMALS
"""Two scores further apart than this keep their order when they are rounded."""


@dataclass(frozen=True, slots=True, eq=False)
class Listing(Sequence[Scored]):
    """Chunks, each once, best first, as two arrays: a search lists hundreds, and shows ten."""

    ids: Ids
    scores: Scores

    @classmethod
    def of(cls, found: Sequence[Scored]) -> Self:
        """What stands in a list."""
        ids = np.array([one.chunk_id for one in found], np.int64)
        return cls(ids, np.array([one.score for one in found], np.float64))

    def __len__(self) -> int:
        return self.ids.size

    @overload
    def __getitem__(self, place: int) -> Scored: ...
    @overload
    def __getitem__(self, place: slice) -> "Listing": ...
    def __getitem__(self, place: int | slice) -> "Scored | Listing":
        if isinstance(place, slice):
            return Listing(self.ids[place], self.scores[place])
        return Scored(ChunkId(int(self.ids[place])), float(self.scores[place]))

    def __iter__(self) -> Iterator[Scored]:
        return map(Scored._make, zip(self.ids.tolist(), self.scores.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((self.ids.tobytes(), self.scores.tobytes()))


NOTHING = Listing(np.empty(0, np.int64), np.empty(0))


def best(ids: Ids, scores: Scores, limit: int) -> Listing:
    """The `limit` highest scores, rounded; equal scores by ascending key."""
    near = contenders(scores, limit)
    rounded, keys = scores[near].round(DECIMALS), ids[near]
    order = np.lexsort((keys, -rounded))[: max(limit, 0)]
    return Listing(keys[order], rounded[order])


def contenders(scores: Scores, limit: int) -> Ids:
    """Rows that may be among the best `limit` once scores are rounded: every tie at the cut."""
    if limit >= scores.size or limit < 1:
        return np.arange(scores.size if limit > 0 else 0)
    return (scores >= least_of_best(scores, limit) - 2 * ROUNDING).nonzero()[0]


def least_of_best(scores: npt.NDArray[np.floating[Any]], limit: int) -> float:
    """The lowest of the `limit` highest scores; there must be more of them."""
    parted = scores.copy()
    parted.partition(-limit)
    return float(parted[-limit])


def union(one: Ids, other: Ids) -> Ids:
    """The keys that are in either, ascending. `np.union1d` hashes them, which takes longer."""
    both = np.concatenate([one, other])
    both.sort()
    is_new = np.ones(both.size, np.bool_)
    np.not_equal(both[1:], both[:-1], out=is_new[1:])
    return both[is_new]
