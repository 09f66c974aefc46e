"""What is measured of series beside those that were learnt from, and what chance makes of it.

Records of one series are no strangers to each other, so it is series that are counted: the real
ones are divided at random, again and again, and one part is held against the other (as permutation
tests do; Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from rag_pipeline.synthetic.judging.copies import Keys
from rag_pipeline.synthetic.judging.coverage import Coverage, coverage
from rag_pipeline.synthetic.judging.distances import codes_of, is_ordered
from rag_pipeline.synthetic.judging.measure import by_chance, shown
from rag_pipeline.synthetic.judging.outlines import outlines, series_keys
from rag_pipeline.synthetic.judging.series import Ordered, Places, SeriesQuality, ordered_quality
from rag_pipeline.synthetic.judging.tables import Quality, detection, shapes
from rag_pipeline.synthetic.judging.trends import Pair, related, trends
from rag_pipeline.synthetic.judging.validity import unseen, valid
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Table

_MOST_DIVIDED = 10_000
"""Records of either part, where real series are divided at random."""
_DIVISIONS = 20
_FEWEST_OF_NAME = 10
"""Series that a name needs, and would be expected to need among as many synthetic ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """Series of one kind, real or synthetic, in all the forms that they are looked at in."""

    ordered: Ordered
    outlines: Table
    """(series,)"""
    keys: Keys
    """(series,): the same for copies."""

    @property
    def table(self) -> Table:
        return self.ordered.table

    def some(self, at: Places, layout: Layout, *, most: int) -> Self:
        """These series in this order, the first of them: up to so many records, and one at
        least."""
        kept = self.ordered.up_to(at, most)
        return type(self)(
            ordered=Ordered.by(self.ordered.of_series(kept), layout),
            outlines=self.outlines.rows(kept),
            keys=self.keys[kept],
        )

    def __len__(self) -> int:
        """Series."""
        return len(self.keys)


def sides_of(tables: Sequence[Table], layout: Layout) -> list[Side]:
    """All series of each table."""
    ordered = [Ordered.by(table, layout) for table in tables]
    parts = zip(ordered, outlines(ordered, layout), series_keys(ordered, layout), strict=True)
    return [Side(ordered=one, outlines=outline, keys=keys) for one, outline, keys in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLikeness:
    """What is measured of synthetic series, and of held-out ones in their place."""

    quality: Quality
    """Of records, whatever series they are in."""
    dynamics: SeriesQuality
    detection: float
    coverage: Coverage
    validity: float
    unseen: float

    @property
    def errors(self) -> dict[str, float]:
        """By the names of the gate."""
        return _errors(self.quality, self.dynamics)

    def as_json(self) -> dict[str, Any]:
        return {
            "score": shown((self.quality.score + self.dynamics.score) / 2),
            "shape": shown(self.quality.shape),
            "trend": shown(self.quality.related_trend),
            "trend_of_all": shown(self.quality.trend),
            "lengths": shown(self.dynamics.lengths),
            "steps": shown(self.dynamics.steps),
            "dynamics": shown(self.dynamics.dynamics),
            "detection": shown(self.detection),
            "validity": shown(self.validity),
            "unseen": shown(self.unseen),
            "coverage": self.coverage.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likening:
    """What is the same for synthetic series and for held-out ones in their place."""

    train: Side
    layout: Layout
    columns: list[str]
    """Those that are judged; times are not unseen for being new."""
    related: frozenset[Pair]
    seed: int

    @classmethod
    def to(cls, train: Side, layout: Layout, columns: list[str], seed: int) -> Self:
        together = related(train.table, columns)
        return cls(train=train, layout=layout, columns=columns, related=together, seed=seed)

    def of(self, drawn: Side, asked: Table) -> SeriesLikeness:
        """`asked`: outlines of the real series that those drawn are told from."""
        quality, dynamics = self._compared(self.train.ordered, drawn.ordered)
        known = [name for name in self.columns if name != self.layout.time]
        strange = unseen(self.train.table, drawn.table, known)
        return SeriesLikeness(
            quality=quality,
            dynamics=dynamics,
            detection=detection(asked, drawn.outlines, seed=self.seed),
            coverage=self._coverage(drawn),
            validity=float(valid(drawn.table).mean()),
            unseen=float(strange.mean()),
        )

    def by_chance(self, series: int) -> dict[str, float]:
        """Errors, by the names of the gate, that so many real series exceed once in two thousand
        times."""
        chance = np.random.default_rng(self.seed)
        found = [self._divided(series, chance) for _ in range(_DIVISIONS)]
        return {
            name: by_chance(float(np.mean(values)), float(np.std(values)))
            for name in found[0]
            if (values := [one[name] for one in found if name in one])
        }

    def _divided(self, series: int, chance: np.random.Generator) -> dict[str, float]:
        size = max(1, min(series, len(self.train) // 2))
        order = chance.permutation(len(self.train))
        rest, drawn = (
            self.train.some(at, self.layout, most=_MOST_DIVIDED).ordered
            for at in (order[size:], order[:size])
        )
        return _errors(*self._compared(rest, drawn))

    def _compared(self, real: Ordered, drawn: Ordered) -> tuple[Quality, SeriesQuality]:
        tables = real.table, drawn.table
        quality = Quality(
            shapes=shapes(*tables, self.columns),
            trends=trends(*tables, self.columns),
            related=self.related,
        )
        return quality, ordered_quality(real, drawn, self.layout)

    def _coverage(self, drawn: Side) -> Coverage:
        """That of outlines, but that names and series are counted as such."""
        found = coverage(self.train.outlines, drawn.outlines, seed=self.seed)
        size = min(len(self.train), len(drawn))
        ours, theirs = (np.unique(side.keys[:size]).size for side in (self.train, drawn))
        return replace(found, unique=theirs / ours, names=self._names(drawn))

    def _names(self, drawn: Side) -> float:
        """The share of the names that ten series have, or would have among as many, that is
        there."""
        for_each = min(1.0, len(drawn) / len(self.train))
        there: list[bool] = []
        for name in self.columns:
            if not is_ordered(self.train.table, name):
                real, synthetic = _series_with(self.train.ordered, drawn.ordered, name)
                there += (synthetic[real * for_each >= _FEWEST_OF_NAME] > 0).tolist()
        return float(np.mean(there)) if there else 1.0


def _series_with(ours: Ordered, theirs: Ordered, name: str) -> tuple[Places, Places]:
    """(names,) each: how many series have it."""
    known: dict[object, int] = {}
    codes = [codes_of(side.values(name), known) for side in (ours, theirs)]
    first, second = (
        np.bincount(np.unique(np.stack([of_side, side.of]), axis=1)[0], minlength=len(known))
        for side, of_side in zip((ours, theirs), codes, strict=True)
    )
    return first, second


def _errors(quality: Quality, dynamics: SeriesQuality) -> dict[str, float]:
    """Without that of steps where there are none."""
    steps: Mapping[str, float] = (
        {} if dynamics.steps is None else {"step_error": 1 - dynamics.steps}
    )
    return {
        "shape_error": 1 - quality.shape,
        "trend_error": 1 - quality.related_trend,
        "length_error": 1 - dynamics.lengths,
        "dynamics_error": 1 - dynamics.dynamics,
        **steps,
    }
