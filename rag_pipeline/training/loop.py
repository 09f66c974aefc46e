"""What all trainings share: the loop, and nothing of what is trained.

AdamW (Loshchilov and Hutter, ICLR 2019) with a linear warm-up and a linear or cosine decay
(Loshchilov and Hutter, ICLR 2017), gradients clipped by their norm (Pascanu et al., ICML 2013),
averaged weights if wanted (Polyak and Juditsky, 1992; exponentially, with a warm-up), and early
stopping: every so often the task measures itself on what was held back, and the best weights are
what is left in the end, be they those it began with.

A step depends on the settings, its number and the weights before it alone, so that a training that
is broken off and taken up again ends with the same weights as one that ran through.

An adversarial training (Goodfellow et al., NeurIPS 2014) is a task that has `opponents`: each takes
its turns, steps of its own on batches of its own, before every step of the model. For a GAN the
model is the generator and `loss(rows)` is what it minimises; the critic is an `Opponent` whose
`loss(rows)` scores these real examples against as many generated ones, which it detaches. Only the
model is validated, averaged and left as it was at its best.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rag_pipeline.training.averages import Averages
from rag_pipeline.training.checkpoints import Checkpoint, CheckpointFile, Validation, Weights
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.player import Moments, NoNumberError, joined, number
from rag_pipeline.training.progress import Progress, ignore
from rag_pipeline.training.settings import TrainingSettings, rate
from rag_pipeline.training.sides import model_side, opposing_sides
from rag_pipeline.training.task import Paced, Task, Watchful
from rag_pipeline.training.trial import planned_within

_EARLY = 3
"""How often a training is validated within the first of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How a training went; the task's model holds its best weights."""

    losses: tuple[float, ...]
    """Of each step."""
    validations: tuple[Validation, ...]
    """The first one before any step."""
    best: Validation
    planned_steps: int
    halvings: int = 0
    """How often the best weights were brought back, at half the learning rate."""

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
            "halvings": self.halvings,
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
    """Train, and leave the best weights in the task's model, on whichever device that is.

    Where `checkpoints` holds one, the training goes on from there; its file is left for the caller
    to remove once the result is safe. Raises `TrainingError` where there is nothing to train, or
    the loss is no number.
    """
    if task.examples < 1:
        raise TrainingError("there is nothing to train on: give at least one example")
    with _reproducible(settings.threads, task.model):
        return _Training(task, settings, checkpoints, observe).run()


@contextmanager
def _reproducible(threads: int, model: nn.Module) -> Iterator[None]:
    """Sums in one order; what others draw at random goes on as if nothing had been drawn here."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    devices = {weight.device for weight in model.parameters() if weight.device.type == "cuda"}
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[*devices]):
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
        self._task, self._settings = task, settings
        self._checkpoints, self._observe = checkpoints, observe
        self._model = model_side(task, settings)
        self._sides = [*opposing_sides(task, settings), self._model]  # in the order of their turns
        self._a_epoch = len(self._model.batches.of(0))  # and in all: the schedule has to know
        self._averages = Averages(settings.ema, self._model.player.weights)
        self._planned = settings.steps or self._a_epoch * settings.epochs
        self._losses: list[float] = []
        self._validations: list[Validation] = []
        self._halvings = 0
        self._best: Weights = {}

    def run(self) -> Trained:
        if not self._resume():
            self._plan()
            self._guarded(self._validate)
        while len(self._losses) < self._planned and not self._is_over():
            is_due = self._guarded(self._step) and self._validates_now()
            if is_due:
                self._guarded(self._validate)
            self._keep(at_once=is_due)
        self._load(self._best)
        self._task.model.eval()
        return Trained(
            losses=tuple(self._losses),
            validations=tuple(self._validations),
            best=self._best_validation(),
            planned_steps=self._planned,
            halvings=self._halvings,
        )

    def _plan(self) -> None:
        """Find out how many steps fit into the budget, if there is one."""
        budget_s, validations = self._settings.budget_s, self._settings.validations_in_all
        if budget_s is None or validations is None:
            return
        before = _copied(self._state())
        on_gpu = any(one.is_cuda for one in self._model.player.weights.values())
        self._planned = planned_within(
            budget_s,
            step=self._try_step,
            validate=self._measure,
            validations=validations + _EARLY,
            clock=time.perf_counter if on_gpu else time.process_time,
        )
        self._load(before)
        for side in self._sides:
            side.player.set_moments(Moments())
        self._averages.load(before)

    def _try_step(self) -> None:
        with suppress(NoNumberError):  # it is taken once more, and then it counts
            self._take_turns(0)

    def _step(self) -> None:
        step = len(self._losses)
        loss = self._take_turns(step)
        self._averages.take(step)
        self._losses.append(loss)
        self._observe(Progress(step=step + 1, steps=self._planned, loss=loss))

    def _take_turns(self, step: int) -> float:
        """The loss of the model at that step."""
        settings = self._settings
        share = rate(step, self._planned, settings.warmup, settings.schedule) / 2**self._halvings
        self._tell(step)
        for side in self._sides:
            side.player.network.train()
        loss = math.nan
        for side in self._sides:
            loss = side.take_turns(step, self._a_epoch, share, settings.seed)
        return loss

    def _tell(self, step: int) -> None:
        if isinstance(self._task, Paced):
            self._task.at_step(step, self._planned)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Whether `act` met numbers alone; if not, the best weights are back, at half the rate."""
        try:
            act()
        except NoNumberError as error:
            if self._halvings == self._settings.halvings or not self._best:
                raise TrainingError(
                    f"{error} at step {len(self._losses) + 1} of {self._planned}: give a learning"
                    f" rate below {self._settings.learning_rate / 2**self._halvings:g}"
                ) from error
        else:
            return True
        self._halvings += 1
        self._load(self._best)
        self._averages.load(self._best)
        for side in self._sides:
            side.player.set_moments(Moments())
        return False

    def _validates_now(self) -> bool:
        """At even distances in an epoch or in the whole training, and at its end."""
        taken, in_all = len(self._losses), self._settings.validations_in_all
        if taken == self._planned:
            return True
        if in_all is not None:
            return taken in _parts(self._planned, in_all) | _early(self._planned, in_all)
        within = taken % self._a_epoch
        return within == 0 or within in _parts(self._a_epoch, self._settings.validations)

    def _measure(self) -> float:
        self._task.model.eval()
        with torch.no_grad(), self._averages.in_place():
            return number(self._task.validate(), "validation")

    def _validate(self) -> None:
        self._tell(len(self._losses))
        found = Validation(step=len(self._losses), value=self._measure())
        is_best = not self._validations or found.value > self._best_validation().value
        self._validations.append(found)
        if is_best:
            self._best = _copied({**self._state(), **self._averages.values})
        self._observe(
            Progress(step=found.step, steps=self._planned, loss=None, validation=found.value)
        )

    def _best_validation(self) -> Validation:
        """The first of the highest."""
        return max(self._validations, key=lambda one: one.value)

    def _is_over(self) -> bool:
        if isinstance(self._task, Watchful) and self._task.is_lost(self._validations):
            return True
        best = self._validations.index(self._best_validation())
        return len(self._validations) - 1 - best >= self._settings.patience

    def _state(self) -> Weights:
        """The weights and buffers of all sides."""
        players = (side.player for side in self._sides)
        return {n: one for player in players for n, one in player.state().items()}

    def _load(self, weights: Weights) -> None:
        for side in self._sides:
            side.player.load(weights)

    def _keep(self, *, at_once: bool) -> None:
        if self._checkpoints is None or not (at_once or self._checkpoints.is_due):
            return
        moments = joined([side.player.moments() for side in self._sides])
        self._checkpoints.save(
            Checkpoint(
                losses=tuple(self._losses),
                validations=tuple(self._validations),
                planned_steps=self._planned,
                halvings=self._halvings,
                weights=self._state(),
                best=self._best,
                averages=self._averages.values,
                means=moments.means,
                squares=moments.squares,
                counts=moments.counts,
            )
        )

    def _resume(self) -> bool:
        """Whether there was a checkpoint to go on from."""
        found = None if self._checkpoints is None else self._checkpoints.load()
        if found is None:
            return False
        self._losses, self._validations = [*found.losses], [*found.validations]
        self._planned, self._halvings = found.planned_steps, found.halvings
        self._best = found.best
        self._load(found.weights)
        self._averages.load(found.averages)
        moments = Moments(means=found.means, squares=found.squares, counts=found.counts)
        for side in self._sides:
            side.player.set_moments(moments)
        self._observe(Progress(step=len(self._losses), steps=self._planned, loss=None))
        return True


def _parts(steps: int, parts: int) -> set[int]:
    """Where so many even parts of the steps end, but for the last one."""
    parts = min(parts, steps)
    return {round(steps * part / parts) for part in range(1, parts)}


def _early(steps: int, parts: int) -> set[int]:
    """Steps within the first part, where few examples are learnt, and then learnt by heart."""
    return {steps // parts // 2**halving for halving in range(1, 1 + _EARLY)} - {0}


def _copied(weights: Weights) -> Weights:
    return {name: weight.detach().clone() for name, weight in weights.items()}
