"""Following a direction from one moment to the next, by Heun's method.

The second-order method of Karras et al., NeurIPS 2022, arXiv:2206.00364, alg. 1, whose last step is
Euler's: there the direction leads to where the way ends.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

Direction = Callable[[Tensor, float], Tensor]
"""Of states (B, …) at a moment."""


def followed(direction: Direction, state: Tensor, *, steps: int, begin: float = 0.0) -> Tensor:
    """Where that many steps lead from the moment `begin` to the moment 1."""
    moments = [begin + (1 - begin) * step / steps for step in range(steps + 1)]
    for now, then in pairwise(moments):
        first = direction(state, now)
        ahead = state + (then - now) * first
        if then < 1:
            ahead = state + (then - now) * (first + direction(ahead, then)) / 2
        state = ahead
    return state
