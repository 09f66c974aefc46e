"""The weights of all steps, averaged so that the newest count most (Polyak and Juditsky, 1992)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from rag_pipeline.training.checkpoints import Weights

_WARMUP = 10
"""Steps after which half of the average is new still, so that it isn't held to where it began."""


class Averages:
    """What is averaged of the weights of one network; nothing where `kept` is 0."""

    def __init__(self, kept: float, weights: Mapping[str, Tensor]) -> None:
        self._kept, self._weights = kept, weights
        self.values = {n: one.detach().clone() for n, one in weights.items()} if kept else {}

    def take(self, step: int) -> None:
        """Count in the weights as they are after that step (from 0)."""
        new = 1 - min(self._kept, (step + 1) / (step + _WARMUP))
        for name, value in self.values.items():
            value.lerp_(self._weights[name].detach(), new)

    def load(self, weights: Weights) -> None:
        """Go on from these."""
        for name, value in self.values.items():
            value.copy_(weights[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averages for its weights."""
        before = {name: self._weights[name].detach().clone() for name in self.values}
        _put(self.values, self._weights)
        try:
            yield
        finally:
            _put(before, self._weights)


def _put(values: Weights, weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            weights[name].copy_(value)
