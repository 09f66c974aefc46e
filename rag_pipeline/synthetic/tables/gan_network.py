"""The networks of the GAN for tables.

Shapes: B records, D columns, K codes of all columns together, Z noise, H wide, F features.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.tables.coding import Codec

_EMBEDDING = 8
_MOST_WEIGHTS = 600_000
"""That codes have in a table of embeddings, or in what is written for them."""
_TEMPERATURE = 0.7
_SMALL = 1e-7
LOG_VARIANCE = -8.0, 4.0
"""No hidden place is surer or less sure."""


class GeneratorNetwork(nn.Module):
    """Logits of the codes of all columns, from noise and what is known of a record.

    What is known moves the noise to where such records lie in the hidden space, for otherwise a
    decoder would believe the noise and not what it is told (the conditional prior of Sohn, Lee and
    Yan, NeurIPS 2015). It begins with the shares that the codes have in the table, whatever the
    noise is.
    """

    first: Tensor
    """(D,): where the codes of each column begin among those of all."""
    of_column: Tensor
    """(K,): which column each code belongs to."""
    position: Tensor
    """(K + D,): where each code stands in its column's order; 0 where there is none, or it is
    hidden."""

    def __init__(
        self, codecs: Sequence[Codec], seen: Tensor, *, noise: int, width: int, depth: int
    ) -> None:
        """`seen` (K,): how many records have each code."""
        super().__init__()
        sizes = [codec.size for codec in codecs]
        self.sizes, self.noise = sizes, noise
        total, columns = sum(sizes), len(sizes)
        firsts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        belongs = torch.arange(columns).repeat_interleave(torch.tensor([*sizes]))
        self.register_buffer("first", firsts, persistent=False)
        self.register_buffer("of_column", belongs, persistent=False)
        positions = np.concatenate([np.nan_to_num(codec.positions) for codec in codecs])
        padded = functional.pad(torch.tensor(positions, dtype=torch.float32), (0, columns))
        self.register_buffer("position", padded, persistent=False)
        embedding = max(1, min(_EMBEDDING, _MOST_WEIGHTS // total))
        self.embedding = nn.Embedding(total + columns, embedding)
        nn.init.normal_(self.embedding.weight, std=0.5)
        last = nn.Linear(width, 2 * noise)
        self.prior = nn.Sequential(nn.Linear(columns * (embedding + 1), width), nn.SiLU(), last)
        self.read = nn.Linear(noise + columns * (embedding + 1), width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, max(1, min(width, _MOST_WEIGHTS // total)))
        self.write = nn.Linear(self.narrow.out_features, total)
        with torch.no_grad():
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.write.weight.mul_(0.3)
            self.write.bias.copy_((seen + 0.02).log())

    def forward(self, noise: Tensor, codes: Tensor, known: Tensor) -> Tensor:
        """(B, K), from noise (B, Z), and `codes` and `known` (B, D)."""
        told = self.told(codes, known)
        mean, log_variance = self.place(told)
        return self.decoded(mean + noise * (log_variance / 2).exp(), told)

    def told(self, codes: Tensor, known: Tensor) -> Tensor:
        """(B, D * (embedding + 1)): what is known."""
        hidden = torch.arange(len(self.sizes), device=codes.device) + len(self.of_column)
        at = torch.where(known, codes + self.first, hidden)
        return torch.cat([self.embedding(at).flatten(1), self.position[at]], dim=1)

    def place(self, told: Tensor) -> tuple[Tensor, Tensor]:
        """Where in the hidden space such records lie: mean and log of the variance, (B, Z) each."""
        mean, log_variance = self.prior(told).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def decoded(self, place: Tensor, told: Tensor) -> Tensor:
        """(B, K), of a place in the hidden space (B, Z)."""
        state = self.read(torch.cat([place, told], dim=1))
        for block in self.blocks:
            state = state + block(state)
        return self.write(self.narrow(self.norm(state)))  # type: ignore[no-any-return]

    def chosen(self, logits: Tensor, codes: Tensor, known: Tensor, chance: Tensor) -> Tensor:
        """(B, K): one code of each column, 1 among zeros; those that are known as they are.

        Drawn by the Gumbel-max trick from `chance` (B, K), evenly from 0 to 1; the gradient is that
        of a soft choice (straight-through Gumbel softmax: Jang, Gu and Poole, ICLR 2017,
        arXiv:1611.01144).
        """
        gumbel = -(-chance.clamp(_SMALL, 1 - _SMALL).log()).log()
        columns = torch.split((logits + gumbel) / _TEMPERATURE, self.sizes, dim=1)
        chosen = torch.cat([_straight_through(column.softmax(1)) for column in columns], dim=1)
        given = torch.zeros_like(logits).scatter_(1, codes + self.first, 1.0)
        return torch.where(known[:, self.of_column], given, chosen)


class Encoder(nn.Module):
    """The hidden place of a record that its features say: mean and logarithm of the variance."""

    def __init__(self, features: int, *, noise: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2 * noise),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Z) each, of features (B, F)."""
        mean, log_variance = self.layers(features).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE)


class Autoencoder(nn.Module):
    """Both, as they learn before the critic comes."""

    def __init__(self, generator: GeneratorNetwork, encoder: Encoder) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder


class Critic(nn.Module):
    """How real records look, several of them at once, so that it sees when they are all alike
    (PacGAN: Lin et al., NeurIPS 2018, arXiv:1712.04086)."""

    def __init__(self, features: int, *, pack: int, width: int) -> None:
        super().__init__()
        self.pack = pack
        self.layers = nn.Sequential(
            nn.Linear(features * pack, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B / pack,), of features (B, F)."""
        return self.layers(features.reshape(-1, features.shape[1] * self.pack))[:, 0]  # type: ignore[no-any-return]


def _straight_through(shares: Tensor) -> Tensor:
    """The largest of (B, codes) as 1 among zeros, with the gradient of what is given."""
    hard = functional.one_hot(shares.argmax(1), shares.shape[1]).to(shares.dtype)
    return hard - shares.detach() + shares


def _block(width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
    )
