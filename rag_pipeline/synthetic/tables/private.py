"""Learning under differential privacy: no record changes the weights by more than is promised.

DP-SGD (Abadi et al., CCS 2016, algorithm 1): of each record its own gradient is clipped to a length
C, their sum is drowned in noise, and the batch is a random sample in which each record is, or is
not, by itself:

    g = (Σ_i g_i · min(1, C / |g_i|) + N(0, σ² C² I)) / (expected size of a batch)

σ is the least for which the steps of the whole training keep (ε, δ), by the Rényi accountant
(Mironov, CSF 2017) of Opacus. Noise and samples are drawn from what the system has of chance, not
by the seed, which is no secret: the same seed gives other weights here. Neither losses nor
validations are looked at, as they would give away more than is accounted for.
"""

import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from rag_pipeline.synthetic.errors import SyntheticError

_RETRIES = 3
"""Steps beyond those that are planned, as a training may go back so often."""
_AT_ONCE = 32
"""Records whose gradients are held in memory together."""
_LARGEST_EPSILON = 100.0

RecordLoss = Callable[[nn.Module, Tensor], Tensor]
"""Of a network and one record (1, D): its loss (scalar)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """(ε, δ): how much likelier any outcome is with a record than without it, by e^ε, but for a
    chance of δ."""

    epsilon: float
    delta: float
    clip: float

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for what promises nothing."""
        if not 0 < self.epsilon <= _LARGEST_EPSILON or not 0 < self.delta < 1 or not self.clip > 0:
            raise SyntheticError(
                f"epsilon is {self.epsilon}, delta {self.delta} and clip {self.clip}: give an"
                f" epsilon up to {_LARGEST_EPSILON:g}, a delta below 1, and a clip above 0"
            )

    def noise(self, *, share: float, steps: int) -> float:
        """σ for so many steps, each on a sample of that share of the records.

        Raises `SyntheticError` where Opacus is missing, or no noise is enough.
        """
        try:
            from opacus.accountants.utils import get_noise_multiplier
        except ImportError as error:
            raise SyntheticError(
                "differential privacy needs opacus: pip install 'rag-pipeline-service[dp]'"
            ) from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the bound could be a little tighter
            try:
                found: float = get_noise_multiplier(
                    target_epsilon=self.epsilon,
                    target_delta=self.delta,
                    sample_rate=share,
                    steps=steps,
                    accountant="rdp",
                )
            except ValueError as error:
                raise SyntheticError(
                    f"no noise is enough for epsilon {self.epsilon} in {steps} steps: give a larger"
                    " one, or fewer steps"
                ) from error
        return found


@dataclass(slots=True, kw_only=True)
class PrivateLearning:
    """A task of `rag_pipeline.training.loop`, of any network with a loss of single records."""

    model: nn.Module
    learnt: Tensor
    """(n, D)"""
    record_loss: RecordLoss
    promise: Promise
    batch_size: int
    steps: int = 0
    """That are planned."""
    noise: float = 0.0
    """σ, once the steps are known."""
    _step: int = 0
    _chance: np.random.Generator = field(
        default_factory=lambda: np.random.default_rng(secrets.randbits(128))
    )

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def about(self) -> Mapping[str, Any]:
        """What is promised, and of what: JSON."""
        return {
            "epsilon": self.promise.epsilon,
            "delta": self.promise.delta,
            "clip": self.promise.clip,
            "noise": self.noise,
            "steps": self.steps,
            "accountant": "rdp",
            "covers": "the weights; not the names and quantiles that columns are coded by",
        }

    def at_step(self, step: int, steps: int) -> None:
        self._step = step
        if steps != self.steps:
            self.noise = self.promise.noise(share=self._share, steps=steps + _RETRIES)
            self.steps = steps

    @property
    def _share(self) -> float:
        return min(1.0, self.batch_size / self.examples)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        """As many random samples as there are batches in an epoch; some may be empty."""
        places = np.array(order)
        samples = (
            self._chance.random(len(places)) < self._share for _ in range(0, len(order), size)
        )
        return [places[sample].tolist() for sample in samples]

    def loss(self, rows: Sequence[int]) -> Tensor:
        """What has the noisy gradient for its own; its value is how long that is."""
        weights = {n: w for n, w in self.model.named_parameters() if w.requires_grad}
        noisy = self._noisy({n: w.detach() for n, w in weights.items()}, rows)
        same = torch.stack([(weights[name] * one).sum() for name, one in noisy.items()]).sum()
        length = torch.stack([one.square().sum() for one in noisy.values()]).sum().sqrt()
        return same - same.detach() + length

    def _noisy(self, weights: dict[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
        sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for start in range(0, len(rows), _AT_ONCE):
            some = self.learnt[list(rows[start : start + _AT_ONCE])]
            for name, clipped in self._clipped(weights, some).items():
                sums[name] += clipped
        chance = torch.Generator().manual_seed(int(self._chance.integers(2**63)))
        spread, expected = self.noise * self.promise.clip, self._share * self.examples
        return {
            name: (one + spread * torch.randn(one.shape, generator=chance).to(one)) / expected
            for name, one in sums.items()
        }

    def _clipped(self, weights: dict[str, Tensor], records: Tensor) -> dict[str, Tensor]:
        """The sum of each record's gradient, none of them longer than the clip."""
        device = next(iter(weights.values())).device

        def loss(weights: dict[str, Tensor], record: Tensor) -> Tensor:
            whole = _Loss(self.model, self.record_loss)
            found: Tensor = functional_call(whole, _under(weights), (record,))
            return found

        found = vmap(grad(loss), in_dims=(None, 0), randomness="different")(
            weights, records[:, None].to(device)
        )
        lengths = torch.stack([one.flatten(1).norm(dim=1) for one in found.values()]).norm(dim=0)
        scale = (self.promise.clip / lengths.clamp(min=1e-12)).clamp(max=1.0)  # (records,)
        return {name: torch.einsum("n,n...->...", scale, one) for name, one in found.items()}

    def validate(self) -> float:
        """The newest weights are the best: to measure them would be one more look at records."""
        return float(self._step)


class _Loss(nn.Module):
    """A network and its loss as one module, whose weights can be given from outside."""

    def __init__(self, model: nn.Module, loss: RecordLoss) -> None:
        super().__init__()
        self.model, self._loss = model, loss

    def forward(self, record: Tensor) -> Tensor:
        return self._loss(self.model, record)


def _under(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"model.{name}": weight for name, weight in weights.items()}
