"""Splits that stay: a text's split depends on its content alone, never on its neighbours.

Splitting by a hash instead of by drawing keeps every text where it is when others come or go, and
the same text out of two splits, whatever number of sources has it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from rag_pipeline.datasets.errors import DatasetError

_HASHED = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Names of splits with their shares, in the order in which the hash's range is cut."""

    shares: Mapping[str, float]
    """Each above 0; they need not add up to anything."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `DatasetError` for a plan that can't be followed."""
        if not self.shares:
            raise DatasetError("a plan of splits needs at least one, like train=80,test=20")
        for name, share in self.shares.items():
            if not name.strip() or not (math.isfinite(share) and share > 0):
                raise DatasetError(
                    f"the split {name!r} has the share {share!r}: give a name and a number above 0"
                )

    def split_of(self, group: str) -> str:
        """The split of all texts of one group: those that are the same or nearly so."""
        digest = hashlib.sha256(f"{self.seed}:{group}".encode()).digest()
        point = int.from_bytes(digest[:8], "big") / _HASHED * sum(self.shares.values())
        ends = zip(self.shares, accumulate(self.shares.values()), strict=True)
        # The sum may be rounded up to a point behind all ends.
        return next((name for name, end in ends if point < end), list(self.shares)[-1])


def parse_plan(text: str, *, seed: int = 0) -> SplitPlan:
    """The plan in "train=80,dev=10,test=10". Raises `DatasetError`."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        if not equals or name in shares or not _is_number(share):
            raise DatasetError(
                f"{text!r} is no plan of splits at {part.strip()!r}: write train=80,dev=10,test=10"
            )
        shares[name] = float(share)
    return SplitPlan(shares=shares, seed=seed)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
