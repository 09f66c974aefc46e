"""Learning under differential privacy: gradients that are clipped, noisy, and accounted for."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.saved import load_generator, save_generator
from rag_pipeline.synthetic.tables.autoregressive import Autoregressive, Settings
from rag_pipeline.synthetic.tables.private import PrivateLearning, Promise
from rag_pipeline.synthetic.tables.table import Column, Schema, Table

TINY = Settings(
    width=8, depth=1, embedding=2, steps=4, batch_size=32, learning_rate=0.01, epsilon=3.0
)
needs_opacus = pytest.mark.skipif(find_spec("opacus") is None, reason="needs the extra dp")


def squares(model: nn.Module, record: Tensor) -> Tensor:
    off: Tensor = model(record).square().sum()
    return off


def learning(records: Tensor, *, clip: float, noise: float, batch_size: int) -> PrivateLearning:
    torch.manual_seed(0)
    task = PrivateLearning(
        model=nn.Linear(2, 1),
        learnt=records,
        record_loss=squares,
        promise=Promise(epsilon=1, delta=1e-5, clip=clip),
        batch_size=batch_size,
    )
    task.noise = noise
    return task


def gradient_of(task: PrivateLearning, rows: list[int]) -> Tensor:
    task.model.zero_grad()
    task.loss(rows).backward()  # type: ignore[no-untyped-call]
    found = [one.grad for one in task.model.parameters() if one.grad is not None]
    return torch.cat([one.flatten() for one in found])


def test_without_noise_and_with_room_it_is_the_plain_gradient() -> None:
    records = torch.randn(40, 2)
    task = learning(records, clip=1e6, noise=0, batch_size=40)
    found = gradient_of(task, [*range(40)])
    task.model.zero_grad()
    (task.model(records).square().sum() / 40).backward()
    plain = torch.cat(
        [one.grad.flatten() for one in task.model.parameters() if one.grad is not None]
    )
    torch.testing.assert_close(found, plain)


def test_no_record_moves_the_gradient_by_more_than_the_clip() -> None:
    records = torch.randn(40, 2)
    records[7] *= 1e4
    task = learning(records, clip=0.5, noise=0, batch_size=40)
    everyone = [*range(40)]
    with_it = gradient_of(task, everyone)
    without = gradient_of(task, [row for row in everyone if row != 7])
    assert (with_it - without).norm().item() * 40 == pytest.approx(0.5, rel=1e-4)


def test_noise_is_as_wide_as_was_said_and_never_the_same() -> None:
    task = learning(torch.zeros(400, 2), clip=2.0, noise=3.0, batch_size=100)
    drawn = torch.stack([gradient_of(task, []) for _ in range(300)])
    assert drawn.std().item() == pytest.approx(3.0 * 2.0 / 100, rel=0.15)
    assert len(np.unique(drawn.numpy())) == drawn.numel()


def test_batches_are_random_samples() -> None:
    task = learning(torch.zeros(1_000, 2), clip=1, noise=1, batch_size=50)
    batches = task.batches(range(1_000), 50)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == 20
    assert np.mean(sizes) == pytest.approx(50, rel=0.3)
    assert len(set(sizes)) > 5
    assert task.batches(range(1_000), 50) != batches


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0.0}, {"epsilon": 1e9}, {"delta": 1.0}, {"clip": 0.0}, {"delta": 0.0}]
)
def test_what_promises_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SyntheticError, match=f"{next(iter(wrong))} "):
        Promise(**{"epsilon": 1.0, "delta": 1e-5, "clip": 1.0, **wrong})


def people() -> Table:
    chance = np.random.default_rng(0)
    kind = chance.choice(["a", "b"], 300).astype(object)
    columns = (Column(name="kind", kind="category"), Column(name="size", kind="integer"))
    size = chance.integers(0, 9, 300).astype(float)
    return Table(schema=Schema(columns=columns), values={"kind": kind, "size": size})


@pytest.mark.skipif(find_spec("opacus") is not None, reason="opacus is there")
def test_without_opacus_it_says_what_to_install() -> None:
    with pytest.raises(SyntheticError, match=r"pip install 'rag-pipeline-service\[dp\]'"):
        Autoregressive.fit(people(), TINY)


@needs_opacus
def test_a_private_generator_says_what_it_promises(tmp_path: Path) -> None:
    model, trained = Autoregressive.fit(people(), TINY)
    assert trained.best.step == trained.planned_steps == 4, "the newest weights are kept"
    promised = model.about()["privacy"]
    assert (promised["epsilon"], promised["steps"]) == (3.0, 4)
    assert promised["delta"] == pytest.approx(0.1 / 240)
    assert promised["noise"] > 0.3
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert again.about()["privacy"] == promised
    assert again.sample(20).records() == model.sample(20).records()  # type: ignore[attr-defined]


@needs_opacus
def test_more_steps_and_a_smaller_epsilon_take_more_noise() -> None:
    def noise(epsilon: float, steps: int) -> float:
        return Promise(epsilon=epsilon, delta=1e-5, clip=1).noise(share=0.02, steps=steps)

    assert noise(1, 100) > noise(3, 100)
    assert noise(3, 2_000) > noise(3, 100)
