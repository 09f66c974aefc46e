"""What a report shows of series: how long they are, how far apart, and what follows what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_pipeline.synthetic.judging.distances import is_ordered
from rag_pipeline.synthetic.judging.histograms import Histogram, histogram
from rag_pipeline.synthetic.judging.measure import shown
from rag_pipeline.synthetic.judging.series import (
    Ordered,
    SeriesQuality,
    autocorrelation,
    changes,
    moving_columns,
    ordered_quality,
)
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Column, Numbers, Schema, Table
from rag_pipeline.synthetic.tables.values import Kind

_LAGS = 10
_FEWEST_PAIRS = 30
"""Records of a lag that a correlation is told of."""
_MOST_CURVES = 12
"""Columns of numbers whose autocorrelations are shown."""
_UNITS = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0))

Curve = tuple[float | None, ...]
"""By lag, from 1; None where too few records are so far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Synthetic series beside those that were learnt from and those held out."""

    layout: Layout
    lengths: Histogram
    steps: Histogram | None
    unit: str
    """Of the steps; empty for plain numbers."""
    synthetic: SeriesQuality
    held_out: SeriesQuality
    curves: Mapping[str, tuple[Curve, Curve, Curve]]
    """By column: of real, held-out and synthetic series."""

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.layout.key,
            "time": self.layout.time,
            "lengths": self.lengths.as_json(),
            "steps": None if self.steps is None else self.steps.as_json(),
            "unit": self.unit,
            "moves": self._moves(),
            "autocorrelations": {
                name: dict(zip(("real", "held_out", "synthetic"), map(list, curves), strict=True))
                for name, curves in self.curves.items()
            },
        }

    def _moves(self) -> list[dict[str, Any]]:
        ours, real = self.synthetic, self.held_out
        parts = (
            ("transitions", ours.transitions, real.transitions),
            ("autocorrelation", ours.autocorrelations, real.autocorrelations),
            ("changes", ours.changes, real.changes),
        )
        return [
            {
                "name": name,
                "measure": measure,
                "synthetic": shown(value),
                "held_out": shown(theirs.get(name)),
            }
            for measure, found, theirs in parts
            for name, value in found.items()
        ]


def shown_of(real: Ordered, held_out: Ordered, synthetic: Ordered, layout: Layout) -> Shown:
    """`real`: those that were learnt from."""
    numbers = [
        name for name in moving_columns([real, synthetic], layout) if is_ordered(real.table, name)
    ]
    steps, unit = _steps(real, synthetic, layout)
    return Shown(
        layout=layout,
        lengths=_histogram(
            "records", "integer", *(one.lengths.astype(np.float64) for one in (real, synthetic))
        ),
        steps=steps,
        unit=unit,
        synthetic=ordered_quality(real, synthetic, layout),
        held_out=ordered_quality(real, held_out, layout),
        curves={
            name: (_curve(real, name), _curve(held_out, name), _curve(synthetic, name))
            for name in numbers[:_MOST_CURVES]
        },
    )


def _steps(real: Ordered, synthetic: Ordered, layout: Layout) -> tuple[Histogram | None, str]:
    if layout.time is None:
        return None, ""
    ours, theirs = (changes(side, layout.time) for side in (real, synthetic))
    if not ours.size or not theirs.size:
        return None, ""
    column = real.table.schema.column(layout.time)
    if column.kind != "datetime":
        return _histogram("step", column.kind, ours, theirs), ""
    typical = float(np.median(ours))
    unit, size = next((one for one in _UNITS if typical >= one[1]), ("seconds", 1.0))
    return _histogram("step", "number", ours / size, theirs / size), unit


def _histogram(name: str, kind: Kind, real: Numbers, synthetic: Numbers) -> Histogram:
    schema = Schema(columns=(Column(name=name, kind=kind),))
    ours, theirs = (Table(schema=schema, values={name: one}) for one in (real, synthetic))
    return histogram(ours, theirs, name)


def _curve(side: Ordered, name: str) -> Curve:
    values = side.table.values[name]
    pairs: Sequence[Any] = [side.pairs(lag) for lag in range(1, _LAGS + 1)]
    return tuple(
        round(autocorrelation(values, at), 4) if at[0].size >= _FEWEST_PAIRS else None
        for at in pairs
    )
