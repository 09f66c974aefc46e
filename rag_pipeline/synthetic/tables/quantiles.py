"""How numbers are spread: as quantiles of intervals, and on which grid they lie."""

import numpy as np

from rag_pipeline.synthetic.tables.table import Numbers

_IN_INTERVAL = 20
"""Records, at least."""
QUANTILES = 16
"""Steps within an interval."""
_SPIKE_SHARE = 0.5
"""Of what each code has if all have as much: a value that more records share is one of its own."""


def grid(present: Numbers) -> tuple[float, float]:
    """Whole numbers as the lowest one and multiples of a unit: of days, if they are seconds."""
    if not present.size:
        return 0.0, 1.0
    apart = (present - present[0]).astype(np.int64)
    return float(present[0]), float(max(np.gcd.reduce(apart), 1))


def curves_of(present: Numbers, codes: int, *, fewest: int) -> Numbers:
    """(about `codes`, QUANTILES + 1): the quantiles of intervals with as many records each, and
    values that many share, no fewer than `fewest`; in order."""
    values, counts = np.unique(present, return_counts=True)
    is_spread = values.size > codes
    least = max(fewest, _SPIKE_SHARE / codes * present.size) if is_spread else fewest
    spikes = values[counts >= least]
    rest = present[~np.isin(present, spikes)]
    intervals = min(codes - min(spikes.size, codes - 1), rest.size // _IN_INTERVAL)
    if rest.size >= fewest:
        intervals = max(intervals, 1)
    if rest.size and not intervals and not spikes.size:
        intervals = 1
    edges = np.quantile(rest, np.linspace(0, 1, intervals * QUANTILES + 1)) if intervals else rest
    curves = [
        *(np.full(QUANTILES + 1, spike) for spike in spikes),
        *(edges[n * QUANTILES : (n + 1) * QUANTILES + 1] for n in range(intervals)),
    ]
    if not curves:
        return np.empty((0, QUANTILES + 1))
    return np.array(sorted(curves, key=lambda curve: (float(curve.mean()), float(curve[0]))))


def within(curve: Numbers, low: float, high: float) -> tuple[float, float]:
    """Between which steps of `curve` its values lie between `low` and `high`."""
    if curve[0] == curve[-1]:
        return 0.0, 0.0
    ends = np.interp([low, high], curve, np.arange(curve.size))
    return float(ends[0]), float(ends[1])
