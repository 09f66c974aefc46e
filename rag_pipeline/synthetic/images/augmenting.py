"""Changes of pictures that gradients go through (DiffAugment: Zhao et al., NeurIPS 2020,
arXiv:2006.10738, fig. 6).

A critic that sees few pictures learns them by heart. It is shown real and drawn ones changed alike
instead, and the generator learns through the change: neither can tell it from what was there.

Shapes: B pictures, C channels, H x W pixels, from -1 to 1.
"""

import torch
from torch import Tensor
from torch.nn import functional

_SHIFT = 0.125
"""Of a side, at most."""
_HOLE = 0.4
"""Of a side."""


def changed(values: Tensor) -> Tensor:
    """(B, C, H, W): each lighter or darker, more or less distinct, shifted, with a hole."""
    return _with_hole(_shifted(_toned(values)))


def _toned(values: Tensor) -> Tensor:
    chance = torch.rand(2, len(values), 1, 1, 1, device=values.device)
    mean = values.mean(dim=(1, 2, 3), keepdim=True)
    return (values - mean) * (chance[0] * 0.5 + 0.75) + mean + (chance[1] - 0.5) * 0.4


def _shifted(values: Tensor) -> Tensor:
    """What comes in at the border is black."""
    height, width = values.shape[2:]
    most = [max(1, round(side * _SHIFT)) for side in (height, width)]
    wide = functional.pad(values, (most[1], most[1], most[0], most[0]), value=-1.0)
    rows, columns = (
        torch.randint(0, 2 * far + 1, (len(values), 1), device=values.device)
        + torch.arange(side, device=values.device)
        for far, side in zip(most, (height, width), strict=True)
    )
    pictures = torch.arange(len(values), device=values.device)[:, None, None]
    moved = wide.permute(0, 2, 3, 1)[pictures, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _with_hole(values: Tensor) -> Tensor:
    height, width = values.shape[2:]
    inside = [
        _within(len(values), side, max(1, round(side * _HOLE)), values.device)
        for side in (height, width)
    ]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return values.masked_fill(hole, 0.0)


def _within(count: int, side: int, size: int, device: torch.device) -> Tensor:
    """(B, side): which rows, or columns, a hole takes; it may lie over the border."""
    middle = torch.randint(0, side, (count, 1), device=device)
    apart = torch.arange(side, device=device) - middle + size // 2
    return (apart >= 0) & (apart < size)
