"""What the methods share when they learn: what is held back, the device, and the way of training.

    learnt, held_back = divided(len(table), fitting.seed)
    with drawn_by(fitting.seed):
        network = Network(...)
    task = Learning(model=network, learnt=codes[learnt], held_back=codes[held_back])
    trained = taught(task, settings, fitting)

A task finds the device by the weights of its model, and moves each batch there (`device_of`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Device, Fitting
from rag_pipeline.training.loop import Trained, train
from rag_pipeline.training.settings import TrainingSettings
from rag_pipeline.training.task import Adversarial, Task

Places = npt.NDArray[np.int64]

_HELD_BACK = 20
"""Of so many records one is validated on."""
_FEWEST_VALIDATED, _MOST_VALIDATED = 250, 2_000
_SMALL = 5
"""Where that would be few, it is one of so many."""
_EMA = 0.999
_BETAS = (0.9, 0.99)
_WEIGHT_DECAY = 1e-4
_WARMUP = 0.03
_VALIDATIONS = 20
_PATIENCE = 5
_HALVINGS = 3


class Course(Protocol):
    """What the settings of each method say of its training."""

    @property
    def steps(self) -> int:
        """Unless there is a budget."""

    @property
    def batch_size(self) -> int:
        """Records."""

    @property
    def learning_rate(self) -> float:
        """At its height."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A `Course` by itself."""

    steps: int
    batch_size: int
    learning_rate: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, so that a seed draws the same in any process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def divided(count: int, seed: int) -> tuple[Places, Places]:
    """Which of so many records are learnt from, and which are held back; drawn by the seed."""
    order = np.random.default_rng(seed).permutation(count)
    enough = max(min(count // _SMALL, _FEWEST_VALIDATED), 1)
    held_back = min(max(count // _HELD_BACK, enough), _MOST_VALIDATED)
    return order[held_back:], order[:held_back]


@contextmanager
def drawn_by(seed: int) -> Iterator[None]:
    """What torch draws at random, as for the weights of a new network, is drawn by the seed; what
    others draw goes on as if nothing had been drawn here."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def device_of(model: nn.Module) -> torch.device:
    """Where the weights of a network are."""
    return next(model.parameters()).device


def taught(
    task: Task,
    course: Course,
    fitting: Fitting,
    *,
    betas: tuple[float, float] = _BETAS,
    weight_decay: float = _WEIGHT_DECAY,
    ema: float = _EMA,
    validations: int = _VALIDATIONS,
    patience: int = _PATIENCE,
) -> Trained:
    """Train on the device that is asked for; the networks are on the CPU again afterwards, the
    model with its best weights in evaluation mode.

    Validated `validations` times, and given up after `patience` of them without a gain. Raises
    `TrainingError`, and `SyntheticError` where a GPU is asked for and there is none.
    """
    settings = TrainingSettings(
        steps=course.steps,
        budget_s=fitting.budget_s,
        batch_size=course.batch_size,
        learning_rate=course.learning_rate,
        betas=betas,
        schedule="cosine",
        warmup=_WARMUP,
        weight_decay=weight_decay,
        ema=ema,
        validations_in_all=validations,
        patience=patience,
        halvings=_HALVINGS,
        seed=fitting.seed,
        threads=fitting.threads,
    )
    with _placed(task, _device(fitting.device)):
        return train(task, settings, checkpoints=fitting.checkpoints, observe=fitting.observe)


def _device(name: Device) -> torch.device:
    if name not in get_args(Device):
        raise SyntheticError(
            f"there is no device {name!r}; there are {', '.join(get_args(Device))}"
        )
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise SyntheticError(
            "a GPU is asked for, and torch finds none: ask for the device 'cpu' or 'auto'"
        )
    if name == "cpu" or not has_gpu:
        return torch.device("cpu")
    # cuBLAS sums in one order only with this, read when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device("cuda")


@contextmanager
def _placed(task: Task, device: torch.device) -> Iterator[None]:
    """The networks are on that device meanwhile."""
    opponents = task.opponents if isinstance(task, Adversarial) else ()
    networks = [task.model, *(one.model for one in opponents)]
    for network in networks:
        network.to(device)
    try:
        yield
    finally:
        for network in networks:
            network.to("cpu")
