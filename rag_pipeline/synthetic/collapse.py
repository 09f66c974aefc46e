"""Whether a generator still draws all kinds of what it learns, judged while it learns.

A generator that is trained against a critic may give up kinds of records, or draw one again and
again (mode collapse: Goodfellow, NeurIPS 2016 tutorial, arXiv:1701.00160, section 5.1.1), which no
loss shows. So what it draws is held against as many real records: how many of their frequent
categories come up, how evenly, how many records differ; for pictures, which part of the real ones
lies among the drawn ones (recall: Kynkäänniemi et al., NeurIPS 2019, arXiv:1904.06991).

A validation in which any of it is too low counts for less than any other one, by `PENALTY`, so that
the weights that are kept are of one that is sound, if there is any. Two of them in succession, once
the warm-up is over, end the training.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.training.checkpoints import Validation

PENALTY = 1_000.0
"""What a validation has to be far above, as long as nothing has collapsed."""
WARM_UP = 4
"""Validations that may all be breaches."""
_FEWEST = 10
"""Records of the real ones that make a category frequent."""
_IN_SUCCESSION = 2

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Of what was drawn, beside as many real ones; 1 is as it should be."""

    coverage: float | None = None
    """The share of frequent categories that come up."""
    entropy: float | None = None
    """Of the codes of a column, over that of the real ones: the mean over columns."""
    uniqueness: float | None = None
    """The share of records that differ, over that of the real ones."""
    recall: float | None = None
    """The share of real ones that lie among those drawn."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


LEAST = Diversity(coverage=0.95, entropy=0.9, uniqueness=0.9, recall=0.3)
"""Less is a breach."""


def too_low(found: Diversity, least: Diversity = LEAST) -> tuple[str, ...]:
    """The names of those measures that were taken and are below `least`."""
    measured, limits = asdict(found), asdict(least)
    return tuple(
        name
        for name, value in measured.items()
        if value is not None and limits[name] is not None and value < limits[name]
    )


def validated(value: float, found: Diversity, least: Diversity = LEAST) -> float:
    """`value`, the higher the better, or far less where the diversity is too low."""
    return value - PENALTY if too_low(found, least) else value


def has_collapsed(validations: Sequence[Validation], *, warm_up: int = WARM_UP) -> bool:
    """Whether a training is over: the last two validations were breaches, not counting the first
    ones."""
    last = [*validations[warm_up:]][-_IN_SUCCESSION:]
    return len(last) == _IN_SUCCESSION and all(one.value < -PENALTY / 2 for one in last)


def diversity(real: Codes, drawn: Codes) -> Diversity:
    """Of records as codes, (n, columns) each.

    A column with one value alone has no entropy to lose, and no categories but that one.
    """
    count = min(len(real), len(drawn))
    real, drawn = real[:count], drawn[:count]
    columns = [
        (np.bincount(ours), np.bincount(theirs))
        for ours, theirs in zip(real.T, drawn.T, strict=True)
    ]
    ratios = [
        _entropy(theirs) / entropy for ours, theirs in columns if (entropy := _entropy(ours)) > 0
    ]
    return Diversity(
        coverage=_coverage(columns),
        entropy=float(np.mean(ratios)) if ratios else 1.0,
        uniqueness=_differing(drawn) / max(_differing(real), 1),
    )


def _coverage(columns: Sequence[tuple[Codes, Codes]]) -> float:
    frequent, found = 0, 0
    for ours, theirs in columns:
        codes = np.flatnonzero(ours >= _FEWEST)
        frequent += codes.size
        found += int(np.count_nonzero(theirs[codes[codes < theirs.size]]))
    return found / frequent if frequent else 1.0


def _entropy(counts: Codes) -> float:
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def _differing(codes: Codes) -> int:
    return len(np.unique(codes, axis=0))
