"""The networks of one training: each with its loss, its batches and its chance."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rag_pipeline.training.player import Batches, Player
from rag_pipeline.training.settings import TrainingSettings
from rag_pipeline.training.task import Adversarial, Task

_SEEDS_APART = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The model, or one of its opponents: what it learns by, and on which batches."""

    number: int
    """0 is the model."""
    player: Player
    loss: Callable[[Sequence[int]], Tensor]
    turns: int
    batches: Batches

    def take_turns(self, step: int, an_epoch: int, share: float, seed: int) -> float:
        """Its steps within that step of the training; the loss of the last one."""
        loss = math.nan
        for turn in range(self.turns):
            rows = self.batches.at(step * self.turns + turn, an_epoch)
            torch.manual_seed(_seed(seed, step, self.number, turn))
            loss = self.player.step(lambda rows=rows: self.loss(rows), share)  # type: ignore[misc]
        return loss


def _seed(seed: int, step: int, number: int, turn: int) -> int:
    if number == 0:
        return seed * _SEEDS_APART + step
    drawn = np.random.SeedSequence([seed, step, number, turn]).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


def model_side(task: Task, settings: TrainingSettings) -> Side:
    """The model of a task."""
    player = Player(
        task.model,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        max_gradient_norm=settings.max_gradient_norm,
    )
    batches = _batches(task, settings, (settings.seed,))
    return Side(number=0, player=player, loss=task.loss, turns=1, batches=batches)


def opposing_sides(task: Task, settings: TrainingSettings) -> list[Side]:
    """Its opponents, if it has any, in the order of their turns."""
    opponents = task.opponents if isinstance(task, Adversarial) else ()
    return [
        Side(
            number=place,
            player=Player(
                one.model,
                prefix=f"{one.name}/",  # no parameter's own name has a stroke
                learning_rate=one.learning_rate,
                betas=one.betas,
                weight_decay=one.weight_decay,
                max_gradient_norm=settings.max_gradient_norm,
            ),
            loss=one.loss,
            turns=one.turns,
            batches=_batches(task, settings, (settings.seed, place)),
        )
        for place, one in enumerate(opponents, start=1)
    ]


def _batches(task: Task, settings: TrainingSettings, key: tuple[int, ...]) -> Batches:
    return Batches(
        key=key,
        examples=task.examples,
        cut=lambda order: task.batches(order, settings.batch_size),
    )
