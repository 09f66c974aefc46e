"""The order of results, in one place, so that every index and every adapter ranks alike."""

import numpy as np
import numpy.typing as npt

from storage.records import Ids, Scored

Scores = npt.NDArray[np.float64]

DECIMALS = 6
"""Scores are rounded to this many decimals before they are compared: noise breaks no tie."""
ROUNDING = 10.0**-DECIMALS
"""Two scores further apart than this keep their order when they are rounded."""


def best(ids: Ids, scores: Scores, limit: int) -> list[Scored]:
    """The `limit` highest scores, rounded; equal scores by ascending key."""
    near = contenders(scores, limit)
    rounded, keys = np.round(scores[near], DECIMALS), ids[near]
    order = np.lexsort((keys, -rounded))[: max(limit, 0)]
    return [*map(Scored._make, zip(keys[order].tolist(), rounded[order].tolist(), strict=True))]


def contenders(scores: Scores, limit: int) -> Ids:
    """Rows that may be among the best `limit` once scores are rounded: every tie at the cut."""
    if limit >= scores.size or limit < 1:
        return np.arange(scores.size if limit > 0 else 0)
    cut = np.partition(scores, scores.size - limit)[scores.size - limit]
    return np.flatnonzero(scores >= cut - 2 * ROUNDING)
