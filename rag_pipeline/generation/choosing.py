"""Which token comes next, by the scores that a model in memory gives to all of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rag_pipeline.generation.language_model import Sampling

if TYPE_CHECKING:
    from torch import Tensor

Choose = Callable[["Tensor"], int]
"""Logits, float32 (vocabulary,) on the CPU, to the next token."""


def chooser(sampling: Sampling) -> Choose:
    """Greedy, or drawn from the nucleus (Holtzman et al. 2020, arXiv:1904.09751) by the seed."""
    import torch

    if sampling.temperature == 0:
        return lambda logits: int(logits.argmax())
    generator = torch.Generator().manual_seed(sampling.seed)

    def draw(logits: "Tensor") -> int:
        chances, tokens = torch.softmax(logits / sampling.temperature, dim=-1).sort(
            descending=True, stable=True
        )
        before = chances.cumsum(dim=-1) - chances
        chances[before >= sampling.top_p] = 0
        return int(tokens[torch.multinomial(chances, 1, generator=generator)])

    return draw
