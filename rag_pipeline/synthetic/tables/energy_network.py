"""The energy of `energy.py` (eq. 2), and how it is learnt (eq. 1).

Shapes: B records, W wide vectors, H wide network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.training.task import sliced

MOST, LEAST = 5.0, 0.03
"""Noise, in the spread of a column of numbers."""
_FREQUENCIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, for how long it learns, and how slowly it is drawn from."""

    width: int = 256
    depth: int = 3
    levels: int = 60
    """Of noise, from the most to the least."""
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3


class Network(nn.Module):
    """E(x, σ) of vectors around 0."""

    spread: Tensor
    """(): s, that of the records."""
    frequencies: Tensor
    """(_FREQUENCIES,)"""

    def __init__(self, width: int, settings: Settings, spread: float) -> None:
        super().__init__()
        hidden = settings.width
        self.register_buffer("spread", torch.tensor(spread))
        frequencies = torch.pi * torch.linspace(0.1, 2.0, _FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.read = nn.Linear(width, hidden)
        self.level = nn.Linear(2 * _FREQUENCIES, hidden)
        self.blocks = nn.ModuleList(_block(hidden) for _ in range(settings.depth))
        self.write = nn.Linear(hidden, width)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, noised: Tensor, sigma: Tensor) -> Tensor:
        """(B,): the energy of (B, W) at (B, 1), eq. 2."""
        scale = (sigma**2 + self.spread**2).rsqrt()  # (B, 1)
        unit = scale * noised
        phases = sigma.log() * self.frequencies  # (B, F)
        level = self.level(torch.cat([phases.sin(), phases.cos()], dim=1))
        state = self.read(unit) + level  # (B, H)
        for block in self.blocks:
            state = state + block(state)
        added = (unit * self.write(state)).sum(1, keepdim=True) / (sigma * scale)
        energy: Tensor = (unit**2).sum(1, keepdim=True) / 2 + added
        return energy[:, 0]

    def pull(self, noised: Tensor, sigma: Tensor, *, keep_graph: bool = False) -> Tensor:
        """(B, W): σ ∇E, the noise that it sees."""
        with torch.enable_grad():
            at = noised.detach().requires_grad_()
            energy = self(at, sigma).sum()
            (gradient,) = torch.autograd.grad(energy, at, create_graph=keep_graph)
        pull: Tensor = sigma * gradient
        return pull


def _block(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(),
                         nn.Linear(width, width))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """float32 (n, W)"""
    held_back: Tensor

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 1 (scalar), a mean over W."""
        return self._missed(self.learnt[list(rows)], None)

    def validate(self) -> float:
        """Minus eq. 1 of what was held back, with the same noise each time."""
        with torch.enable_grad():
            return -self._missed(self.held_back, torch.Generator().manual_seed(0)).item()

    def _missed(self, vectors: Tensor, chance: torch.Generator | None) -> Tensor:
        device = device_of(self.model)
        between = torch.rand(len(vectors), 1, generator=chance)
        sigma = LEAST * (MOST / LEAST) ** between
        noise = torch.randn(vectors.shape, generator=chance)
        noised, sigma, noise = (one.to(device) for one in (vectors + sigma * noise, sigma, noise))
        return ((self.model.pull(noised, sigma, keep_graph=True) - noise) ** 2).mean()
