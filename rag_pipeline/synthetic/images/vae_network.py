"""The networks of a variational autoencoder for pictures; the losses stand in `vae.py`.

Shapes: B pictures, C channels, H x W pixels, L numbers of a hidden place, E wide what the prior is
told.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.images.layers import (
    Block,
    Told,
    channels_last,
    doubled,
    halvings,
    padded,
)

_PRIOR_WIDTH = 256
_PRIOR_DEPTH = 3
_LOG_VARIANCES = (-10.0, 4.0)


class Autoencoder(nn.Module):
    """Pictures to hidden places and back."""

    def __init__(self, shape: tuple[int, int, int], width: int, hidden: int) -> None:
        super().__init__()
        channels, height, wide = shape
        self.times = halvings((height, wide))
        self.size = [-(-side // 2**self.times) for side in (height, wide)]
        widths = [width, *[2 * width] * self.times]
        pairs = [*zip([width, *widths], widths, strict=False)]
        flat = widths[-1] * self.size[0] * self.size[1]
        self.read = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(given, made) for given, made in pairs)
        self.inwards = nn.Linear(flat, 2 * hidden)
        self.outwards = nn.Linear(hidden, flat)
        self.up = nn.ModuleList(Block(made, given) for given, made in reversed(pairs))
        self.write = nn.Sequential(
            nn.GroupNorm(1, width), nn.SiLU(), nn.Conv2d(width, 2 * channels, 3, padding=1)
        )
        self.shape = shape
        channels_last(self)

    def places(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log of the variance, (B, L), of pixels (B, C, H, W)."""
        state = self.read(padded(values, self.times).to(memory_format=torch.channels_last))
        for level, block in enumerate(self.down):
            state = block(functional.avg_pool2d(state, 2) if level else state)
        mean, log_variance = self.inwards(functional.silu(state.flatten(1))).chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def pictures(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Middle and log of the scale of each pixel, (B, C, H, W), of places (B, L)."""
        state = self.outwards(places).unflatten(1, (-1, *self.size))
        state = state.contiguous(memory_format=torch.channels_last)
        for level, block in enumerate(self.up):
            state = block(doubled(state) if level else state)
        _, height, width = self.shape
        middle, log_scale = self.write(state)[:, :, :height, :width].chunk(2, dim=1)
        return middle, log_scale


class Prior(nn.Module):
    """The direction in which a hidden place lies, for each label."""

    def __init__(self, kinds: int, hidden: int) -> None:
        super().__init__()
        self.told = Told(kinds, _PRIOR_WIDTH)
        self.read = nn.Linear(hidden, _PRIOR_WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(_PRIOR_WIDTH),
                nn.Linear(_PRIOR_WIDTH, 2 * _PRIOR_WIDTH),
                nn.SiLU(),
                nn.Linear(2 * _PRIOR_WIDTH, _PRIOR_WIDTH),
            )
            for _ in range(_PRIOR_DEPTH)
        )
        self.write = nn.Sequential(nn.LayerNorm(_PRIOR_WIDTH), nn.Linear(_PRIOR_WIDTH, hidden))

    def forward(self, midway: Tensor, moments: Tensor, labels: Tensor) -> Tensor:
        """(B, L) from (B, L), (B,) and (B,)."""
        told = self.told(moments, labels)  # (B, E)
        state = self.read(midway)
        for block in self.blocks:
            state = state + block(state + told)
        found: Tensor = self.write(state)
        return found
