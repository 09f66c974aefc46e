"""The loop that all trainings share, on a model of two weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.loop import Trained, train
from rag_pipeline.training.progress import Progress, ignore
from rag_pipeline.training.settings import TrainingSettings, rate
from rag_pipeline.training.task import sliced

_SETTINGS = TrainingSettings(epochs=3, batch_size=4, learning_rate=0.05, patience=50)


class Line(nn.Module):
    """y = w x + b, through some dropout, so that what is drawn at random matters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.line = nn.Linear(1, 1)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.line(self.dropout(x))


@dataclass
class Fit:
    """Finds y = 2 x + 1; validated by the distance of its weights from that."""

    examples: int = 22
    loss_at: Callable[[int, Tensor], Tensor] = lambda _, loss: loss
    value_of: Callable[[nn.Linear], float] | None = None
    model: Line = field(default_factory=Line)
    seen: list[list[int]] = field(default_factory=list)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        assert self.model.training
        self.seen.append(list(rows))
        x = torch.tensor([[row / 10] for row in rows])
        return self.loss_at(len(self.seen), ((self.model(x) - (2 * x + 1)) ** 2).mean())

    def validate(self) -> float:
        assert not self.model.training
        assert not torch.is_grad_enabled()
        line = self.model.line
        if self.value_of is not None:
            return self.value_of(line)
        return -abs(line.weight.item() - 2) - abs(line.bias.item() - 1)


def weights_of(task: Fit) -> list[float]:
    return [weight.item() for weight in task.model.parameters()]


def file_at(path: Path, *, fingerprint: str = "one") -> CheckpointFile:
    return CheckpointFile(path=path / "c.safetensors", fingerprint=fingerprint, every_s=0)


def broken_off(at: int) -> Callable[[Progress], None]:
    def observe(progress: Progress) -> None:
        if progress.loss is not None and progress.step == at:
            raise InterruptedError

    return observe


def trained(task: Fit, **changes: Any) -> Trained:
    settings = {name: changes.pop(name) for name in [*changes] if hasattr(_SETTINGS, name)}
    given = {**_SETTINGS.as_json(), **settings}
    return train(task, TrainingSettings(**given), **changes)


def test_a_training_comes_nearer_to_what_is_wanted() -> None:
    task = Fit()
    result = trained(task)
    assert result.has_gained
    assert result.best.value > result.validations[0].value + 0.8


def test_the_same_seed_gives_the_same_weights_to_the_last_bit() -> None:
    first, second, other = Fit(), Fit(), Fit()
    trained(first, seed=5)
    torch.manual_seed(99)
    trained(second, seed=5)
    trained(other, seed=6)
    assert weights_of(first) == weights_of(second)
    assert weights_of(first) != weights_of(other)
    assert first.seen == second.seen


def test_every_example_is_seen_once_an_epoch_in_another_order() -> None:
    task = Fit()
    trained(task, epochs=2)
    rows = [row for batch in task.seen for row in batch]
    assert sorted(rows[:22]) == sorted(rows[22:]) == list(range(22))
    assert rows[:22] != rows[22:]


@pytest.mark.parametrize("at", [1, 3, 6, 7, 17, 18])
def test_a_training_that_is_broken_off_and_goes_on_ends_as_if_it_had_not_been(
    tmp_path: Path, at: int
) -> None:
    whole, resumed = Fit(), Fit()
    expected = trained(whole)
    with pytest.raises(InterruptedError):
        trained(Fit(), checkpoints=file_at(tmp_path), observe=broken_off(at))
    found = trained(resumed, checkpoints=file_at(tmp_path))
    assert weights_of(resumed) == weights_of(whole)
    assert found == expected
    assert len(resumed.seen) == len(whole.seen) - (at - 1)


def test_it_may_be_broken_off_again_and_again(tmp_path: Path) -> None:
    whole, last = Fit(), Fit()
    trained(whole)
    for at in range(2, 18, 3):
        with pytest.raises(InterruptedError):
            trained(Fit(), checkpoints=file_at(tmp_path), observe=broken_off(at))
    trained(last, checkpoints=file_at(tmp_path))
    assert weights_of(last) == weights_of(whole)


def test_a_training_that_is_over_is_not_done_again(tmp_path: Path) -> None:
    first, again = Fit(), Fit()
    expected = trained(first, checkpoints=file_at(tmp_path))
    assert trained(again, checkpoints=file_at(tmp_path)) == expected
    assert again.seen == []
    assert weights_of(again) == weights_of(first)


def test_the_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        trained(Fit(), seed=1, checkpoints=file_at(tmp_path), observe=broken_off(9))
    whole, other = Fit(), Fit()
    trained(whole)
    trained(other, checkpoints=file_at(tmp_path, fingerprint="two"))
    assert weights_of(other) == weights_of(whole)


@pytest.mark.parametrize("length", [0, 5, 200])
def test_a_checkpoint_that_was_cut_short_is_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    with pytest.raises(InterruptedError):
        trained(Fit(), checkpoints=file_at(tmp_path), observe=broken_off(9))
    path = file_at(tmp_path).path
    path.write_bytes(path.read_bytes()[:length])
    whole, again = Fit(), Fit()
    trained(whole)
    trained(again, checkpoints=file_at(tmp_path))
    assert weights_of(again) == weights_of(whole)
    assert "begins anew" in caplog.text


def test_the_best_weights_are_kept_and_not_the_last_ones() -> None:
    task = Fit(value_of=lambda line: -abs(line.weight.item() - 0.7))
    result = trained(task, patience=50, epochs=10)
    with torch.no_grad():
        assert task.validate() == result.best.value
    assert result.best.value == max(one.value for one in result.validations)
    assert result.best != result.validations[-1]


def test_what_gains_nothing_ends_early_and_leaves_what_it_began_with() -> None:
    task = Fit(value_of=lambda _: 0.5)
    before = weights_of(task)
    result = trained(task, patience=2, validations=1)
    assert not result.has_gained
    assert result.stopped_early
    assert len(result.validations) == 3
    assert weights_of(task) == before


def test_a_loss_that_is_no_number_is_told_and_spoils_no_checkpoint(tmp_path: Path) -> None:
    task = Fit(loss_at=lambda step, loss: loss * (math.nan if step == 8 else 1))
    with pytest.raises(TrainingError, match=r"loss became nan at step 8 of 18: .*below 0\.05"):
        trained(task, checkpoints=file_at(tmp_path))
    kept = file_at(tmp_path).load()
    assert kept is not None
    assert len(kept.losses) == 7
    assert all(bool(weight.isfinite().all()) for weight in kept.weights.values())


def test_a_gradient_that_is_no_number_is_told_as_well() -> None:
    def steep(_: int, loss: Tensor) -> Tensor:
        return loss.sqrt() * 0 + (loss * 0).sqrt()

    with pytest.raises(TrainingError, match="the gradient became"):
        trained(Fit(loss_at=steep))


def test_no_step_is_longer_than_the_clipped_gradient_allows() -> None:
    lengths: list[float] = []
    task = Fit(loss_at=lambda _, loss: loss * 1e9)

    def observe(progress: Progress) -> None:
        if progress.loss is not None:
            found = [w.grad for w in task.model.parameters() if w.grad is not None]
            lengths.append(math.sqrt(sum(float((one**2).sum()) for one in found)))

    trained(task, max_gradient_norm=0.5, observe=observe)
    assert max(lengths) <= 0.5 + 1e-6


def test_what_others_draw_at_random_goes_on_as_if_nothing_had_been_trained() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    trained(Fit(model=(line := Line())))
    torch.manual_seed(3)
    trained(Fit(model=line), observe=ignore)
    assert torch.equal(torch.rand(4), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_frozen_weights_stay_and_are_in_no_checkpoint(tmp_path: Path) -> None:
    task = Fit()
    task.model.line.bias.requires_grad = False
    before = task.model.line.bias.item()
    trained(task, checkpoints=file_at(tmp_path))
    assert task.model.line.bias.item() == before
    kept = file_at(tmp_path).load()
    assert kept is not None
    assert [*kept.weights] == ["line.weight"]


def test_nothing_to_train_is_told() -> None:
    with pytest.raises(TrainingError, match="nothing to train on"):
        trained(Fit(examples=0))
    frozen = Fit()
    frozen.model.requires_grad_(requires_grad=False)
    with pytest.raises(TrainingError, match="every weight of the model is frozen"):
        trained(frozen)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"max_gradient_norm": -1.0},
        {"warmup": 1.0},
        {"weight_decay": -0.1},
        {"patience": 0},
    ],
)
def test_settings_that_nothing_can_be_trained_with_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match=next(iter(wrong))):
        TrainingSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 0.5), (10, 0.0), (10, 0.3), (7, 0.9)])
def test_the_rate_rises_to_its_height_and_falls_and_is_never_nothing(
    steps: int, warmup: float
) -> None:
    shares = [rate(step, steps, warmup) for step in range(steps)]
    assert max(shares) == 1
    assert min(shares) > 0
    top = shares.index(1)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
