"""Trainings with opponents, averages, a budget, and a way back from numbers that are none."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.loop import Trained, train
from rag_pipeline.training.progress import Progress
from rag_pipeline.training.settings import TrainingSettings, rate
from rag_pipeline.training.task import Opponent, sliced
from rag_pipeline.training.trial import planned_within

_SETTINGS = TrainingSettings(
    steps=24,
    batch_size=4,
    learning_rate=0.05,
    schedule="cosine",
    ema=0.8,
    validations_in_all=6,
    patience=50,
    halvings=3,
)


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))


@dataclass
class Duel:
    """A generator of numbers near 3, and a critic that tells them from real ones."""

    examples: int = 22
    turns: int = 2
    spoilt: Callable[[str, int], bool] = lambda _side, _call: False
    model: nn.Module = field(default_factory=lambda: network(1))
    critic: nn.Module = field(default_factory=lambda: network(2))
    order: list[str] = field(default_factory=list)
    seen: list[list[int]] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)

    @property
    def opponents(self) -> list[Opponent]:
        return [
            Opponent(
                name="critic",
                model=self.critic,
                loss=self.critic_loss,
                turns=self.turns,
                learning_rate=0.02,
                betas=(0.0, 0.9),
            )
        ]

    def at_step(self, step: int, steps: int) -> None:
        self.told.append((step, steps))

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        return self._noted("model", -self.critic(self._drawn(len(rows))).mean())

    def critic_loss(self, rows: Sequence[int]) -> Tensor:
        self.seen.append(list(rows))
        real = torch.tensor([[3 + row / 100] for row in rows])
        fake = self._drawn(len(rows)).detach()
        return self._noted("critic", self.critic(fake).mean() - self.critic(real).mean())

    def _drawn(self, count: int) -> Tensor:
        drawn: Tensor = self.model(torch.randn(count, 1))
        return drawn

    def _noted(self, side: str, loss: Tensor) -> Tensor:
        self.order.append(side)
        return loss * math.nan if self.spoilt(side, self.order.count(side)) else loss

    def validate(self) -> float:
        assert not self.model.training
        drawn: Tensor = self.model(torch.linspace(-2, 2, 9)[:, None])
        return -abs(drawn.mean().item() - 3)


def file_at(path: Path) -> CheckpointFile:
    return CheckpointFile(path=path / "c.safetensors", fingerprint="one", every_s=0)


def broken_off(at: int) -> Callable[[Progress], None]:
    def observe(progress: Progress) -> None:
        if progress.loss is not None and progress.step == at:
            raise InterruptedError

    return observe


def trained(task: Duel, **changes: Any) -> Trained:
    settings = {name: changes.pop(name) for name in [*changes] if hasattr(_SETTINGS, name)}
    return train(task, TrainingSettings(**{**_SETTINGS.as_json(), **settings}), **changes)


def state_of(task: Duel) -> list[float]:
    """All weights and running means of both sides."""
    tensors = [*task.model.state_dict().values(), *task.critic.state_dict().values()]
    return [number for tensor in tensors for number in tensor.flatten().tolist()]


def test_an_opponent_takes_its_turns_before_each_step_on_batches_of_its_own() -> None:
    task = Duel()
    before = [one.detach().clone() for one in task.critic.parameters()]
    result = trained(task)
    assert task.order == ["critic", "critic", "model"] * 24
    assert len(result.losses) == 24
    rows = [row for batch in task.seen[:6] for row in batch]
    assert sorted(rows) == list(range(22)), "an epoch of the opponent is each example once"
    after = task.critic.parameters()
    assert not all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("at", [1, 4, 11, 24])
def test_an_adversarial_training_that_is_broken_off_ends_as_if_it_had_not_been(
    tmp_path: Path, at: int
) -> None:
    whole, resumed = Duel(), Duel()
    expected = trained(whole)
    with pytest.raises(InterruptedError):
        trained(Duel(), checkpoints=file_at(tmp_path), observe=broken_off(at))
    assert trained(resumed, checkpoints=file_at(tmp_path)) == expected
    assert state_of(resumed) == state_of(whole)


def test_a_training_is_told_how_far_it_has_come() -> None:
    task = Duel()
    trained(task)
    assert task.told[0] == (0, 24)
    assert sorted(set(task.told)) == [(step, 24) for step in range(25)]


def test_what_is_kept_are_averages_that_lag_behind_the_weights() -> None:
    def first_weight(**changes: Any) -> float:
        task = Duel()
        seen: list[float] = []

        def observe(progress: Progress) -> None:
            if progress.loss is not None:
                seen.append(task.model.get_parameter("3.bias").item())

        task.validate = lambda: float(len(seen))  # type: ignore[method-assign]
        trained(task, observe=observe, **changes)
        kept = task.model.get_parameter("3.bias").item()
        if not changes["ema"]:
            assert kept == seen[-1]
            return kept
        average = network(1).get_parameter("3.bias").item()
        for step, value in enumerate(seen):
            share = min(changes["ema"], (step + 1) / (step + 10))
            average = share * average + (1 - share) * value
        assert kept == pytest.approx(average, abs=1e-6)
        return kept

    assert first_weight(ema=0.0) != first_weight(ema=0.8)


@pytest.mark.parametrize("side", ["model", "critic"])
def test_a_number_that_is_none_brings_the_best_weights_back_at_half_the_rate(side: str) -> None:
    task = Duel(spoilt=lambda who, call: (who, call) == (side, 15))
    result = trained(task)
    assert result.halvings == 1
    assert len(result.losses) == 24
    assert all(math.isfinite(loss) for loss in result.losses)
    assert all(math.isfinite(value) for value in state_of(task))
    assert result.as_json()["halvings"] == 1


def test_a_training_that_was_halved_may_be_broken_off_as_well(tmp_path: Path) -> None:
    whole, last = (Duel(spoilt=lambda who, call: (who, call) == ("model", 5)) for _ in range(2))
    expected = trained(whole)
    with pytest.raises(InterruptedError):
        trained(last, checkpoints=file_at(tmp_path), observe=broken_off(9))
    resumed = Duel()
    assert trained(resumed, checkpoints=file_at(tmp_path)) == expected
    assert state_of(resumed) == state_of(whole)


def test_halving_ends_with_a_clear_error() -> None:
    task = Duel(spoilt=lambda who, call: who == "model" and call >= 7)
    with pytest.raises(TrainingError, match=r"loss became nan at step 7 of 24: .*below 0\.00625"):
        trained(task)


def test_a_measure_that_is_no_number_is_no_best_one() -> None:
    task = Duel()
    values = chain([0.0, 1.0, math.nan], repeat(0.5))
    task.validate = lambda: next(values)  # type: ignore[method-assign]
    result = trained(task)
    assert result.halvings == 1
    assert result.best.value == 1.0


def test_the_steps_that_a_budget_planned_give_the_same_weights_without_it(tmp_path: Path) -> None:
    budgeted, plain, resumed = Duel(), Duel(), Duel()
    steps: list[int] = []
    result = trained(budgeted, budget_s=0.2, observe=lambda one: steps.append(one.step))
    assert result.planned_steps == len(result.losses) > 1
    assert steps[0] == 0, "the trial is told to nobody"
    again = trained(plain, steps=result.planned_steps)
    assert again == result
    assert state_of(plain) == state_of(budgeted)
    with pytest.raises(InterruptedError):
        trained(Duel(), budget_s=0.2, checkpoints=file_at(tmp_path), observe=broken_off(2))
    found = trained(resumed, budget_s=50, checkpoints=file_at(tmp_path))
    assert found.planned_steps < 50 * result.planned_steps, "planned once, before it was broken off"


@pytest.mark.parametrize(("a_step", "a_validation"), [(0.01, 0.0), (0.01, 0.3), (5.0, 1.0)])
def test_what_is_planned_fits_into_the_budget(a_step: float, a_validation: float) -> None:
    now = [0.0]

    def takes(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    steps = planned_within(
        20, step=takes(a_step), validate=takes(a_validation), validations=10, clock=lambda: now[0]
    )
    whole = now[0] + steps * a_step + 11 * a_validation
    assert whole <= 20 or steps == 1
    assert whole > 20 - 2 * a_step


def test_steps_end_between_epochs_and_are_validated_there() -> None:
    result = trained(Duel(), steps=10, validations_in_all=4)
    assert [one.step for one in result.validations] == [0, 1, 2, 5, 8, 10]
    result = trained(Duel(), steps=8, validations_in_all=None, validations=1)
    assert [one.step for one in result.validations] == [0, 6, 8]


def test_the_beginning_is_validated_often_for_there_a_few_examples_are_learnt() -> None:
    result = trained(Duel(), steps=64, validations_in_all=4)
    assert [one.step for one in result.validations] == [0, 2, 4, 8, 16, 32, 48, 64]


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (10, 0.0), (10, 0.3), (7, 0.9)])
def test_a_cosine_falls_as_smoothly_as_it_should(steps: int, warmup: float) -> None:
    shares = [rate(step, steps, warmup, "cosine") for step in range(steps)]
    top = shares.index(max(shares))
    assert shares[top] == pytest.approx(1)
    assert min(shares) > 0
    assert shares[top:] == sorted(shares[top:], reverse=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"budget_s": 0.0, "validations_in_all": 3},
        {"budget_s": math.inf, "validations_in_all": 3},
        {"budget_s": 3.0},
        {"ema": 1.0},
        {"betas": (0.9, 1.0)},
        {"schedule": "square"},
        {"halvings": -1},
    ],
)
def test_settings_that_nothing_can_be_trained_with_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=next(iter(wrong))):
        TrainingSettings(**wrong)
