"""Parts that the networks for pictures are made of.

Shapes: B pictures, C channels, H x W places, E wide what a network is told besides.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST_SIDE = 4
_GROUPS = 8
_PERIODS = 32
"""Sines that a moment is written in."""
_FASTEST = 1_000.0


def halvings(size: tuple[int, int]) -> int:
    """How often both sides can be halved before the shorter one has fewer than four places."""
    return max(0, int(math.log2(min(size) / _SMALLEST_SIDE)))


def padded(pixels: Tensor, times: int, patch: int = 1) -> Tensor:
    """(B, C, H, W) with the sides filled up below and right until they can be divided into patches
    and halved so often."""
    height, width = pixels.shape[2:]
    down, right = (-side % (patch * 2**times) for side in (height, width))
    return functional.pad(pixels, (0, right, 0, down), value=-1.0)


def channels_last(network: nn.Module) -> None:
    """Lay convolutions out so that they take a CPU half the time."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fitting_groups(channels: int) -> int:
    """The most groups, up to eight, that so many channels divide into."""
    return math.gcd(_GROUPS, channels)


class Block(nn.Module):
    """Two convolutions beside a way around them (He et al., CVPR 2016, arXiv:1512.03385), scaled
    and shifted by what the network is told (Perez et al., AAAI 2018, arXiv:1709.07871)."""

    def __init__(self, given: int, made: int, told: int = 0, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.before = nn.GroupNorm(fitting_groups(given), given)
        self.first = nn.Conv2d(given, made, 3, padding=1)
        self.between = nn.GroupNorm(fitting_groups(made), made)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Conv2d(made, made, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        self.around = nn.Conv2d(given, made, 1) if given != made else nn.Identity()
        self.told = nn.Linear(told, 2 * made) if told else None

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """(B, made, H, W) from (B, given, H, W) and (B, E)."""
        state = self.between(self.first(functional.silu(self.before(x))))
        if self.told is not None and told is not None:
            scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)  # (B, made, 1, 1)
            state = state * (1 + scale) + shift
        found: Tensor = self.around(x) + self.second(self.dropout(functional.silu(state)))
        return found


class Attention(nn.Module):
    """Each place looks at all others (Vaswani et al., NeurIPS 2017, arXiv:1706.03762, eq. 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(fitting_groups(channels), channels)
        self.read = nn.Conv2d(channels, 3 * channels, 1)
        self.write = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.write.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), the same as given."""
        asked, offered, values = self.read(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        alike = (asked @ offered.transpose(1, 2) / math.sqrt(x.shape[1])).softmax(2)  # (B, HW, HW)
        found: Tensor = x + self.write((alike @ values).transpose(1, 2).reshape(x.shape))
        return found


class Told(nn.Module):
    """A moment in [0, 1] and the number of a label as a vector."""

    frequencies: Tensor

    def __init__(self, kinds: int, wide: int) -> None:
        super().__init__()
        rising = torch.arange(_PERIODS) / (_PERIODS - 1)
        self.register_buffer("frequencies", _FASTEST**rising, persistent=False)
        self.moment = nn.Sequential(nn.Linear(2 * _PERIODS, wide), nn.SiLU())
        self.label = nn.Embedding(kinds, wide)
        self.both = nn.Sequential(nn.Linear(wide, wide), nn.SiLU())

    def forward(self, moment: Tensor, label: Tensor) -> Tensor:
        """(B, E) from (B,) and (B,)."""
        angles = moment[:, None] * self.frequencies  # (B, periods)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        found: Tensor = self.both(self.moment(waves) + self.label(label))
        return found


def doubled(x: Tensor) -> Tensor:
    """(B, C, 2H, 2W)"""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
