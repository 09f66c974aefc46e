"""A U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597) that is told a moment and a label.

Shapes: B pictures, C channels, H x W pixels, E wide what the network is told.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.images.layers import (
    Attention,
    Block,
    Told,
    channels_last,
    doubled,
    halvings,
    padded,
)

_WIDER = 2
"""Below the first level."""


class UNet(nn.Module):
    """As many channels out as pictures have, from that many and what stands beside them."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        beside: int,
        kinds: int,
        width: int,
        dropout: float,
    ) -> None:
        """`beside` counts further channels that are read, `kinds` the labels."""
        super().__init__()
        channels, *size = shape
        self.times = halvings((size[0], size[1]))
        told = 4 * width
        widths = [width, *[_WIDER * width] * self.times]
        self.told = Told(kinds, told)
        self.read = nn.Conv2d(channels + beside, width, 3, padding=1)
        self.down = nn.ModuleList(
            Block(given, made, told, dropout=dropout)
            for given, made in zip([width, *widths], widths, strict=False)
        )
        self.middle = Block(widths[-1], widths[-1], told, dropout=dropout)
        self.attention = Attention(widths[-1])
        self.up = nn.ModuleList(
            Block(given + made, made, told, dropout=dropout)
            for given, made in zip([*widths[1:], widths[-1]], widths, strict=True)
        )
        self.write = nn.Sequential(
            nn.GroupNorm(1, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
        )
        channels_last(self)

    def forward(self, pixels: Tensor, moment: Tensor, label: Tensor) -> Tensor:
        """(B, C, H, W) from (B, C + beside, H, W), (B,) in [0, 1] and (B,)."""
        height, width = pixels.shape[2:]
        told = self.told(moment, label)  # (B, E)
        state = self.read(padded(pixels, self.times).to(memory_format=torch.channels_last))
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            state = block(functional.avg_pool2d(state, 2) if level else state, told)
            kept.append(state)
        state = self.attention(self.middle(state, told))
        for level, block in reversed([*enumerate(self.up)]):
            state = block(torch.cat([state, kept[level]], dim=1), told)
            state = doubled(state) if level else state
        found: Tensor = self.write(state)[:, :, :height, :width]
        return found
