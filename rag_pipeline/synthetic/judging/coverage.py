"""Whether synthetic records are as diverse as real ones.

precision and recall (Kynkäänniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML
2020): records as points in the space of `distances.py`, each with a ball that reaches to its fifth
neighbour. precision: synthetic records in the ball of a real one; recall: real records in the ball
of a synthetic one; density: how many real balls a synthetic record is in, by five; coverage: real
records whose ball has a synthetic one in it.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.copies import compared, row_keys
from rag_pipeline.synthetic.judging.distances import (
    Placed,
    Space,
    affordable,
    codes_of,
    distances,
    is_ordered,
)
from rag_pipeline.synthetic.judging.measure import shown
from rag_pipeline.synthetic.tables.table import Numbers, Table

_NEIGHBOUR = 5
_MOST = 2_000
"""Records of each side whose distances are looked at."""
_FEWEST_OF_NAME = 10
"""Real records that a name needs, and would be expected to need among as many synthetic ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What of the real records is there again."""

    names: float
    """The share of the frequent names and truth values of all columns that is there."""
    entropy: float
    """The mean over columns of names of their entropy, by that of the real ones; 1 without any."""
    unique: float
    """The share of different records by that among as many real ones."""
    precision: float
    recall: float
    density: float
    coverage: float

    def as_json(self) -> dict[str, Any]:
        return {name: shown(one) for name, one in asdict(self).items()}


def coverage(real: Table, synthetic: Table, *, seed: int = 0) -> Coverage:
    """Of all columns but keys and texts."""
    columns = compared(real)
    counts = [_counts(real, synthetic, name) for name in columns if not is_ordered(real, name)]
    return Coverage(
        names=_names(counts, len(synthetic) / len(real)),
        entropy=_entropy_ratio(counts),
        unique=_unique_ratio(real, synthetic, columns),
        **_neighbours(real, synthetic, columns, np.random.default_rng(seed)),
    )


Counts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _counts(real: Table, synthetic: Table, name: str) -> Counts:
    """How often each value is there, in real and in synthetic records."""
    known: dict[object, int] = {}
    codes = [codes_of(table.values[name], known) for table in (real, synthetic)]
    first, second = (np.bincount(side, minlength=len(known)) for side in codes)
    return first, second


def _names(counts: list[Counts], drawn_for_each: float) -> float:
    """`drawn_for_each`: synthetic records for each real one."""
    there = [
        synthetic[real * min(1.0, drawn_for_each) >= _FEWEST_OF_NAME] > 0
        for real, synthetic in counts
    ]
    found = np.concatenate(there) if there else np.empty(0)
    return float(found.mean()) if found.size else 1.0


def _entropy_ratio(counts: list[Counts]) -> float:
    ratios = [
        _entropy(synthetic) / of_real
        for real, synthetic in counts
        if (of_real := _entropy(real)) > 0
    ]
    return float(np.mean(ratios)) if ratios else 1.0


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _unique_ratio(real: Table, synthetic: Table, columns: list[str]) -> float:
    size = min(len(real), len(synthetic))
    first = np.arange(size)
    keys = row_keys([real.rows(first), synthetic.rows(first)], columns)
    ours, theirs = (np.unique(side).size for side in keys)
    return theirs / ours


def _neighbours(
    real: Table, synthetic: Table, columns: list[str], chance: np.random.Generator
) -> dict[str, float]:
    size = affordable(min(len(real), len(synthetic), _MOST), len(columns), most=_MOST)
    size = min(size, len(real), len(synthetic))
    space = Space(real, columns)
    ours, theirs = (
        space.place(table.rows(chance.permutation(len(table))[:size]))
        for table in (real, synthetic)
    )
    between = np.concatenate([*distances(ours, theirs)])  # (real, synthetic)
    real_balls = between <= _radii(ours)[:, None]
    synthetic_balls = between <= _radii(theirs)[None, :]
    neighbour = min(_NEIGHBOUR, size)
    return {
        "precision": float(real_balls.any(axis=0).mean()),
        "recall": float(synthetic_balls.any(axis=1).mean()),
        "density": float(real_balls.sum(axis=0).mean() / neighbour),
        "coverage": float(real_balls.any(axis=1).mean()),
    }


def _radii(placed: Placed) -> Numbers:
    """(records,): how far the fifth neighbour is; the record itself comes before the first."""
    at = min(_NEIGHBOUR, len(placed) - 1)
    blocks = distances(placed, placed)
    return np.concatenate([np.partition(block, at, axis=1)[:, at] for block in blocks])
