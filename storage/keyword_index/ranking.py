"""Which rows of one segment may be among the best for some terms: all that are, and few others.

All rows are scored in single precision, which is quick, and those near the cut are kept.
"""

from collections.abc import Sequence

import numpy as np

from storage.keyword_index.scoring import LARGEST_BLOCK, Scorer, Singles, Weighed
from storage.ranking import ROUNDING, least_of_best
from storage.records import Ids
from storage.segments import Mask

_BLOCKS_A_RESULT = 8
_PRECISION = float(np.finfo(np.float32).eps)


def contenders(scorer: Scorer, terms: Sequence[Weighed], limit: int, mask: Mask | None) -> Ids:
    """Every row of `mask` that may be among the best `limit`, ascending."""
    sums = scorer.near(terms)
    if mask is not None:
        sums[: mask.size] *= mask
    most = sum(term.factor for term in terms)
    # By how much two scores may differ in single precision, and round to one.
    return _highest(sums, limit, 2 * ROUNDING + 4 * (len(terms) + 8) * _PRECISION * most)


def _highest(sums: Singles, limit: int, margin: float) -> Ids:
    """Rows above 0 that are no more than `margin` below the best `limit`, ascending."""
    # Of as many blocks as are wanted rows, each has a row that reaches the cut.
    size = LARGEST_BLOCK
    while size > 1 and sums.size < size * _BLOCKS_A_RESULT * limit:
        size //= 2
    tops = sums.reshape(size, -1).max(axis=0)
    cut = _cut(tops, limit, margin)
    high = (tops > cut).nonzero()[0]
    rows = (high + tops.size * np.arange(size)[:, np.newaxis]).reshape(-1)
    rows = rows[sums[rows] > cut]
    best: Ids = np.sort(rows[sums[rows] > _cut(sums[rows], limit, margin)])
    return best


def _cut(scores: Singles, limit: int, margin: float) -> float:
    """`margin` less than what the best `limit` reach; 0 if there are no more."""
    if limit >= scores.size:
        return 0.0
    return max(least_of_best(scores, limit) - margin, 0.0)
