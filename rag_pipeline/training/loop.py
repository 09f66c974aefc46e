"""What all trainings share: the loop, and nothing of what is trained.

AdamW (Loshchilov and Hutter, ICLR 2019) with a linear warm-up and a linear decay, gradients clipped
by their norm (Pascanu et al., ICML 2013), and early stopping: every so many steps the task measures
itself on what was held back, and the best weights are what is left in the end, be they those it
began with.

A step depends on the settings, its number and the weights before it alone, so that a training that
is broken off and taken up again ends with the same weights as one that ran through.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rag_pipeline.training.checkpoints import Checkpoint, CheckpointFile, Validation, Weights
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.progress import Progress, ignore

_SEEDS_APART = 1_000_003


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
        """The mean loss (scalar) of a batch; the model is in training mode."""

    def validate(self) -> float:
        """How good the model is on examples held back, higher being better; it is in evaluation
        mode, and no gradients are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a model is trained. With the same task they give the same weights on one machine."""

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 2e-5
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    validations: int = 2
    """In each epoch."""
    patience: int = 3
    """Validations without a gain after which the training ends."""
    seed: int = 0
    threads: int = 1
    """Sums are rounded otherwise by another number of threads: part of what gives the weights."""

    def __post_init__(self) -> None:
        """Raise `TrainingError` for settings that nothing can be trained with."""
        for name in ("epochs", "batch_size", "validations", "patience", "threads"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}: give 1 or more")
        for name in ("learning_rate", "max_gradient_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise TrainingError(f"{name} is {value}: give a number above 0")
        if not 0 <= self.warmup < 1 or not self.weight_decay >= 0:
            raise TrainingError(
                f"warmup is {self.warmup} and weight_decay {self.weight_decay}: give a share below"
                " 1, and a number from 0"
            )

    def as_json(self) -> dict[str, Any]:
        """The parameters of a training, to be kept with what came of it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How a training went; the task's model holds its best weights."""

    losses: tuple[float, ...]
    """Of each step."""
    validations: tuple[Validation, ...]
    """The first one before any step."""
    best: Validation
    planned_steps: int

    @property
    def stopped_early(self) -> bool:
        """Whether nothing was gained for so long that the rest was left out."""
        return len(self.losses) < self.planned_steps

    @property
    def has_gained(self) -> bool:
        """Whether any of it is better than what the training began with."""
        return self.best.step > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "steps": len(self.losses),
            "planned_steps": self.planned_steps,
            "stopped_early": self.stopped_early,
            "best_step": self.best.step,
            "last_loss": self.losses[-1] if self.losses else None,
            "validations": [{"step": one.step, "value": one.value} for one in self.validations],
        }


def train(
    task: Task,
    settings: TrainingSettings,
    *,
    checkpoints: CheckpointFile | None = None,
    observe: Callable[[Progress], None] = ignore,
) -> Trained:
    """Train, and leave the best weights in the task's model.

    Where `checkpoints` holds one, the training goes on from there; its file is left for the caller
    to remove once the result is safe. Raises `TrainingError` where there is nothing to train, or
    the loss is no number.
    """
    if task.examples < 1:
        raise TrainingError("there is nothing to train on: give at least one example")
    with _reproducible(settings.threads):
        return _Training(task, settings, checkpoints, observe).run()


def sliced(order: Sequence[int], size: int) -> list[list[int]]:
    """Batches of `size` examples as they come, the last one smaller."""
    return [[*order[begin : begin + size]] for begin in range(0, len(order), size)]


def rate(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate at `step` (from 0) of `steps`: up to 1, and down towards 0."""
    rising = math.ceil(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / (steps - rising)


@contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Sums in one order; what others draw at random goes on as if nothing had been drawn here."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


class _Training:
    """One training under way."""

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        checkpoints: CheckpointFile | None,
        observe: Callable[[Progress], None],
    ) -> None:
        self._task = task
        self._settings = settings
        self._checkpoints = checkpoints
        self._observe = observe
        self._trained = {
            name: weight for name, weight in task.model.named_parameters() if weight.requires_grad
        }
        if not self._trained:
            raise TrainingError("every weight of the model is frozen: leave some to be trained")
        self._optimizer = torch.optim.AdamW(
            self._trained.values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._epoch = (-1, list[list[int]]())
        self._a_epoch = len(self._batches(0))  # and in all epochs: the schedule has to know
        self._planned = self._a_epoch * settings.epochs
        self._losses: list[float] = []
        self._validations: list[Validation] = []
        self._best: Weights = {}

    def run(self) -> Trained:
        self._resume()
        if not self._validations:
            self._validate()
        while len(self._losses) < self._planned and not self._is_over():
            self._step()
            is_due = self._validates_now()
            if is_due:
                self._validate()
            self._keep(at_once=is_due)
        self._load(self._best)
        self._task.model.eval()
        return Trained(
            losses=tuple(self._losses),
            validations=tuple(self._validations),
            best=self._best_validation(),
            planned_steps=self._planned,
        )

    def _batches(self, epoch: int) -> list[list[int]]:
        """The batches of that epoch, drawn by the seed and the epoch's number alone."""
        if self._epoch[0] != epoch:
            drawn = np.random.default_rng([self._settings.seed, epoch])
            order = drawn.permutation(self._task.examples).tolist()
            self._epoch = (epoch, self._task.batches(order, self._settings.batch_size))
        return self._epoch[1]

    def _step(self) -> None:
        step = len(self._losses)
        epoch, at = divmod(step, self._a_epoch)
        batches = self._batches(epoch)
        for group in self._optimizer.param_groups:
            share = rate(step, self._planned, self._settings.warmup)
            group["lr"] = self._settings.learning_rate * share
        torch.manual_seed(self._settings.seed * _SEEDS_APART + step)
        self._task.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._task.loss(batches[at % len(batches)])
        self._check(loss.item(), "loss")
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(
            self._trained.values(), self._settings.max_gradient_norm
        ).item()
        self._check(norm, "gradient")
        self._optimizer.step()
        self._losses.append(loss.item())
        self._observe(Progress(step=step + 1, steps=self._planned, loss=loss.item()))

    def _check(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"the {what} became {value} at step {len(self._losses) + 1} of {self._planned}:"
                f" give a learning rate below {self._settings.learning_rate:g}"
            )

    def _validates_now(self) -> bool:
        """At even distances in an epoch, and at its end."""
        within = len(self._losses) % self._a_epoch
        parts = min(self._settings.validations, self._a_epoch)
        due = {round(self._a_epoch * part / parts) for part in range(1, parts)}
        return within == 0 or within in due

    def _validate(self) -> None:
        self._task.model.eval()
        with torch.no_grad():
            value = self._task.validate()
        self._check(value, "validation")
        found = Validation(step=len(self._losses), value=value)
        is_best = not self._validations or value > self._best_validation().value
        self._validations.append(found)
        if is_best:
            self._best = {n: weight.detach().clone() for n, weight in self._trained.items()}
        self._observe(
            Progress(step=found.step, steps=self._planned, loss=None, validation=found.value)
        )

    def _best_validation(self) -> Validation:
        """The first of the highest."""
        return max(self._validations, key=lambda one: one.value)

    def _is_over(self) -> bool:
        best = self._validations.index(self._best_validation())
        return len(self._validations) - 1 - best >= self._settings.patience

    def _load(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, weight in self._trained.items():
                weight.copy_(weights[name])

    def _keep(self, *, at_once: bool) -> None:
        if self._checkpoints is None or not (at_once or self._checkpoints.is_due):
            return
        moments = {name: self._optimizer.state[w] for name, w in self._trained.items()}
        self._checkpoints.save(
            Checkpoint(
                losses=tuple(self._losses),
                validations=tuple(self._validations),
                weights=self._trained,
                best=self._best,
                # A weight that no loss depended on yet has no moments.
                means={name: one["exp_avg"] for name, one in moments.items() if one},
                squares={name: one["exp_avg_sq"] for name, one in moments.items() if one},
            )
        )

    def _resume(self) -> None:
        found = None if self._checkpoints is None else self._checkpoints.load()
        if found is None:
            return
        self._losses, self._validations = [*found.losses], [*found.validations]
        self._best = found.best
        self._load(found.weights)
        for name, weight in self._trained.items():
            if name in found.means:
                self._optimizer.state[weight] = {
                    "step": torch.tensor(float(len(found.losses))),
                    "exp_avg": found.means[name],
                    "exp_avg_sq": found.squares[name],
                }
        self._observe(Progress(step=len(self._losses), steps=self._planned, loss=None))
