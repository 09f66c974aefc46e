"""Monotone rational-quadratic splines (Durkan et al., NeurIPS 2019, arXiv:1906.04032, section 3.1).

Between knots the curve is a quotient of two parabolas, whose inverse is the root of a third one, so
that both ways are exact. Outside of ±`BOUND` it is the diagonal.

Shapes: … any, K bins.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

BOUND = 5.0
"""Normal deviates that lie farther out are left as they are."""
_NARROWEST = 1e-3
_FLATTEST = 1e-3
_SLOPE_ONE = math.log(math.expm1(1 - _FLATTEST))


def parameters(bins: int) -> int:
    """How many numbers say what one spline is: widths, heights, and slopes at inner knots."""
    return 3 * bins - 1


def bent(x: Tensor, raw: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Where the splines take `x` (…), and the log of their slope there (…); `raw` (…, 3K - 1) of
    zeros is the diagonal. `inverse` takes it back, and the log of that slope."""
    bins = (raw.shape[-1] + 1) // 3
    widths, heights, slopes = torch.split(raw, [bins, bins, bins - 1], dim=-1)
    across, up = _knots(widths), _knots(heights)  # (…, K + 1)
    slopes = functional.pad(_FLATTEST + functional.softplus(slopes + _SLOPE_ONE), (1, 1), value=1.0)
    is_inside = x.abs() < BOUND
    inside = x.clamp(-BOUND, BOUND)
    edges = up if inverse else across
    at = (inside[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)  # (…, 1): the bin
    left, width = _of(across, at), _of(across.diff(dim=-1), at)
    low, height = _of(up, at), _of(up.diff(dim=-1), at)
    first, last = _of(slopes, at), _of(slopes, at + 1)
    mean = height / width
    bend = first + last - 2 * mean
    across_bin = (inside - left) / width
    share = _share(inside - low, height, mean, first, bend) if inverse else across_bin
    between = share * (1 - share)
    below = mean + bend * between
    slope = mean**2 * (last * share**2 + 2 * mean * between + first * (1 - share) ** 2) / below**2
    if inverse:
        found, log_slope = left + share * width, -slope.log()  # eq. 4 turned around
    else:
        found = low + height * (mean * share**2 + first * between) / below  # eq. 4
        log_slope = slope.log()  # eq. 5
    outside = torch.zeros_like(log_slope)
    return torch.where(is_inside, found, x), torch.where(is_inside, log_slope, outside)


def _knots(raw: Tensor) -> Tensor:
    """(…, K + 1), rising from -BOUND to BOUND, from (…, K)."""
    bins = raw.shape[-1]
    shares = _NARROWEST + (1 - _NARROWEST * bins) * raw.softmax(-1)
    inner = 2 * BOUND * shares.cumsum(-1)[..., :-1] - BOUND
    padded = functional.pad(inner, (1, 0), value=-BOUND)
    return functional.pad(padded, (0, 1), value=BOUND)


def _of(values: Tensor, at: Tensor) -> Tensor:
    return values.gather(-1, at)[..., 0]


def _share(risen: Tensor, height: Tensor, mean: Tensor, first: Tensor, bend: Tensor) -> Tensor:
    """How far across its bin a point is that has risen so far in it (eqs. 6 to 8)."""
    a = height * (mean - first) + risen * bend
    b = height * first - risen * bend
    c = -mean * risen
    root = (b**2 - 4 * a * c).clamp(min=0).sqrt()
    return (2 * c / (-b - root)).clamp(0, 1)
