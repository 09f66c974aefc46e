"""What all methods share when they learn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import device_of, divided, drawn_by, taught
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.task import sliced


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    steps: int = 40
    batch_size: int = 8
    learning_rate: float = 0.05


@dataclass
class Fit:
    """Finds y = 2 x + 1."""

    model: nn.Module = field(default_factory=lambda: nn.Linear(1, 1))
    examples: int = 30

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        return self._off([row / 10 for row in rows])

    def validate(self) -> float:
        return -self._off([0.05, 1.05, 2.05]).item()

    def _off(self, given: Sequence[float]) -> Tensor:
        x = torch.tensor(given, device=device_of(self.model))[:, None]
        off: Tensor = ((self.model(x) - (2 * x + 1)) ** 2).mean()
        return off


def test_a_task_is_learnt_and_left_on_the_cpu() -> None:
    with drawn_by(1):
        task = Fit()
    result = taught(task, Course(), Fitting(device="auto"))
    assert result.has_gained
    assert len(result.losses) == 40
    assert device_of(task.model) == torch.device("cpu")
    assert not task.model.training


def test_a_budget_takes_the_place_of_steps() -> None:
    result = taught(Fit(), Course(steps=3), Fitting(budget_s=0.1))
    assert result.planned_steps != 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(SyntheticError, match="a GPU is asked for, and torch finds none"):
        taught(Fit(), Course(), Fitting(device="cuda"))


def test_a_device_that_nobody_knows_is_said() -> None:
    unknown: Any = "tpu"
    with pytest.raises(SyntheticError, match="there is no device 'tpu'; there are auto, cpu, cuda"):
        taught(Fit(), Course(), Fitting(device=unknown))


def test_a_budget_that_is_none_is_said() -> None:
    with pytest.raises(TrainingError, match="budget_s is -1"):
        taught(Fit(), Course(), Fitting(budget_s=-1))


@pytest.mark.parametrize(
    ("count", "held_back"), [(100, 20), (500, 100), (4_000, 250), (20_000, 1_000), (90_000, 2_000)]
)
def test_records_are_learnt_from_or_held_back(count: int, held_back: int) -> None:
    learnt, rest = divided(count, 3)
    assert len(rest) == held_back
    assert sorted([*learnt, *rest]) == list(range(count))
    assert np.array_equal(divided(count, 3)[0], learnt)
    assert not np.array_equal(divided(count, 4)[0], learnt)


def test_what_others_draw_goes_on_as_if_no_network_had_been_made() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with drawn_by(1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with drawn_by(1):
        assert torch.equal(torch.rand(3), first)
