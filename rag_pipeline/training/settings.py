"""How long and how fast a training goes."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from rag_pipeline.training.errors import TrainingError

Schedule = Literal["linear", "cosine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a model is trained. With the same task they give the same weights on one machine; a
    `budget_s` gives those that its number of planned steps gives as `steps`."""

    epochs: int = 3
    steps: int | None = None
    """Instead of epochs."""
    budget_s: float | None = None
    """Instead of both: seconds of this program's CPU (of the clock where the model is on a GPU).
    As many steps are planned as fit in, judged by the first few, which are taken back."""
    batch_size: int = 32
    learning_rate: float = 2e-5
    betas: tuple[float, float] = (0.9, 0.999)
    """How slowly AdamW forgets the gradients before, and their squares."""
    schedule: Schedule = "linear"
    """How the learning rate falls."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    ema: float = 0.0
    """What is kept of the averaged weights at each step; 0: nothing is averaged. The averaged ones
    are those that are validated, and left in the end."""
    validations: int = 2
    """In each epoch."""
    validations_in_all: int | None = None
    """Instead: spread over the whole training, and a few more at its beginning."""
    patience: int = 3
    """Validations without a gain after which the training ends."""
    halvings: int = 0
    """How often a number that is none brings the best weights back, at half the learning rate,
    before it is an error."""
    seed: int = 0
    threads: int = 1
    """Sums are rounded otherwise by another number of threads: part of what gives the weights."""

    def __post_init__(self) -> None:
        """Raise `TrainingError` for settings that nothing can be trained with."""
        for name in ("epochs", "steps", "batch_size", "validations", "validations_in_all",
                     "patience", "threads"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"{name} is {value}: give 1 or more")
        for name in ("learning_rate", "max_gradient_norm", "budget_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise TrainingError(f"{name} is {value}: give a number above 0")
        for name, value in (("warmup", self.warmup), ("ema", self.ema), *_named(self.betas)):
            if not 0 <= value < 1:
                raise TrainingError(f"{name} is {value}: give a share from 0 and below 1")
        if not self.weight_decay >= 0 or self.halvings < 0:
            raise TrainingError(
                f"weight_decay is {self.weight_decay} and halvings {self.halvings}: give numbers"
                " from 0"
            )
        if self.budget_s is not None and self.validations_in_all is None:
            raise TrainingError("budget_s is given: give validations_in_all, which it has to hold")
        if self.schedule not in get_args(Schedule):
            raise TrainingError(
                f"there is no schedule {self.schedule!r}; there are {', '.join(get_args(Schedule))}"
            )

    def as_json(self) -> dict[str, Any]:
        """The parameters of a training, to be kept with what came of it."""
        return asdict(self)


def _named(betas: tuple[float, float]) -> tuple[tuple[str, float], ...]:
    return tuple(("betas", beta) for beta in betas)


def rate(step: int, steps: int, warmup: float, schedule: Schedule = "linear") -> float:
    """Share of the learning rate at `step` (from 0) of `steps`: up to 1, and down towards 0."""
    rising = math.ceil(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    left = (steps - step) / (steps - rising)
    return left if schedule == "linear" else (1 - math.cos(math.pi * left)) / 2
