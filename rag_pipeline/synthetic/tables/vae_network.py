"""The networks of `vae.py`, and how they learn.

Shapes: B records, D columns, K codes of all columns together, L long hidden places z, H wide
networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.synthetic.tables.categorical import (
    Logits,
    check_settings,
    firsts,
    nats,
    residual,
)
from rag_pipeline.synthetic.tables.coding import Codec
from rag_pipeline.training.task import sliced

_FREQUENCIES = 6
_NARROWEST, _WIDEST = -8.0, 4.0
"""Of log σ²."""
_NEW = 0.02
"""What a batch counts for in how the hidden places are spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the networks are, and for how long they learn."""

    latent: int = 32
    width: int = 256
    embedding: int = 16
    encoder_depth: int = 1
    decoder_depth: int = 2
    prior_depth: int = 2
    beta: float = 0.1
    """What the divergence counts for in the end; below 1, places are told apart better."""
    annealed: float = 0.3
    """The share of the training in which it rises from 0 to that."""
    flow_steps: int = 20
    """In which a place is drawn."""
    sweeps: int = 2
    """How often what is drawn goes through a place of its own again."""
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for settings that nothing can be drawn with."""
        counts = ("latent", "width", "embedding", "decoder_depth", "prior_depth", "flow_steps")
        check_settings(self, counts=counts, shares=("annealed",))
        for name in ("beta", "sweeps"):
            if not getattr(self, name) >= 0:
                raise SyntheticError(f"{name} is {getattr(self, name)}: give a number from 0")


class Network(nn.Module):
    """Encoder, decoder, and the flow that draws hidden places."""

    def __init__(self, codecs: Sequence[Codec], settings: Settings) -> None:
        super().__init__()
        self.encoder = Encoder(codecs, settings)
        self.decoder = Decoder(codecs, settings)
        self.prior = Prior(settings)


class Encoder(nn.Module):
    """q(z | x), a normal distribution with a mean and a spread of its own for each of z."""

    first: Tensor
    """(D,)"""
    position: Tensor
    """(K,): where each code stands in its column's order; 0 where there is none."""

    def __init__(self, codecs: Sequence[Codec], settings: Settings) -> None:
        super().__init__()
        positions = np.concatenate([np.nan_to_num(codec.positions) for codec in codecs])
        self.register_buffer("first", firsts(codecs), persistent=False)
        self.register_buffer("position", torch.tensor(positions).float(), persistent=False)
        self.embedding = nn.Embedding(len(positions), settings.embedding)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.read = nn.Linear(len(codecs) * (settings.embedding + 1), settings.width)
        self.blocks = nn.ModuleList(residual(settings.width) for _ in range(settings.encoder_depth))
        self.norm = nn.LayerNorm(settings.width)
        self.write = nn.Linear(settings.width, 2 * settings.latent)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log σ² (B, L) of each record's place, for codes (B, D)."""
        at = codes + self.first
        state = self.read(torch.cat([self.embedding(at).flatten(1), self.position[at]], dim=1))
        for block in self.blocks:
            state = state + block(state)
        mean, spread = self.write(self.norm(state)).chunk(2, dim=1)
        return mean, spread.clamp(_NARROWEST, _WIDEST)


class Decoder(nn.Module):
    """p(x | z): of each column by itself."""

    def __init__(self, codecs: Sequence[Codec], settings: Settings) -> None:
        super().__init__()
        self.sizes = [codec.size for codec in codecs]
        self.read = nn.Linear(settings.latent, settings.width)
        self.blocks = nn.ModuleList(residual(settings.width) for _ in range(settings.decoder_depth))
        self.norm = nn.LayerNorm(settings.width)
        self.write = nn.Linear(settings.width, sum(self.sizes))

    def forward(self, places: Tensor) -> Logits:
        """Logits of all columns for places (B, L)."""
        state = self.read(places)
        for block in self.blocks:
            state = state + block(state)
        return self.write(self.norm(state)).split(self.sizes, dim=1)  # type: ignore[no-any-return]


class Prior(nn.Module):
    """The flow from N(0, I) to the places of all records: a velocity at every point of the way."""

    mean: Tensor
    """(L,): of the places of all records."""
    spread: Tensor
    """(L,): their standard deviation."""
    frequencies: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(settings.latent))
        self.register_buffer("spread", torch.ones(settings.latent))
        self.register_buffer("frequencies", 2.0 ** torch.arange(_FREQUENCIES), persistent=False)
        inputs = settings.latent + 2 * _FREQUENCIES
        self.read = nn.Linear(inputs, settings.width)
        self.blocks = nn.ModuleList(residual(settings.width) for _ in range(settings.prior_depth))
        self.norm = nn.LayerNorm(settings.width)
        self.write = nn.Linear(settings.width, settings.latent)
        self.flow_steps = settings.flow_steps

    def forward(self, states: Tensor, times: Tensor) -> Tensor:
        """The velocity (B, L) at `states` (B, L) and `times` (B, 1)."""
        phases = 0.5 * torch.pi * times * self.frequencies
        state = self.read(torch.cat([states, phases.sin(), phases.cos()], dim=1))
        for block in self.blocks:
            state = state + block(state)
        return self.write(self.norm(state))  # type: ignore[no-any-return]

    def follow(self, places: Tensor) -> None:
        """Count in how the places of a batch (B, L) are spread."""
        self.mean.lerp_(places.mean(0), _NEW)
        self.spread.lerp_(places.std(0).clamp_min(1e-3), _NEW)

    def loss(self, places: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """(scalar): eq. 3 a dimension, at a random point of the way to each place (B, L)."""
        ends = (places - self.mean) / self.spread
        noise = torch.randn(ends.shape, generator=chance).to(ends.device)
        times = torch.rand(len(ends), 1, generator=chance)
        times = ((torch.arange(len(ends))[:, None] + times) / len(ends)).to(ends.device)
        velocity = self(times * ends + (1 - times) * noise, times)
        error: Tensor = (velocity - (ends - noise)).square().mean()
        return error

    def draw(self, count: int, chance: torch.Generator) -> Tensor:
        """(count, L): places, each by `flow_steps` steps of Heun's method."""
        state = torch.randn(count, len(self.mean), generator=chance)
        step = 1 / self.flow_steps
        for number in range(self.flow_steps):
            now, then = (torch.full((count, 1), (number + at) * step) for at in (0, 1))
            velocity = self(state, now)
            ahead = self(state + step * velocity, then)
            state = state + step * (velocity + ahead) / 2
        return self.mean + self.spread * state


@dataclass(slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """int64 (n, D): codes that are learnt from."""
    held_back: Tensor
    """int64 (m, D): codes that are validated on."""
    settings: Settings
    beta: float = field(init=False, default=0.0)

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def at_step(self, step: int, steps: int) -> None:
        rising = max(self.settings.annealed * steps, 1.0)
        self.beta = self.settings.beta * min(1.0, step / rising)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 2 a column, and eq. 3 (scalar)."""
        codes = self.learnt[list(rows)].to(device_of(self.model))
        mean, spread = self.model.encoder(codes)
        places = mean + (spread / 2).exp() * torch.randn(mean.shape).to(mean.device)
        found = negative_elbo(self.model, codes, (mean, spread), places, self.beta)
        with torch.no_grad():
            self.model.prior.follow(places)
        return found.mean() / codes.shape[1] + self.model.prior.loss(places.detach())

    def validate(self) -> float:
        """Minus eq. 2 a column of what was held back, with the divergence in full and the same
        chance. Eq. 3 is not counted: it rises as places are told apart better."""
        chance = torch.Generator().manual_seed(0)
        codes = self.held_back.to(device_of(self.model))
        mean, spread = self.model.encoder(codes)
        noise = torch.randn(mean.shape, generator=chance).to(mean.device)
        places = mean + (spread / 2).exp() * noise
        found = negative_elbo(self.model, codes, (mean, spread), places, self.settings.beta)
        return -found.mean().item() / codes.shape[1]


def negative_elbo(
    model: Network, codes: Tensor, posterior: tuple[Tensor, Tensor], places: Tensor, beta: float
) -> Tensor:
    """(B,): eq. 2, at places (B, L) drawn of the posterior; nats."""
    mean, spread = posterior
    divergence = (mean.square() + spread.exp() - 1 - spread).sum(1) / 2
    return nats(model.decoder(places), codes).sum(1) + beta * divergence
