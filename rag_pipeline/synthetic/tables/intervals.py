"""What a formula says of the columns in it, when only the ends of each are known.

Interval arithmetic over the tree of an expression, upwards to what it may be and downwards to what
its parts must be (HC4-revise: Benhamou, Goualard, Granvilliers and Puget, ICLP 1999).

Shapes: B records.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from rag_pipeline.synthetic.tables.constraints import Expression
from rag_pipeline.synthetic.tables.table import Numbers

Interval = tuple[Numbers, Numbers]
"""(B,) and (B,): the lowest and the highest that each may be."""

_WIDER = 1e-12
"""Relative: going down, an end must not be lost to a rounding."""


def upwards(expression: Expression, ends: Mapping[str, Interval]) -> Interval:
    """What it may be."""
    if isinstance(expression, Fraction):
        number = np.array([float(expression)])
        return number, number
    if isinstance(expression, str):
        return ends[expression]
    sign, left, right = expression
    return _combined(sign, upwards(left, ends), upwards(right, ends))


def downwards(
    expression: Expression, within: Interval, ends: Mapping[str, Interval]
) -> dict[str, Interval]:
    """What each column must be for the expression to lie `within`; one that stands in it twice has
    what the last place leaves it."""
    if isinstance(expression, Fraction):
        return {}
    if isinstance(expression, str):
        return {expression: within}
    sign, left, right = expression
    first, second = upwards(left, ends), upwards(right, ends)
    match sign:
        case "+":
            inner = _combined("-", within, second), _combined("-", within, first)
        case "-":
            inner = _combined("+", within, second), _combined("-", first, within)
        case "*":
            inner = _combined("/", within, second), _combined("/", within, first)
        case _:
            inner = _combined("*", within, second), _combined("/", first, within)
    return downwards(left, _wider(inner[0]), ends) | downwards(right, _wider(inner[1]), ends)


def _wider(interval: Interval) -> Interval:
    low, high = interval
    return low - _WIDER * np.abs(low), high + _WIDER * np.abs(high)


def _combined(sign: str, left: Interval, right: Interval) -> Interval:
    with np.errstate(all="ignore"):
        if sign == "+":
            found = left[0] + right[0], left[1] + right[1]
        elif sign == "-":
            found = left[0] - right[1], left[1] - right[0]
        else:
            operation = np.multiply if sign == "*" else np.divide
            corners = np.stack(
                np.broadcast_arrays(*(operation(one, other) for one in left for other in right))
            )
            found = corners.min(axis=0), corners.max(axis=0)
        low, high = np.broadcast_arrays(*found)
        open_end = np.isnan(low) | np.isnan(high)
        if sign == "/":
            open_end = open_end | ((right[0] <= 0) & (right[1] >= 0))
    return np.where(open_end, -np.inf, low), np.where(open_end, np.inf, high)
