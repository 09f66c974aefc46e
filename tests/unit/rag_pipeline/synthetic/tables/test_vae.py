"""A variational autoencoder that learns a small table."""

from typing import Any

import numpy as np
import pytest
import torch
from support.pensioners import pensioners

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.synthetic.tables.vae import Settings, Vae, slerp
from rag_pipeline.synthetic.tables.vae_network import Learning

SMALL = Settings(latent=8, width=48, embedding=8, steps=350, batch_size=128, learning_rate=1e-2)


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Vae:
    return Vae.fit(real, SMALL)[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latent": 0}, "latent is 0: give 1 or more"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"annealed": 1.5}, "annealed is 1.5"),
        ({"flow_steps": 0}, "flow_steps is 0"),
    ],
)
def test_settings_that_nothing_can_be_drawn_with_are_refused(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        Settings(**wrong)


def test_records_come_back_from_their_places(model: Vae) -> None:
    fresh = pensioners(300, 7)
    back = model.reconstruct(fresh)
    assert np.mean(back.values["trade"] == fresh.values["trade"]) > 0.95
    assert np.mean(back.values["pensioner"] == fresh.values["pensioner"]) > 0.95
    assert np.corrcoef(back.values["pay"], fresh.values["pay"])[0, 1] > 0.95


def test_the_way_between_two_records_begins_and_ends_with_them(model: Vae) -> None:
    first, second = pensioners(20, 8), pensioners(20, 9)
    way = model.interpolate(first, second, 5)
    assert len(way) == 100
    for at, end in ((0, first), (4, second)):
        there = way.rows(np.arange(at, 100, 5)).values
        assert list(there["trade"]) == list(model.reconstruct(end).values["trade"])
    ages = way.values["age"].reshape(20, 5)
    lows, highs = np.minimum(ages[:, 0], ages[:, 4]), np.maximum(ages[:, 0], ages[:, 4])
    between = (ages[:, 2] >= lows - 10) & (ages[:, 2] <= highs + 10)
    assert between.mean() > 0.6
    with pytest.raises(SyntheticError, match="20 records and 19"):
        model.interpolate(first, second.rows(np.arange(19)), 5)


def test_variations_are_near_their_record_and_not_all_the_same(model: Vae) -> None:
    fresh = pensioners(30, 10)
    varied = model.vary(fresh, 4, seed=1)
    assert len(varied) == 120
    ages = varied.values["age"].reshape(30, 4)
    assert np.abs(ages - fresh.values["age"][:, None]).mean() < 12
    assert (ages.std(1) > 0).any()
    assert (varied.values["pay"].reshape(30, 4).std(1) > 0).all()


def test_the_divergence_counts_more_and_more(real: Table) -> None:
    task = Learning(
        model=Vae.fit(real, Settings(latent=2, width=16, steps=1))[0].network,
        learnt=torch.zeros(1, 1), held_back=torch.zeros(1, 1), settings=Settings(),
    )  # fmt: skip
    weights = []
    for step in (0, 100, 299, 300, 999):
        task.at_step(step, 1_000)
        weights.append(task.beta)
    assert weights == sorted(weights)
    assert weights[0] == 0
    assert weights[-2:] == [Settings().beta] * 2


def test_a_great_circle_keeps_its_distance_from_the_middle() -> None:
    first, second = torch.eye(3)[:1], torch.eye(3)[1:2]
    assert torch.allclose(slerp(first, second, 7).norm(dim=2), torch.ones(1, 7), atol=1e-6)
    assert torch.allclose(slerp(first, first, 3), first[:, None].expand(-1, 3, -1))
    assert slerp(first, -first, 3).isfinite().all()
