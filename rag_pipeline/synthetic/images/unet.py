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
_SMALL = 16
"""A shorter side above this is read in patches (Hoogeboom et al., ICML 2023, arXiv:2301.11093,
sec. 3.3), which takes a quarter of the time."""
_PATCH = 2


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
        self.patch = _PATCH if min(size) > _SMALL else 1
        self.times = halvings((size[0] // self.patch, size[1] // self.patch))
        told = 4 * width
        a_patch = self.patch**2
        widths = [width, *[_WIDER * width] * self.times]
        self.told = Told(kinds, told)
        self.read = nn.Conv2d((channels + beside) * a_patch, width, 3, padding=1)
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
            nn.GroupNorm(1, width), nn.SiLU(), nn.Conv2d(width, channels * a_patch, 3, padding=1)
        )
        channels_last(self)

    def forward(self, pixels: Tensor, moment: Tensor, label: Tensor) -> Tensor:
        """(B, C, H, W) from (B, C + beside, H, W), (B,) in [0, 1] and (B,)."""
        height, width = pixels.shape[2:]
        told = self.told(moment, label)  # (B, E)
        whole = padded(pixels, self.times, self.patch)
        patches = functional.pixel_unshuffle(whole, self.patch)
        state = self.read(patches.to(memory_format=torch.channels_last))
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            state = block(functional.avg_pool2d(state, 2) if level else state, told)
            kept.append(state)
        state = self.attention(self.middle(state, told))
        for level, block in reversed([*enumerate(self.up)]):
            state = block(torch.cat([state, kept[level]], dim=1), told)
            state = doubled(state) if level else state
        return functional.pixel_shuffle(self.write(state), self.patch)[:, :, :height, :width]
