"""What is trained: a model, its examples, and those that it is trained against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from rag_pipeline.training.checkpoints import Validation


class Task(Protocol):
    """A model, the examples that it is trained on, and a measure of how good it has become."""

    @property
    def model(self) -> nn.Module:
        """What is trained: those of its parameters that require a gradient."""

    @property
    def examples(self) -> int:
        """How many there are."""

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        """The examples of an epoch, which come in `order`, as batches of up to `size`.

        Depends on its arguments alone. `sliced` does where neighbours need not fit together.
        """

    def loss(self, rows: Sequence[int]) -> Tensor:
        """The mean loss (scalar) of a batch; the model is in training mode.

        Depends on the rows, the weights, and what torch draws, which is drawn by the step's number.
        """

    def validate(self) -> float:
        """How good the model is on examples held back, higher being better; it is in evaluation
        mode, and no gradients are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opponent:
    """A network that is trained against a task's model."""

    name: str
    """Another one for each."""
    model: nn.Module
    loss: Callable[[Sequence[int]], Tensor]
    """Of a batch, for the opponent (scalar); both networks are in training mode. Gradients that it
    leaves in the model are forgotten."""
    turns: int = 1
    """Steps before each step of the model."""
    learning_rate: float
    """At its height: it rises and falls with that of the model."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0


@runtime_checkable
class Adversarial(Protocol):
    """A task whose model is trained against others."""

    @property
    def opponents(self) -> Sequence[Opponent]:
        """They take their turns in this order."""


@runtime_checkable
class Paced(Protocol):
    """A task whose loss depends on how far the training has come, as where a weight is annealed."""

    def at_step(self, step: int, steps: int) -> None:
        """Told before each step (from 0) of so many, and before each validation."""


@runtime_checkable
class Watchful(Protocol):
    """A task that may see in its validations that it leads nowhere."""

    def is_lost(self, validations: Sequence[Validation]) -> bool:
        """Whether the training ends here, with the best weights that there were; depends on its
        argument alone."""


def sliced(order: Sequence[int], size: int) -> list[list[int]]:
    """Batches of `size` examples as they come, the last one smaller."""
    return [[*order[begin : begin + size]] for begin in range(0, len(order), size)]
