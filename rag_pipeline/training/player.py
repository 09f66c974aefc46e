"""One network in a training: its weights, their optimizer, and the order of its batches."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from rag_pipeline.training.checkpoints import Weights
from rag_pipeline.training.errors import TrainingError


class NoNumberError(TrainingError):
    """A loss, a gradient or a measure is infinite or no number at all."""


@dataclass(slots=True, kw_only=True)
class Batches:
    """The batches of one network, epoch after epoch, drawn by `key` and the epoch's number."""

    key: tuple[int, ...]
    examples: int
    cut: Callable[[Sequence[int]], list[list[int]]]
    """The batches of an epoch, whose examples come in that order."""
    _epoch: int = -1
    _batches: list[list[int]] = field(default_factory=list)

    def of(self, epoch: int) -> list[list[int]]:
        """All batches of that epoch."""
        if self._epoch != epoch:
            seed, *others = self.key
            drawn = np.random.default_rng([seed, epoch, *others])
            self._epoch = epoch
            self._batches = self.cut(drawn.permutation(self.examples).tolist())
        return self._batches

    def at(self, step: int, an_epoch: int) -> list[int]:
        """The batch of that step, where epochs have so many."""
        epoch, place = divmod(step, an_epoch)
        batches = self.of(epoch)
        return batches[place % len(batches)]


class Player:
    """A network that is trained by steps of AdamW, its weights under names with `prefix`.

    Raises `TrainingError` where it has none to train.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        prefix: str = "",
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
        max_gradient_norm: float,
    ) -> None:
        self.network = network
        self._learning_rate, self._max_norm = learning_rate, max_gradient_norm
        self.weights = {
            prefix + name: weight
            for name, weight in network.named_parameters()
            if weight.requires_grad
        }
        if not self.weights:
            raise TrainingError("every weight of the model is frozen: leave some to be trained")
        kept = network.state_dict(keep_vars=True)
        self.buffers = {prefix + n: one for n, one in network.named_buffers() if n in kept}
        self._optimizer = torch.optim.AdamW(
            self.weights.values(), lr=learning_rate, betas=betas, weight_decay=weight_decay
        )

    def step(self, loss: Callable[[], Tensor], share: float) -> float:
        """One step at that share of the learning rate; the loss before it. Raises `NoNumberError`,
        and nothing has changed."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * share
        self._optimizer.zero_grad(set_to_none=True)
        found = loss()
        value = number(found.item(), "loss")
        found.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.weights.values(), self._max_norm)
        number(norm.item(), "gradient")
        self._optimizer.step()
        return value

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers."""
        return {**self.weights, **self.buffers}

    def load(self, tensors: Weights) -> None:
        """Put these weights and buffers in place of what is there."""
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(tensors[name])

    def moments(self) -> "Moments":
        """What the optimizer knows of each weight that a loss depended on."""
        found = {name: self._optimizer.state[weight] for name, weight in self.weights.items()}
        return Moments(
            means={name: one["exp_avg"] for name, one in found.items() if one},
            squares={name: one["exp_avg_sq"] for name, one in found.items() if one},
            counts={name: one["step"] for name, one in found.items() if one},
        )

    def set_moments(self, moments: "Moments") -> None:
        """What `moments` gave; empty, to begin anew."""
        self._optimizer.state.clear()
        for name, weight in self.weights.items():
            if name in moments.means:
                self._optimizer.state[weight] = {
                    "step": moments.counts[name],
                    "exp_avg": moments.means[name].to(weight.device),
                    "exp_avg_sq": moments.squares[name].to(weight.device),
                }


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Of the gradients of each weight, by its name."""

    means: Weights = field(default_factory=dict)
    squares: Weights = field(default_factory=dict)
    counts: Weights = field(default_factory=dict)
    """Of steps, each a scalar."""


def joined(parts: Sequence[Moments]) -> Moments:
    """Those of all networks, whose weights have names of their own."""
    return Moments(
        means={name: one for part in parts for name, one in part.means.items()},
        squares={name: one for part in parts for name, one in part.squares.items()},
        counts={name: one for part in parts for name, one in part.counts.items()},
    )


def number(value: float, what: str) -> float:
    """`value`. Raises `NoNumberError` if it is none."""
    if not math.isfinite(value):
        raise NoNumberError(f"the {what} became {value}")
    return value
