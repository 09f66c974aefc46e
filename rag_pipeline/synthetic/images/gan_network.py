"""The two networks of a GAN for pictures; the losses stand in `gan.py`.

Shapes: B pictures, C channels, H x W pixels, N numbers of noise, P pictures of a pack, E wide what
the generator is told.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from rag_pipeline.synthetic.images.layers import Block, channels_last, doubled, halvings, padded


class Drawing(nn.Module):
    """The generator: noise and a label to a picture."""

    def __init__(self, shape: tuple[int, int, int], kinds: int, width: int, noise: int) -> None:
        super().__init__()
        channels, *size = shape
        self.times, self.sides = halvings((size[0], size[1])), size
        self.size = [-(-side // 2**self.times) for side in size]
        widths = [*[2 * width] * self.times, width]
        told = 2 * width
        self.label = nn.Embedding(kinds, told)
        self.told = nn.Sequential(nn.Linear(noise + told, told), nn.SiLU())
        self.read = nn.Linear(noise + told, widths[0] * self.size[0] * self.size[1])
        self.blocks = nn.ModuleList(
            Block(given, made, told)
            for given, made in zip([widths[0], *widths], widths, strict=False)
        )
        self.write = nn.Sequential(
            nn.GroupNorm(1, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()
        )
        channels_last(self)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W), from -1 to 1, of (B, noise) and (B,)."""
        given = torch.cat([noise, self.label(labels)], dim=1)
        told = self.told(given)  # (B, E)
        state = self.read(given).unflatten(1, (-1, *self.size))
        state = state.contiguous(memory_format=torch.channels_last)
        for level, block in enumerate(self.blocks):
            state = block(doubled(state) if level else state, told)
        found: Tensor = self.write(state)[:, :, : self.sides[0], : self.sides[1]]
        return found


class CriticBlock(nn.Module):
    """Two convolutions beside a way around them, all of bounded slope."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(given, made, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(made, made, 3, padding=1))
        self.around = spectral_norm(nn.Conv2d(given, made, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, made, H, W) from (B, given, H, W)."""
        state = self.second(functional.relu(self.first(functional.relu(x))))
        found: Tensor = self.around(x) + state
        return found


class Critic(nn.Module):
    """How real a picture looks for its label."""

    def __init__(self, shape: tuple[int, int, int], kinds: int, width: int, pack: int) -> None:
        super().__init__()
        channels, *size = shape
        self.times, self.pack = halvings((size[0], size[1])), pack
        widths = [width, *[2 * width] * self.times]
        self.read = spectral_norm(nn.Conv2d(pack * channels, width, 3, padding=1))
        self.blocks = nn.ModuleList(
            CriticBlock(given, made) for given, made in zip([width, *widths], widths, strict=False)
        )
        self.judge = spectral_norm(nn.Linear(widths[-1], 1))
        self.label = spectral_norm(nn.Embedding(kinds, widths[-1]))
        channels_last(self)

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        """(B / P,) of (B, C, H, W) and (B,)."""
        values = padded(values, self.times)
        packed = values.reshape(-1, self.pack * values.shape[1], *values.shape[2:])
        state = self.read(packed.to(memory_format=torch.channels_last))
        for level, block in enumerate(self.blocks):
            state = block(functional.avg_pool2d(state, 2) if level else state)
        seen = functional.relu(state).sum(dim=(2, 3))  # (B / P, widest)
        told = self.label(labels[:: self.pack])
        found: Tensor = self.judge(seen)[:, 0] + (told * seen).sum(1)
        return found
