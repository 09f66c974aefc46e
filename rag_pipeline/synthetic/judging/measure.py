"""A figure that says how good data is, with what chance alone would make of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import numpy as np

from rag_pipeline.synthetic.tables.table import Numbers

_ERRORS_WIDE = 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of a judgement."""

    value: float
    by_chance: float | None = None
    """What records as good as real ones exceed (or fall below, where more is better) once in two
    thousand times, for they are so few; None where that is not known."""


class Judged(Protocol):
    """Whatever can be held against thresholds: tables, series, pictures, texts."""

    @property
    def of_series(self) -> bool:
        """Whether it is series that are counted, and not their records."""

    @property
    def records(self) -> int:
        """How many synthetic records were judged."""

    @property
    def held_out(self) -> int:
        """How many real records that were not learnt from they were held against."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """By the names of `gate.py`; what could not be measured is left out."""

    def as_json(self) -> dict[str, Any]:
        """All of it; the same for the same judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures that were measured elsewhere: those of pictures, or of texts."""

    records: int
    held_out: int
    measures: Mapping[str, Measure]
    of_series: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "records": {"synthetic": self.records, "held_out": self.held_out},
            "measures": {name: shown(one.value) for name, one in self.measures.items()},
        }


def measured(
    values: Mapping[str, float], *, records: int, held_out: int, of_series: bool = False
) -> Measured:
    """Plain figures by name."""
    measures = {name: Measure(value=value) for name, value in values.items()}
    return Measured(records=records, held_out=held_out, measures=measures, of_series=of_series)


def area_under_curve(ones: Numbers, others: Numbers) -> float:
    """How often one is higher than another; ties count a half."""
    others = np.sort(others)
    below = np.searchsorted(others, ones, side="left")
    return float((below + np.searchsorted(others, ones, side="right")).mean() / (2 * others.size))


def by_chance(expected: float, error: float) -> float:
    """What is exceeded once in two thousand times, by the standard error."""
    return expected + _ERRORS_WIDE * error


def shown(value: float | None) -> float | None:
    """As it stands in JSON, which has no room for what is no number."""
    return None if value is None or not isfinite(value) else round(value, 6)
