"""What the layers of a model multiply by: exactly, or in 8 bits for drafts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]
"""Of a module, by their names in it."""

_ROWS_HINT = 8
"""Tokens that oneDNN lays the weights out for; measured, its choice serves 1 to 1,024."""


class Norm:
    """Division by the root of the mean square (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, weights: Weights, name: str, epsilon: float) -> None:
        self._weight, self._epsilon = weights[f"{name}.weight"].detach(), epsilon

    def __call__(self, rows: Tensor) -> Tensor:
        return functional.rms_norm(rows, list(self._weight.shape), self._weight, self._epsilon)


class Matrix:
    """Linear layers that read the same rows, side by side, as oneDNN lays them out."""

    def __init__(self, weights: Weights, *names: str) -> None:
        weight, self._bias = _side_by_side(weights, names)
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)

    def __call__(self, rows: Tensor, *, onto: Tensor | None = None) -> Tensor:
        """The product, added to `onto` if that is given."""
        product = torch.ops.mkldnn._linear_pointwise
        summed: Tensor = (
            product(rows, self._weight, self._bias, "none", [], "")
            if onto is None
            else product.binary(rows, onto, self._weight, self._bias, "add")
        )
        return summed


class EightBitMatrix:
    """The same, each row of weights in 8 bits of its own scale: a quarter of the memory to read."""

    def __init__(self, weights: Weights, *names: str) -> None:
        weight, self._bias = _side_by_side(weights, names)
        scales = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self._weight = weight.div_(scales[:, None]).round_().to(torch.int8)
        self._scales = scales.bfloat16()

    def __call__(self, rows: Tensor, *, onto: Tensor | None = None) -> Tensor:
        """The product, added to `onto` if that is given; good for three digits."""
        product = torch._weight_int8pack_mm(rows.bfloat16(), self._weight, self._scales).float()
        if self._bias is not None:
            product += self._bias
        return product if onto is None else product.add_(onto)


def _side_by_side(weights: Weights, names: Sequence[str]) -> tuple[Tensor, Tensor | None]:
    """A copy of the weights of linear layers as one, and of their biases if they have any."""
    weight = torch.cat([weights[f"{name}.weight"].detach() for name in names])
    biases = [weights[f"{name}.bias"].detach() for name in names if f"{name}.bias" in weights]
    return weight, torch.cat(biases) if biases else None
