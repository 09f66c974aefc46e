"""How likely the shades of pixels are: a logistic distribution, cut where shades meet.

A pixel of shade k, between those before and after it, has (Salimans et al., ICLR 2017,
arXiv:1701.05517, eq. 2)

    P(k) = σ((b_k+1 - μ) / s) - σ((b_k - μ) / s)                                          (eq. 1)

where b_k lies halfway to the shade before, and the first and last take all that lies beyond.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_FAR = 100.0
"""Beyond all shades, as good as infinite."""
_LEAST = 1e-7
_LOG_SCALES = (-6.0, 1.0)


class Shades:
    """The shades that there are, as values from -1 to 1."""

    def __init__(self, shades: npt.NDArray[np.uint8]) -> None:
        values = torch.from_numpy(shades.astype(np.float32) / 127.5 - 1)
        self._between = (values[1:] + values[:-1]) / 2
        far = torch.tensor([_FAR])
        self._edges = torch.cat([-far, self._between, far])

    def nats(self, values: Tensor, middle: Tensor, log_scale: Tensor) -> Tensor:
        """-log of eq. 1, all three (B, C, H, W)."""
        edges = self._edges.to(values.device)
        shade = torch.bucketize(values, self._between.to(values.device))
        narrow = torch.exp(-log_scale.clamp(*_LOG_SCALES))
        above, below = (((edges[shade + step] - middle) * narrow).sigmoid() for step in (1, 0))
        return -(above - below).clamp(min=_LEAST).log()
