"""All that can be said of synthetic records beside real ones, in one value.

What it costs is bounded: of many records a part is looked at, chosen by the seed, and the result
says how many. The same measures of held-out real records, in the place of synthetic ones, are the
floor: what no generator need fall below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Any, Self

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.coverage import Coverage, coverage
from rag_pipeline.synthetic.judging.efficacy import Efficacy, efficacy_of, telling_of
from rag_pipeline.synthetic.judging.histograms import Histogram, histogram
from rag_pipeline.synthetic.judging.measure import Measure, by_chance, shown
from rag_pipeline.synthetic.judging.privacy import Privacy, privacy
from rag_pipeline.synthetic.judging.slices import Slice, sliced
from rag_pipeline.synthetic.judging.tables import (
    Quality,
    detection,
    same_columns,
    shapes,
)
from rag_pipeline.synthetic.judging.trends import Pair, by_column, related, trends
from rag_pipeline.synthetic.judging.validity import Constraints, unseen, valid
from rag_pipeline.synthetic.tables.table import Table

_MOST_RECORDS = 100_000
"""Of each side that shapes are compared of."""
_MOST_VALUES = 10_000_000
_MOST_MEETINGS = 400_000_000
"""Records by pairs of columns that trends are compared of."""
_FEWEST_FRESH = 1_000
"""Held-out records; with fewer, real from synthetic is also told by those learnt from."""
_LEAST_SHAPE_ERROR, _LEAST_TREND_ERROR = 0.005, 0.01
"""What ratios are taken by, at least: with very many records the floor is so low that nothing would
do."""
NEVER_BY_CHANCE = 1.25
"""Times the floor: so far from the real ones as many other real records never are."""
_MOST_PAIRS = 435
"""Pairs of columns in the JSON, those that go together worst: all of thirty columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What is measured of synthetic records, and of held-out ones in their place."""

    quality: Quality
    detection: float
    coverage: Coverage
    validity: float
    unseen: float

    def as_json(self) -> dict[str, Any]:
        return {
            "score": shown(self.quality.score),
            "shape": shown(self.quality.shape),
            "trend": shown(self.quality.related_trend),
            "trend_of_all": shown(self.quality.trend),
            "detection": shown(self.detection),
            "validity": shown(self.validity),
            "unseen": shown(self.unseen),
            "coverage": self.coverage.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How near synthetic records come to real ones, and whether too near."""

    train: int
    held_out: int
    records: int
    """How many there are, as `train` and `held_out` say of real ones."""
    compared: Mapping[str, int]
    """How many records, of each side, each part looked at."""
    synthetic: Likeness
    floor: Likeness
    efficacy: Efficacy | None
    privacy: Privacy
    slices: tuple[Slice, ...]
    histograms: Mapping[str, Histogram]
    """By column."""
    seed: int

    @property
    def of_series(self) -> bool:
        return False

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What `gate.verdict` holds against limits."""
        found = {
            "validity": self.synthetic.validity,
            "detection": self.synthetic.detection,
            "coverage": self.synthetic.coverage.names,
            "unique_ratio": self.synthetic.coverage.unique,
        }
        return {
            **{name: Measure(value=value) for name, value in found.items()},
            **(self.efficacy.measures if self.efficacy else {}),
            **self._errors(),
            "unseen": self._unseen(),
            **self.privacy.measures,
        }

    def _errors(self) -> dict[str, Measure]:
        ours, real = self.synthetic.quality, self.floor.quality
        return {
            **_error("shape_error", 1 - ours.shape, 1 - real.shape, _LEAST_SHAPE_ERROR),
            **_error(
                "trend_error", 1 - ours.related_trend, 1 - real.related_trend, _LEAST_TREND_ERROR
            ),
        }

    def _unseen(self) -> Measure:
        return unseen_beyond(
            self.synthetic.unseen,
            self.floor.unseen,
            natural=self.compared["held_out"],
            drawn=self.compared["shapes"],
        )

    def as_json(self) -> dict[str, Any]:
        """The same for the same judgement; what could not be measured is null."""
        found, real = self.synthetic.quality, self.floor.quality
        return {
            "records": {
                "train": self.train,
                "held_out": self.held_out,
                "synthetic": self.records,
                "compared": dict(self.compared),
            },
            "seed": self.seed,
            "measures": {name: shown(one.value) for name, one in self.measures.items()},
            "synthetic": self.synthetic.as_json(),
            "floor": self.floor.as_json(),
            "columns": columns_shown(found, real, self.histograms),
            "pairs": worst_pairs(found.trends, real.trends),
            "efficacy": self.efficacy.as_json() if self.efficacy else None,
            "privacy": self.privacy.as_json(),
            "slices": [one.as_json() for one in self.slices],
        }


def judged(
    real_train: Table,
    holdout: Table,
    synthetic: Table,
    *,
    target: str | None = None,
    slices: Sequence[str] = (),
    constraints: Constraints | None = None,
    dropped: int = 0,
    seed: int = 0,
) -> Judgement:
    """Judge synthetic records by those that were learnt from and by real ones that were not.

    `target` is the column whose telling is judged; `slices` are columns by whose values the
    judgement is divided; `dropped` says how many copies of unique records were left out already.
    Raises `SyntheticError` for tables that don't go together.
    """
    columns = same_columns(real_train, holdout)
    same_columns(real_train, synthetic)
    for name in (*slices, *([target] if target else [])):
        check_judged(real_train, name, columns)
    chance = np.random.default_rng(seed)
    most = min(_MOST_RECORDS, max(1, _MOST_VALUES // len(columns)))
    # In random order: whoever looks at the first ones looks at any.
    train, fresh, drawn = (
        table.rows(chance.permutation(len(table))[:most])
        for table in (real_train, holdout, synthetic)
    )
    # No more of them than of synthetic ones: few records are less like others than many.
    floor = fresh.rows(np.arange(min(len(fresh), len(drawn))))
    telling = telling_of(train, fresh, drawn, target, seed=seed) if target else None
    found = privacy(real_train, holdout, synthetic, dropped=dropped, seed=seed)
    likening = _Likening.to(train, columns, constraints, seed)
    asked = fresh if len(fresh) >= _FEWEST_FRESH else joined(fresh, train)
    return Judgement(
        train=len(real_train),
        held_out=len(holdout),
        records=len(synthetic),
        compared={
            "shapes": len(drawn),
            "held_out": len(floor),
            "trends": min(_affordable(len(columns)), len(drawn)),
            "privacy": found.probes,
        },
        synthetic=likening.of(drawn, asked),
        floor=likening.of(floor, train),
        efficacy=efficacy_of(fresh, telling, seed=seed) if telling else None,
        privacy=found,
        slices=tuple(sliced(train, fresh, drawn, tuple(slices), telling)),
        histograms={name: histogram(train, drawn, name) for name in columns},
        seed=seed,
    )


def _error(name: str, ours: float, real: float, least: float) -> dict[str, Measure]:
    """It and its ratio to that of as many held-out records."""
    return {
        name: Measure(value=ours, by_chance=NEVER_BY_CHANCE * real),
        f"{name}_ratio": Measure(value=ours / max(real, least)),
    }


def unseen_beyond(ours: float, floor: float, *, natural: int, drawn: int) -> Measure:
    """How much larger the share is that was never seen among `drawn` than among so many `natural`
    ones; by chance it is by far."""
    share = (floor * natural + 1) / (natural + 1)
    error = sqrt(max(share * (1 - share), 0) * (1 / natural + 1 / drawn))
    return Measure(value=ours - floor, by_chance=by_chance(0, error))


def columns_shown(
    found: Quality, real: Quality, histograms: Mapping[str, Histogram]
) -> list[dict[str, Any]]:
    """Column by column, beside held-out records, for a report."""
    with_others, real_with_others = by_column(found.trends), by_column(real.trends)
    return [
        {
            "name": name,
            "shape": shown(shape),
            "shape_held_out": shown(real.shapes[name]),
            "trend": shown(with_others.get(name)),
            "trend_held_out": shown(real_with_others.get(name)),
            "histogram": histograms[name].as_json(),
        }
        for name, shape in found.shapes.items()
    ]


def worst_pairs(found: Mapping[Pair, float], real: Mapping[Pair, float]) -> list[dict[str, Any]]:
    """Those that go together least as the real ones do, for a report."""
    worst = sorted(found, key=lambda pair: (found[pair], pair))[:_MOST_PAIRS]
    return [
        {"columns": [*pair], "trend": shown(found[pair]), "trend_held_out": shown(real[pair])}
        for pair in worst
    ]


def check_judged(table: Table, name: str, columns: list[str]) -> None:
    """Raise `SyntheticError` for what is none of the columns that are judged."""
    table.schema.column(name)
    if name not in columns:
        raise SyntheticError(f"{name!r} is a key or a text, of which nothing is judged")


def joined(one: Table, other: Table) -> Table:
    """The records of both."""
    values = {name: np.concatenate([one.values[name], other.values[name]]) for name in one.values}
    return Table(schema=one.schema, values=values)


def _affordable(columns: int) -> int:
    return max(1, _MOST_MEETINGS // max(1, comb(columns, 2)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Likening:
    """What is the same for synthetic records and for held-out ones in their place."""

    train: Table
    columns: list[str]
    related: frozenset[Pair]
    constraints: Constraints | None
    seed: int

    @classmethod
    def to(
        cls, train: Table, columns: list[str], constraints: Constraints | None, seed: int
    ) -> Self:
        together = related(_for_trends(train, columns), columns)
        return cls(
            train=train, columns=columns, related=together, constraints=constraints, seed=seed
        )

    def of(self, drawn: Table, asked: Table) -> Likeness:
        """`asked`: the real records that those drawn are told from."""
        ours, theirs = (_for_trends(table, self.columns) for table in (self.train, drawn))
        return Likeness(
            quality=Quality(
                shapes=shapes(self.train, drawn, self.columns),
                trends=trends(ours, theirs, self.columns),
                related=self.related,
            ),
            detection=detection(asked, drawn, seed=self.seed),
            coverage=coverage(self.train, drawn, seed=self.seed),
            validity=float(valid(drawn, self.constraints).mean()),
            unseen=float(unseen(self.train, drawn, self.columns).mean()),
        )


def _for_trends(table: Table, columns: list[str]) -> Table:
    return table.rows(np.arange(min(_affordable(len(columns)), len(table))))
