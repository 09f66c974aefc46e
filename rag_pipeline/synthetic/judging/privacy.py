"""Whether synthetic records give away the records that were learnt from.

Each figure is held against real records that were not learnt from: they come as near to the others
as is natural, and what comes nearer has learnt by heart. No figure is enough alone: planted copies
are seen by the check of exact copies only, and shaken ones by the distances only.

- exact copies: records that are unique among those learnt from.
- near copies: the share whose distance to the closest record learnt from is below the first
  percentile of that of held-out records.
- closer to train: the share that is closer to a record learnt from than to any of as many held-out
  ones; ties count a half.
- membership: the area under the curve of an attack that takes for learnt what has a synthetic
  record close by (Hilprecht et al., PETS 2019).
- distance ratio: the 5th percentile of distances to the closest record learnt from, by that of
  held-out records. A large one is no privacy: bad generators have it, too.
- singled out: the share that matches a record which is unique in three columns (Giomi et al., PETS
  2023), beyond that of held-out records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.copies import Keys, compared, once, row_keys
from rag_pipeline.synthetic.judging.distances import (
    Placed,
    Space,
    affordable,
    codes_of,
    is_ordered,
    nearest,
    present,
)
from rag_pipeline.synthetic.judging.measure import (
    Measure,
    area_under_curve,
    by_chance,
    shown,
)
from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

_PROBES = 3_000
"""Records of each side whose distances are looked at."""
_MOST_AGAINST = 20_000
"""Records that a probe's distance is looked for among."""
_CLOSEST = 0.01
"""Of held-out records: what is closer to those learnt from is a near copy."""
_RARE = 1 / 2_000
_AT_ONCE = 3
"""Columns that single a record out."""
_TRIPLES = 30
"""Sets of columns that are tried."""
_MOST_SINGLED_OUT = 100_000
"""Records of each table that are singled out."""
_PARTS = 50
"""Of a column of numbers, where records are singled out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What was found, by name, and how many records it was found on."""

    measures: Mapping[str, Measure]
    probes: int
    against: int
    """Records that probes were compared with."""

    def as_json(self) -> dict[str, Any]:
        return {
            "probes": self.probes,
            "against": self.against,
            **{name: shown(one.value) for name, one in self.measures.items()},
            "by_chance": {
                name: shown(one.by_chance)
                for name, one in self.measures.items()
                if one.by_chance is not None
            },
        }


def privacy(
    train: Table,
    holdout: Table,
    synthetic: Table,
    *,
    keys: Sequence[Keys] | None = None,
    dropped: int = 0,
    seed: int = 0,
) -> Privacy:
    """Of records that were learnt from, real ones that were not, and synthetic ones.

    `keys`: (records,) of each of the three, the same where records are copies; else those that are
    the same in all columns. `dropped`: how many synthetic ones were left out as copies of unique
    records; they count as copies.
    """
    chance = np.random.default_rng(seed)
    columns = compared(train)
    space = Space(train, columns)
    probes = min(_PROBES, len(holdout), len(train), len(synthetic))
    against = affordable(probes, len(columns), most=_MOST_AGAINST)
    learnt, fresh, drawn = (
        space.place(table.rows(_some(len(table), max(probes, against), chance)))
        for table in (train, holdout, synthetic)
    )
    return Privacy(
        probes=probes,
        against=min(against, len(learnt)),
        measures={
            **_exact_copies(keys or row_keys([train, holdout, synthetic], columns), dropped),
            **_distances(learnt, fresh, drawn, probes, against),
            **_singled_out(train, holdout, synthetic, columns, chance),
        },
    )


def _some(records: int, most: int, chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """Places, in a random order."""
    return chance.permutation(records)[:most]


def _exact_copies(keys: Sequence[Keys], dropped: int) -> dict[str, Measure]:
    learnt, fresh, drawn = keys
    values, counts = np.unique(learnt, return_counts=True)
    only = values[counts == 1]
    held_out, found = (int(np.isin(side, only).sum()) for side in (fresh, drawn))
    found, records = found + dropped, len(drawn) + dropped
    # That a fresh record equals one that is there once is as likely as that one of those learnt
    # from is there twice (Good, Biometrika 1953): they say it of a small holdout, too.
    seen, twice = len(fresh) + len(learnt), 2 * int(np.count_nonzero(counts == 2))
    natural, likely = (held_out + twice) / seen, (held_out + twice + 1) / (seen + 1)
    error = sqrt(likely * (1 - likely) * (1 / seen + 1 / records))
    return {
        "exact_copies": Measure(value=found / records - natural, by_chance=by_chance(0, error)),
        "exact_copies_share": Measure(value=found / records),
        "exact_copies_share_held_out": Measure(value=held_out / len(fresh)),
    }


def _distances(
    learnt: Placed, fresh: Placed, drawn: Placed, probes: int, against: int
) -> dict[str, Measure]:
    first = np.arange(probes)
    members, strangers, asked = learnt.some(first), fresh.some(first), drawn.some(first)
    known = learnt.some(np.arange(min(against, len(learnt))))
    natural, found = nearest(strangers, known), nearest(asked, known)
    as_many = np.arange(min(len(known), len(fresh)))
    to_train, to_fresh = nearest(asked, learnt.some(as_many)), nearest(asked, fresh.some(as_many))
    synthetic = drawn.some(np.arange(min(against, len(drawn))))
    is_closer = (to_train < to_fresh) + (to_train == to_fresh) / 2
    attack = area_under_curve(-nearest(members, synthetic), -nearest(strangers, synthetic))
    near = float(np.mean(found < np.quantile(natural, _CLOSEST, method="higher")))
    return {
        "near_copies": Measure(value=near, by_chance=_near_by_chance(len(natural), len(found))),
        "closer_to_train": _half(float(is_closer.mean()), 0.5 / sqrt(probes), probes),
        # The error of a rank sum of as many ones and others.
        "membership": _half(attack, sqrt((2 * probes + 1) / 12) / probes, probes),
        **_ratio(float(np.quantile(found, 0.05)), float(np.quantile(natural, 0.05))),
    }


def _half(value: float, error: float, probes: int) -> Measure:
    """What is one half by nature; all probes are enough for the limit as it stands."""
    is_enough = probes >= _PROBES
    return Measure(value=value, by_chance=None if is_enough else by_chance(0.5, error))


def _near_by_chance(held_out: int, drawn: int) -> float:
    """The share of so many records that lie below the first percentile of held-out ones, which is
    the higher the fewer of those it is taken from: how many do so is beta-binomial."""
    from scipy.stats import betabinom

    below = ceil(_CLOSEST * (held_out - 1)) + 1
    highest = betabinom.ppf(1 - _RARE, drawn, below, held_out - below + 1)
    return float(highest) / drawn


def _ratio(found: float, natural: float) -> dict[str, Measure]:
    """Where held-out records are themselves copies, there is none."""
    return {"distance_ratio": Measure(value=found / natural)} if natural else {}


def _singled_out(
    train: Table,
    holdout: Table,
    synthetic: Table,
    columns: list[str],
    chance: np.random.Generator,
) -> dict[str, Measure]:
    """The mean over sets of columns; its error is that over records."""
    if len(columns) < _AT_ONCE:
        return {}
    coarse = _Coarse(train, columns)
    tables = [coarse.of(_few(table, chance)) for table in (train, holdout, synthetic)]
    _, fresh, drawn = (np.zeros(len(table)) for table in tables)
    triples = _triples(columns, chance)
    for names in triples:
        learnt, theirs, ours = row_keys(tables, names)
        only = once(learnt)
        fresh += np.isin(theirs, only) / len(triples)
        drawn += np.isin(ours, only) / len(triples)
    error = sqrt(fresh.var() / len(fresh) + drawn.var() / len(drawn))
    beyond = float(drawn.mean() - fresh.mean())
    return {"singled_out": Measure(value=beyond, by_chance=by_chance(0, error))}


def _few(table: Table, chance: np.random.Generator) -> Table:
    return table.rows(_some(len(table), _MOST_SINGLED_OUT, chance))


class _Coarse:
    """Numbers as the part of those learnt from that they lie in, names as whole numbers."""

    def __init__(self, train: Table, columns: list[str]) -> None:
        self._edges = {
            name: np.unique(_quantiles(present(train.values[name])))
            for name in columns
            if is_ordered(train, name)
        }
        self._codes: dict[str, dict[object, int]] = {
            name: {} for name in columns if name not in self._edges
        }

    def of(self, table: Table) -> Table:
        parts = {name: _parts(table.values[name], edges) for name, edges in self._edges.items()}
        codes = {
            name: codes_of(table.values[name], known).astype(np.float64)
            for name, known in self._codes.items()
        }
        return Table(schema=table.schema, values=parts | codes)


def _parts(values: Values, edges: Numbers) -> Numbers:
    numbers = np.asarray(values, np.float64)
    return np.where(np.isnan(numbers), np.nan, np.digitize(numbers, edges))


def _quantiles(numbers: Numbers) -> Numbers:
    return np.quantile(numbers, np.linspace(0, 1, _PARTS + 1)[1:-1]) if numbers.size else numbers


def _triples(columns: list[str], chance: np.random.Generator) -> list[list[str]]:
    if comb(len(columns), _AT_ONCE) <= _TRIPLES:
        return [list(names) for names in combinations(columns, _AT_ONCE)]
    drawn = dict.fromkeys(
        tuple(sorted(chance.choice(len(columns), _AT_ONCE, replace=False).tolist()))
        for _ in range(2 * _TRIPLES)
    )
    return [[columns[at] for at in places] for places in [*drawn][:_TRIPLES]]
