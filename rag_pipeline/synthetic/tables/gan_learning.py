"""How the GAN for tables learns: first as an autoencoder, then against a critic.

Shapes: B records, D columns, K codes of all columns together, F features, P = B / pack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rag_pipeline.synthetic.collapse import Codes, Diversity, diversity, has_collapsed, validated
from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.synthetic.tables.categorical import code_drawn, nats
from rag_pipeline.synthetic.tables.coding import Codec
from rag_pipeline.synthetic.tables.gan_conditions import Conditions, Told, any_columns
from rag_pipeline.synthetic.tables.gan_features import features_of, summed
from rag_pipeline.synthetic.tables.gan_network import Autoencoder, Critic, GeneratorNetwork
from rag_pipeline.training.checkpoints import Validation
from rag_pipeline.training.task import Opponent, sliced

BETAS = (0.0, 0.99)
"""Of both networks: a GAN does better without momentum."""
_KL_WEIGHT = 0.5
_MOST_DRAWN = 2_000
"""Records that a validation draws."""
_FEWEST_JUDGED = 500
_MOST_PAIRS = 300
_LEVELS = 10
"""That the codes of a column are put together to, when pairs of columns are compared."""
_CHUNK = 4_096
_LEAST_SQUARE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A table as the networks are shown it."""

    codes: Tensor
    """int64 (n, D)"""
    features: Tensor
    """(K, F)"""
    first: Tensor
    """(D,): where each column begins among the K."""
    moments: Tensor
    """(F, F): the mean product of each pair of features."""
    conditions: Conditions

    @classmethod
    def learnt(cls, codes: Tensor, codecs: Sequence[Codec]) -> Self:
        sizes = [codec.size for codec in codecs]
        counts = [
            np.bincount(column, minlength=size)
            for column, size in zip(codes.T.numpy(), sizes, strict=True)
        ]
        features = features_of(codecs, counts)
        first = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        moments = torch.zeros(features.shape[1], features.shape[1])
        for start in range(0, len(codes), _CHUNK):
            of_rows = summed(features, codes[start : start + _CHUNK] + first)
            moments += of_rows.T @ of_rows / len(codes)
        return cls(
            codes=codes,
            features=features,
            first=first,
            moments=moments,
            conditions=Conditions.learnt(codes, sizes),
        )

    def of(self, codes: Tensor) -> Tensor:
        """(B, F)"""
        return summed(self.features, codes + self.first)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WarmStart:
    """The generator as the decoder of a variational autoencoder (Kingma and Welling, ICLR 2014), so
    that noise means something before the critic looks."""

    model: Autoencoder
    shown: Shown
    held_back: Tensor
    """int64 (m, D)"""

    @property
    def examples(self) -> int:
        return len(self.shown.codes)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Minus the ELBO of what is hidden, in nats a record (scalar)."""
        told = self.shown.conditions.told(rows)
        return self._loss(self.shown.codes[told.rows], told.known, None)

    def validate(self) -> float:
        chance = torch.Generator().manual_seed(0)
        records, columns = self.held_back.shape
        known = any_columns(records, columns, chance)
        return -self._loss(self.held_back, known, chance).item()

    def _loss(self, codes: Tensor, known: Tensor, chance: torch.Generator | None) -> Tensor:
        device, generator = device_of(self.model), self.model.generator
        mean, log_variance = self.model.encoder(self.shown.of(codes).to(device))
        noise = torch.randn(mean.shape, generator=chance).to(device)
        codes, known = codes.to(device), known.to(device)
        told = generator.told(codes, known)
        logits = generator.decoded(mean + noise * (log_variance / 2).exp(), told)
        losses = nats(torch.split(logits, generator.sizes, dim=1), codes)  # (B, D)
        away = _divergence(mean, log_variance, *generator.place(told))
        return ((losses * ~known).sum(1) + _KL_WEIGHT * away).mean()


def _divergence(
    mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor
) -> Tensor:
    """(B,): Kullback and Leibler's, of two normal distributions each, (B, Z)."""
    apart = (mean - prior_mean) ** 2 + log_variance.exp()
    nats = apart / prior_log_variance.exp() - 1 + prior_log_variance - log_variance
    return nats.sum(1) / 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """Generator against critic.

    The loss compares each pack of real records x with one of drawn ones y that were told the same
    (relativistic: Jolicoeur-Martineau, ICLR 2019), with the gradient penalties that make it
    converge (R1 + R2: Huang et al., NeurIPS 2024, arXiv:2501.05441, eqs. 2 to 4):

        L_D = E softplus(D(y) - D(x)) + γ/2 E |∇D(x)|² + γ/2 E |∇D(y)|²                    (eq. 1)
        L_G = E softplus(D(x) - D(y)) + λ Σ_ij w_ij (M_ij(y) - M_ij)²                      (eq. 2)

    M are the mean products of pairs of features (feature matching: Salimans et al., NeurIPS 2016,
    section 3.1), w_ij = (M_ii M_jj)^-½; the square is estimated without bias, as the product of the
    differences of two halves of a batch.
    """

    model: GeneratorNetwork
    critic: Critic
    shown: Shown
    held_back: Tensor
    """int64 (m, D)"""
    critic_rate: float
    penalty: float
    """γ"""
    matching: float
    """λ"""

    @property
    def examples(self) -> int:
        return len(self.shown.codes)

    @property
    def opponents(self) -> Sequence[Opponent]:
        return (
            Opponent(
                name="critic",
                model=self.critic,
                loss=self.critic_loss,
                learning_rate=self.critic_rate,
                betas=BETAS,
            ),
        )

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        """All of whole packs."""
        pack = self.critic.pack
        found = sliced(order, max(size // pack, 1) * pack)
        return [rows[: len(rows) // pack * pack] for rows in found if len(rows) >= pack]

    def critic_loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 1."""
        told = self.shown.conditions.told(rows)
        with torch.no_grad():
            drawn = self._drawn(told)
        mixed = torch.randperm(len(rows))
        real = self._with_told(self._real(told), told)[mixed].requires_grad_()
        made = self._with_told(drawn, told)[mixed].requires_grad_()
        of_real, of_made = self.critic(real), self.critic(made)
        slopes = torch.autograd.grad(of_real.sum() + of_made.sum(), (real, made), create_graph=True)
        packs = len(of_real)
        steep = sum((slope.reshape(packs, -1) ** 2).sum(1).mean() for slope in slopes)
        return functional.softplus(of_made - of_real).mean() + self.penalty / 2 * steep

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 2."""
        told = self.shown.conditions.told(rows)
        drawn = self._drawn(told)
        mixed = torch.randperm(len(rows))
        with torch.no_grad():
            of_real = self.critic(self._with_told(self._real(told), told)[mixed])
        of_made = self.critic(self._with_told(drawn, told)[mixed])
        fooled = functional.softplus(of_real - of_made).mean()
        return fooled + self.matching * self._mismatch(drawn[: told.natural])

    def validate(self) -> float:
        """Minus the mean error of shapes and of trends on what was held back (on what is learnt,
        where that is little), for records of which nothing is told, and for those of which some
        columns are, as real ones have them; far less where what is drawn is not as diverse as what
        was learnt."""
        count = min(self.examples, _MOST_DRAWN)
        chance = torch.Generator().manual_seed(0)
        real = self.shown.codes[:count]
        share = torch.rand(count, 1, generator=chance)
        some = torch.rand(real.shape, generator=chance) < share
        free = drawn_codes(self.model, real, torch.zeros_like(some), chance)
        told = drawn_codes(self.model, real, some, chance)
        expected = (self.held_back if len(self.held_back) >= _FEWEST_JUDGED else real).numpy()
        error = (code_error(expected, free) + code_error(expected, told)) / 2
        return validated(-error, self.diversity())

    def diversity(self) -> Diversity:
        """Of records of which nothing is told, beside as many of those that are learnt."""
        real = self.shown.codes[: min(self.examples, _MOST_DRAWN)]
        nothing = torch.zeros(real.shape, dtype=torch.bool)
        drawn = drawn_codes(self.model, real, nothing, torch.Generator().manual_seed(0))
        return diversity(real.numpy(), drawn)

    def is_lost(self, validations: Sequence[Validation]) -> bool:
        return has_collapsed(validations)

    def _real(self, told: Told) -> Tensor:
        return self.shown.of(self.shown.codes[told.rows]).to(device_of(self.model))

    def _with_told(self, features: Tensor, told: Told) -> Tensor:
        return torch.cat([features, told.known.to(features)], dim=1)

    def _drawn(self, told: Told) -> Tensor:
        """(B, F), with a gradient."""
        device = device_of(self.model)
        codes, known = self.shown.codes[told.rows].to(device), told.known.to(device)
        noise = torch.randn(len(codes), self.model.noise).to(device)
        logits = self.model(noise, codes, known)
        chance = torch.rand(logits.shape).to(device)
        chosen = self.model.chosen(logits, codes, known, chance)
        return chosen @ self.shown.features.to(device)

    def _mismatch(self, drawn: Tensor) -> Tensor:
        half = len(drawn) // 2
        if not half:
            return drawn.sum() * 0
        wanted = self.shown.moments.to(drawn)
        scale = wanted.diagonal().clamp(min=_LEAST_SQUARE).rsqrt().sqrt()
        one, other = (
            (part.T @ part / half - wanted) * scale * scale[:, None]
            for part in (drawn[:half], drawn[half : 2 * half])
        )
        return (one * other).sum()


@torch.no_grad()
def drawn_codes(
    model: GeneratorNetwork, codes: Tensor, known: Tensor, chance: torch.Generator
) -> Codes:
    """(B, D): `codes` where they are `known`, the others drawn."""
    device = device_of(model)
    noise = torch.randn(len(codes), model.noise, generator=chance).to(device)
    logits = model(noise, codes.to(device), known.to(device)).cpu().split(model.sizes, dim=1)
    drawn = [code_drawn(of_column, chance) for of_column in logits]
    return np.asarray(torch.where(known, codes, torch.stack(drawn, dim=1)).numpy(), np.int64)


def code_error(real: Codes, drawn: Codes) -> float:
    """The mean of two: the total variation of columns, and that of pairs of them, whose codes are
    put together to a few levels; of at most some hundred pairs."""
    columns = real.shape[1]
    pairs = [*combinations(range(columns), 2)]
    chance = np.random.default_rng(0)
    kept = [pairs[at] for at in chance.permutation(len(pairs))[:_MOST_PAIRS]]
    shapes = [_variation(real[:, at], drawn[:, at]) for at in range(columns)]
    level = _levels(real)
    ours, theirs = level(real), level(drawn)
    trends = [
        _variation(ours[:, a] * _LEVELS + ours[:, b], theirs[:, a] * _LEVELS + theirs[:, b])
        for a, b in kept
    ]
    return float((np.mean(shapes) + np.mean(trends or shapes)) / 2)


def _levels(real: Codes) -> Callable[[Codes], Codes]:
    """Which level each code of each column belongs to: neighbours, with as many records each."""
    tables = []
    for column in real.T:
        counts = np.bincount(column)
        below = (np.cumsum(counts) - counts / 2) / len(column)
        tables.append((below * _LEVELS).astype(np.int64).clip(0, _LEVELS - 1))
    return lambda codes: np.stack(
        [
            table[column.clip(0, len(table) - 1)]
            for table, column in zip(tables, codes.T, strict=True)
        ],
        axis=1,
    )


def _variation(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """Half the sum of the differences of frequencies."""
    size = int(max(one.max(initial=0), other.max(initial=0))) + 1
    shares = (np.bincount(side, minlength=size) / max(side.size, 1) for side in (one, other))
    first, second = shares
    return float(np.abs(first - second).sum() / 2)
