"""All that can be said of synthetic series beside real ones, in one value.

It holds what a judgement of tables holds, but that series are what is told apart, copied and
counted. The same measures of held-out series, in the place of synthetic ones, are the floor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.efficacy import Efficacy, Telling, efficacy_of, telling_of
from rag_pipeline.synthetic.judging.histograms import Histogram, histogram
from rag_pipeline.synthetic.judging.judgement import (
    NEVER_BY_CHANCE,
    check_judged,
    columns_shown,
    joined,
    unseen_beyond,
    worst_pairs,
)
from rag_pipeline.synthetic.judging.measure import Measure, shown
from rag_pipeline.synthetic.judging.outlines import with_before
from rag_pipeline.synthetic.judging.privacy import Privacy, privacy
from rag_pipeline.synthetic.judging.series_likeness import (
    Likening,
    SeriesLikeness,
    Side,
    sides_of,
)
from rag_pipeline.synthetic.judging.series_shown import Shown, shown_of
from rag_pipeline.synthetic.judging.slices import Slice, sliced
from rag_pipeline.synthetic.judging.tables import same_columns
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Table

FEWEST_JUDGED = 20
"""Series of each side, below which nothing can be said at all."""
_MOST_RECORDS = 50_000
"""Of each side that is compared, in whole series."""
_FEWEST_FRESH = 1_000
"""Held-out series; with fewer, real from synthetic is also told by those learnt from."""
_LEAST = {"shape_error": 0.005, "trend_error": 0.01, "dynamics_error": 0.01}
"""What ratios are taken by, at least: with very many series the floor is so low that nothing would
do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesJudgement:
    """How near synthetic series come to real ones, and whether too near."""

    counts: Mapping[str, int]
    """Series: train, held_out, synthetic."""
    of_records: Mapping[str, Any]
    """The same of records, and how many of them were compared."""
    synthetic: SeriesLikeness
    floor: SeriesLikeness
    chance: Mapping[str, float]
    """Errors that as many real series exceed once in two thousand times."""
    efficacy: Efficacy | None
    privacy: Privacy
    slices: tuple[Slice, ...]
    histograms: Mapping[str, Histogram]
    """By column."""
    moves: Shown
    seed: int

    @property
    def of_series(self) -> bool:
        return True

    @property
    def records(self) -> int:
        """How many synthetic series were judged."""
        return self.counts["synthetic"]

    @property
    def held_out(self) -> int:
        return self.counts["held_out"]

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What `gate.verdict` holds against limits."""
        ours = self.synthetic
        found = {
            "validity": Measure(value=ours.validity),
            "detection": Measure(value=ours.detection),
            "coverage": Measure(value=ours.coverage.names),
            "unique_ratio": Measure(value=ours.coverage.unique),
            "unseen": self._unseen(),
            **self._errors(),
        }
        told = self.efficacy.measures if self.efficacy else {}
        return {**found, **told, **self.privacy.measures}

    def _errors(self) -> dict[str, Measure]:
        found: dict[str, Measure] = {}
        floor = self.floor.errors
        for name, error in self.synthetic.errors.items():
            natural = max(self.chance.get(name, 0.0), NEVER_BY_CHANCE * floor.get(name, 0.0))
            found[name] = Measure(value=error, by_chance=natural)
            if name in _LEAST:
                ratio = error / max(floor[name], _LEAST[name])
                found[f"{name}_ratio"] = Measure(value=ratio)
        return found

    def _unseen(self) -> Measure:
        """As of tables, with as many strangers as there are series."""
        return unseen_beyond(
            self.synthetic.unseen, self.floor.unseen, natural=self.held_out, drawn=self.records
        )

    def as_json(self) -> dict[str, Any]:
        """The same for the same judgement; what could not be measured is null."""
        found, real = self.synthetic.quality, self.floor.quality
        return {
            "records": dict(self.of_records),
            "seed": self.seed,
            "measures": {name: shown(one.value) for name, one in self.measures.items()},
            "synthetic": self.synthetic.as_json(),
            "floor": self.floor.as_json(),
            "series": {**self.counts, **self.moves.as_json()},
            "columns": columns_shown(found, real, self.histograms),
            "pairs": worst_pairs(found.trends, real.trends),
            "efficacy": self.efficacy.as_json() if self.efficacy else None,
            "privacy": self.privacy.as_json(),
            "slices": [one.as_json() for one in self.slices],
        }


def judged_series(
    real_train: Table,
    holdout: Table,
    synthetic: Table,
    layout: Layout,
    *,
    target: str | None = None,
    slices: Sequence[str] = (),
    dropped: int = 0,
    seed: int = 0,
) -> SeriesJudgement:
    """Judge synthetic series by those that were learnt from and by real ones that were not.

    `target`: a column that is told from the rest of its record and from the one before; `slices`:
    columns by whose values the judgement is divided; `dropped`: copies of unique series that were
    left out already. Raises `SyntheticError` for tables that don't go together, and too few series.
    """
    columns = same_columns(real_train, holdout)
    same_columns(real_train, synthetic)
    for name in (*slices, *([target] if target else [])):
        check_judged(real_train, name, columns)
    whole = sides_of([real_train, holdout, synthetic], layout)
    _check(whole)
    chance = np.random.default_rng(seed)
    train, fresh, drawn = (
        side.some(chance.permutation(len(side)), layout, most=_MOST_RECORDS) for side in whole
    )
    likening = Likening.to(train, layout, columns, seed)
    # No more of them than of synthetic ones: few series are less like others than many.
    as_many = fresh.some(np.arange(min(len(fresh), len(drawn))), layout, most=_MOST_RECORDS)
    asked = fresh.outlines
    if len(fresh) < _FEWEST_FRESH:
        asked = joined(fresh.outlines, train.outlines)
    telling = _telling([train, fresh, drawn], target, seed) if target else None
    return SeriesJudgement(
        counts=dict(zip(("train", "held_out", "synthetic"), map(len, whole), strict=True)),
        of_records={
            "train": len(real_train),
            "held_out": len(holdout),
            "synthetic": len(synthetic),
            "compared": {"train": len(train.table), "synthetic": len(drawn.table)},
        },
        synthetic=likening.of(drawn, asked),
        floor=likening.of(as_many, train.outlines),
        chance=likening.by_chance(len(drawn)),
        efficacy=_efficacy(fresh, telling, seed) if telling else None,
        privacy=privacy(
            *(side.outlines for side in whole),
            keys=[side.keys for side in whole],
            dropped=dropped,
            seed=seed,
        ),
        slices=tuple(sliced(train.table, fresh.table, drawn.table, tuple(slices), telling)),
        histograms={name: histogram(train.table, drawn.table, name) for name in columns},
        moves=shown_of(train.ordered, as_many.ordered, drawn.ordered, layout),
        seed=seed,
    )


def _check(sides: Sequence[Side]) -> None:
    fewest = min(map(len, sides))
    if fewest < FEWEST_JUDGED:
        raise SyntheticError(
            f"{fewest} series of one side are too few to judge: give {FEWEST_JUDGED} of each"
        )


def _telling(sides: Sequence[Side], target: str, seed: int) -> Telling:
    train, fresh, drawn = (with_before(side.ordered) for side in sides)
    return telling_of(train, fresh, drawn, target, seed=seed)


def _efficacy(fresh: Side, telling: Telling, seed: int) -> Efficacy:
    """With the error of as many strangers as there are series."""
    found = efficacy_of(fresh.table, telling, seed=seed)
    return replace(found, error=found.error * sqrt(len(fresh.table) / len(fresh)))
