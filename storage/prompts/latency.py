"""How long things took, counted in buckets that grow with what they hold.

A bucket holds what lies between two powers of one number, so that any quantile of any number of
counts, added up in any order, is known to within 5 % (DDSketch: Masson, Rim and Lee, VLDB 2019).
"""

import math
from collections.abc import Mapping

RELATIVE_ERROR = 0.05
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)
_SHORTEST_S = 1e-6


def bucket_of(seconds: float) -> int:
    """The bucket of a duration; all below a microsecond are in one."""
    return math.ceil(math.log(max(seconds, _SHORTEST_S)) / _LOG_GROWTH)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The seconds that `share` (from 0 to 1) of the durations do not exceed, by their counts in
    buckets; None of none."""
    total = sum(counts.values())
    if not total:
        return None
    rank, below = share * (total - 1), 0
    for bucket in sorted(counts):
        below += counts[bucket]
        if below > rank:
            return _middle(bucket)
    raise AssertionError("the counts of all buckets add up to their total")


def _middle(bucket: int) -> float:
    """Within `RELATIVE_ERROR` of everything in the bucket."""
    upper: float = _GROWTH**bucket
    return 2 * upper / (_GROWTH + 1)
