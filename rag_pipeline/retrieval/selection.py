"""Which of the ranked chunks are shown: no copies, some variety, and what stands around them.

Pure functions. They speak of chunks by their place in the ranking, 0 is the best.
"""

from collections.abc import Sequence

import numpy as np

from ingest.near_duplicates import Shingled, shingled, similarity
from ingest.sentences import sentences
from storage.ranking import DECIMALS, Scores
from storage.records import Vectors

COPY_SIMILARITY = 0.9
"""Which share of the shorter text stands in the longer one, where one is a copy of the other."""
COPY_COSINE = 0.9
"""Texts whose vectors are further apart are not compared word by word: no copy lies below it."""
_LEAD = 1_000
"""Characters that are read before and after a span, to see where its sentences begin and end."""


def originals(texts: Sequence[str], vectors: Vectors) -> list[int]:
    """For each text the first one that it is nearly the same as, which may be itself.

    Texts that differ in a name or a number are none of each other's copies. `vectors` are of unit
    length, (len(texts), dimension).
    """
    near = cosines(vectors) >= COPY_COSINE
    compared: dict[int, Shingled] = {}

    def text(place: int) -> Shingled:
        if place not in compared:
            compared[place] = shingled(texts[place])
        return compared[place]

    original_of: list[int] = []
    for place in range(len(texts)):
        earlier = (
            first
            for first in np.flatnonzero(near[place, :place]).tolist()
            if original_of[first] == first
            and similarity(text(first), text(place)) >= COPY_SIMILARITY
        )
        original_of.append(next(earlier, place))
    return original_of


def by_marginal_relevance(
    scores: Sequence[float], vectors: Vectors, *, limit: int, diversity: float
) -> list[int]:
    """The places of `limit` chunks that fit the query and say different things, in their order.

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) with lambda = 1 - `diversity`:
    each choice has the most of its own relevance, less its cosine to what was chosen before.
    Relevance is the score between the worst (0) and the best (1) of `scores`. Ties go to the
    better place.
    """
    relevance = (1 - diversity) * _between_worst_and_best(scores)
    likeness = cosines(vectors)
    nearest_chosen = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), bool)
    chosen: list[int] = []
    while len(chosen) < min(limit, len(scores)):
        penalty = diversity * nearest_chosen if chosen else 0.0
        gain = np.where(left, relevance - penalty, -np.inf)
        best = int(np.argmax(np.round(gain, DECIMALS)))
        chosen.append(best)
        left[best] = False
        nearest_chosen = np.maximum(nearest_chosen, likeness[best])
    return chosen


def cosines(vectors: Vectors) -> Scores:
    """The inner product of each pair, rounded so that noise decides nothing."""
    wide = vectors.astype(np.float64)
    return np.round(wide @ wide.T, DECIMALS)


def around(
    text: str, start: int, end: int, *, section: tuple[int, int], budget: int
) -> tuple[int, int]:
    """The span of at most `budget` characters that tells most of what stands around a chunk.

    It holds all of `text[start:end]`, stays inside `section`, and is the whole section if that
    fits; otherwise it ends with whole sentences, as many before the chunk as after it where there
    are so many. A chunk longer than the budget stays as it is.
    """
    low, high = _within(text, section, start, end)
    if high - low <= budget:
        return low, high
    room = max(budget - (end - start), 0)
    before = min(max(room // 2, room - (high - end)), start - low)
    after = min(room - before, high - end)
    read = max(low, start - before - _LEAD), min(high, end + after + _LEAD)
    whole = [
        (first, last)
        for first, last in _sentences(text, *read)
        if start - before <= first and last <= end + after
    ]
    return min([start, *(first for first, _ in whole)]), max([end, *(last for _, last in whole)])


def _within(text: str, section: tuple[int, int], start: int, end: int) -> tuple[int, int]:
    """The section, or all of the text where nobody looked for sections."""
    low, high = section if section[1] > section[0] else (0, len(text))
    return max(min(low, start), 0), min(max(high, end), len(text))


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [(start + first, start + last) for first, last in sentences(text[start:end])]


def _between_worst_and_best(scores: Sequence[float]) -> Scores:
    given = np.array(scores, np.float64)
    if not given.size or given.max() == given.min():
        return np.ones(given.size)
    shifted: Scores = (given - given.min()) / (given.max() - given.min())
    return shifted
