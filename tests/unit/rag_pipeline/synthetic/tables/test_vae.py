"""A variational autoencoder that learns a small table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.pensioners import AWKWARD, awkward, pensioners

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.saved import load_generator, save_generator
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.synthetic.tables.vae import Settings, Vae, slerp
from rag_pipeline.synthetic.tables.vae_network import Learning
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.progress import Progress

SMALL = Settings(latent=8, width=48, embedding=8, steps=350, batch_size=128, learning_rate=1e-2)


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Vae:
    return Vae.fit(real, SMALL)[0]


def test_what_is_drawn_is_like_what_was_learnt(model: Vae, real: Table) -> None:
    drawn = model.sample(1_000, seed=1)
    found, apart = quality(real, drawn), quality(real, pensioners(1_000, 3, is_shuffled=True))
    assert found.shape > 0.93
    assert found.trend > max(0.9, apart.trend)


def test_the_same_seed_draws_the_same_and_another_one_does_not(model: Vae) -> None:
    assert model.sample(1_200, seed=3).records() == model.sample(1_200, seed=3).records()
    assert model.sample(50, seed=3).records() != model.sample(50, seed=4).records()
    assert len(model.sample(0)) == 0


def test_the_same_table_and_seed_give_the_same_weights(real: Table) -> None:
    size = Settings(latent=4, width=32, embedding=4, steps=15)
    first, second = (Vae.fit(real, size, Fitting(seed=5))[0] for _ in range(2))
    for name, array in first.arrays().items():
        assert np.array_equal(array, second.arrays()[name]), name


def test_a_training_that_is_broken_off_ends_with_the_same_weights(
    real: Table, tmp_path: Path
) -> None:
    """How hidden places are spread is followed, and belongs to what is kept."""
    size = Settings(latent=4, width=16, embedding=4, steps=20)
    through = Vae.fit(real, size, Fitting(seed=5))[0]
    kept = CheckpointFile(path=tmp_path / "kept", fingerprint="f")

    def break_off(progress: Progress) -> None:
        if progress.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Vae.fit(real, size, Fitting(seed=5, checkpoints=kept, observe=break_off))
    steps: list[int] = []
    resumed = Vae.fit(
        real, size, Fitting(seed=5, checkpoints=kept, observe=lambda one: steps.append(one.step))
    )[0]
    assert 1 < min(steps) < 14
    for name, array in through.arrays().items():
        assert np.array_equal(array, resumed.arrays()[name]), name


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


def test_what_is_saved_and_loaded_draws_the_same(model: Vae, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, Vae)
    assert again.sample(200, seed=9).records() == model.sample(200, seed=9).records()


def test_all_that_is_drawn_under_conditions_fulfils_them(model: Vae) -> None:
    where = {"age": Range(low=30, high=34), "trade": frozenset({"nurse", "clerk"})}
    drawn = model.sample_conditionally(300, where)
    assert len(drawn) == 300
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["pensioner"] == "no") > 0.9
    nurses = drawn.values["trade"] == "nurse"
    assert 0.2 < nurses.mean() < 0.8
    assert np.median(drawn.values["pay"][nurses]) > np.median(drawn.values["pay"][~nurses]) + 600


def test_a_condition_that_hardly_a_record_fulfils_is_met_by_all(model: Vae) -> None:
    where = {"age": Range(low=89), "trade": frozenset({"smith"}), "pensioner": frozenset({"no"})}
    drawn = model.sample_conditionally(100, where, seed=2)
    assert fulfilling(drawn, where).all()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"trade": frozenset({"pilot"})}, "no record can have 'trade' like that"),
        ({"hat": frozenset({"red"})}, "there is no column 'hat'"),
        ({"key": frozenset({"p1-1"})}, "'key' is not learnt"),
    ],
)
def test_what_no_record_can_be_is_said(
    model: Vae, where: dict[str, Range | frozenset[str | None]], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        model.sample_conditionally(10, where)


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


def test_a_record_that_contradicts_itself_is_stranger_than_others(model: Vae) -> None:
    usual, odd = pensioners(200, 4), pensioners(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    assert model.score_anomalies(odd).mean() > model.score_anomalies(usual).mean() + 1


def test_the_score_of_a_record_does_not_depend_on_those_beside_it(model: Vae) -> None:
    some = pensioners(50, 4)
    alone = model.score_anomalies(some.rows(np.array([7])))
    assert np.allclose(alone, model.score_anomalies(some)[7], atol=1e-4)


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


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_tables_are_learnt_and_drawn(name: str, tmp_path: Path) -> None:
    table = awkward(name)
    model, _ = Vae.fit(table, Settings(latent=4, width=16, embedding=4, steps=5, batch_size=32))
    save_generator(model, tmp_path)
    drawn = load_generator(tmp_path).sample(40, seed=1)  # type: ignore[attr-defined]
    assert len(drawn.records()) == 40
    assert np.isfinite(model.score_anomalies(table)).all()
    for column in table.schema.columns:
        if column.is_numeric and not np.isnan(table.values[column.name]).any():
            assert not np.isnan(drawn.values[column.name]).any()
