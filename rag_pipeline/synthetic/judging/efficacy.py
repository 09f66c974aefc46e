"""How well a target is told of held-out records by what learnt from synthetic ones.

Beside what learnt from as many real ones: "train on synthetic, test on real" (Esteban et al.,
arXiv:1706.02633).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.copies import compared
from rag_pipeline.synthetic.judging.measure import Measure, by_chance, shown
from rag_pipeline.synthetic.judging.tables import is_number, scored, told
from rag_pipeline.synthetic.tables.table import Numbers, Table

_MOST_LEARNT = 2_000_000
"""Values that trees learn the target from."""
_LEAST_R2 = 0.05
"""Below it there is nothing to be told of a number, and no ratio."""
_DRAWS = 30
_MOST_DRAWN = 5_000
"""Records of a draw."""

Told = Mapping[str | None, Numbers]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Telling:
    """What is told of the target of held-out records, by what was learnt from either side."""

    target: str
    from_synthetic: Told
    from_real: Told

    def at(self, held_out: Table, places: npt.NDArray[np.int64]) -> tuple[float, float]:
        """How well it is told of the records at these places, by synthetic and by real ones."""
        asked = held_out.rows(places)
        by_synthetic, by_real = (
            scored(asked, self.target, {name: one[places] for name, one in found.items()})
            for found in (self.from_synthetic, self.from_real)
        )
        return by_synthetic, by_real

    def error(self, held_out: Table, chance: np.random.Generator) -> float:
        """The standard error of their difference: its deviation over draws of held-out records with
        replacement (Efron, Annals of Statistics 1979); 0 where nothing is told."""
        size = min(len(held_out), _MOST_DRAWN)
        found = (self.at(held_out, chance.integers(0, len(held_out), size)) for _ in range(_DRAWS))
        apart = np.array([ours - theirs for ours, theirs in found])
        known = apart[np.isfinite(apart)]
        return float(known.std() * np.sqrt(size / len(held_out))) if known.size else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficacy:
    """How well the target of held-out records is told: area under the curve, or R²."""

    target: str
    is_number: bool
    learnt_from_real: float
    learnt_from_synthetic: float
    error: float
    """The standard error of their difference, by which held-out records were asked."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The ratio, which of records as good as real ones is 1; none where nothing is told."""
        if self.ratio is None:
            return {}
        natural = by_chance(1, -self.error / self.learnt_from_real)
        name = "efficacy_ratio_number" if self.is_number else "efficacy_ratio"
        return {name: Measure(value=self.ratio, by_chance=natural)}

    @property
    def ratio(self) -> float | None:
        """None where nothing can be told of it."""
        least = _LEAST_R2 if self.is_number else 0.0
        if isnan(self.learnt_from_real) or self.learnt_from_real <= least:
            return None
        # Where nothing can be learnt from the synthetic records, nothing is told.
        nothing = 0.0 if self.is_number else 0.5
        told = nothing if isnan(self.learnt_from_synthetic) else self.learnt_from_synthetic
        return told / self.learnt_from_real

    def as_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "measure": "r2" if self.is_number else "auc",
            "learnt_from_real": shown(self.learnt_from_real),
            "learnt_from_synthetic": shown(self.learnt_from_synthetic),
            "ratio": shown(self.ratio),
        }


def telling_of(
    train: Table, held_out: Table, drawn: Table, target: str, *, seed: int = 0
) -> Telling:
    """Learn from as many records of both sides, the first ones: more records tell more."""
    most = np.arange(min(len(train), len(drawn), max(1, _MOST_LEARNT // len(compared(train)))))
    return Telling(
        target=target,
        from_synthetic=told(drawn.rows(most), held_out, target, seed=seed),
        from_real=told(train.rows(most), held_out, target, seed=seed),
    )


def efficacy_of(held_out: Table, telling: Telling, *, seed: int = 0) -> Efficacy:
    """What comes of it for all held-out records."""
    by_synthetic, by_real = telling.at(held_out, np.arange(len(held_out)))
    return Efficacy(
        target=telling.target,
        is_number=is_number(held_out, telling.target),
        learnt_from_real=by_real,
        learnt_from_synthetic=by_synthetic,
        error=telling.error(held_out, np.random.default_rng(seed)),
    )
