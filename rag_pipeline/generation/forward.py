"""What the loop over tokens needs of a model in memory: forward passes, and what they leave behind.

A forward pass takes tokens of several sequences at once, so that sequences which grow at the same
time share the cost of reading the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from torch import Tensor


class Past(Protocol):
    """Keys and values of every token that a sequence has read."""

    tokens: list[int]
    """Those tokens."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""

    def crop(self, tokens: int) -> None:
        """Forget all but the first `tokens`."""

    def copied(self, tokens: int, *, room: int) -> Self:
        """The first `tokens` of it, with room for `room` in all."""


P = TypeVar("P", bound=Past)


@dataclass(frozen=True, slots=True)
class Run(Generic[P]):
    """Tokens that one sequence reads next; logits are given for the last `wanted` of them."""

    past: P
    tokens: Sequence[int]
    wanted: int = 1


class Forward(Protocol[P]):
    """A model in memory."""

    @property
    def forgets(self) -> bool:
        """Whether a past can be cropped and copied; one that only goes on can't be."""

    def begin(self, *, room: int) -> P:
        """An empty past, with room for `room` tokens; it grows if it has to."""

    def __call__(self, runs: Sequence[Run[P]]) -> "list[Tensor]":
        """Read the tokens of each run after its past, which then has them.

        Gives the logits of each run, float32 (wanted, vocabulary) on the CPU.
        """
