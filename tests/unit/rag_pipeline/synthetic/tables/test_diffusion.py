"""Diffusion that learns a small table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.pensioners import AWKWARD, awkward, pensioners

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.saved import TENSORS, load_generator, save_generator
from rag_pipeline.synthetic.tables.categorical import bounded
from rag_pipeline.synthetic.tables.coding import NameCodec, Range
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.diffusion import Diffusion, Settings
from rag_pipeline.synthetic.tables.diffusion_network import Network, some_known
from rag_pipeline.synthetic.tables.table import Table

SMALL = Settings(width=64, depth=1, steps=500, batch_size=128, learning_rate=1e-2, flow_steps=5)


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Diffusion:
    return Diffusion.fit(real, SMALL)[0]


def test_what_is_drawn_is_like_what_was_learnt(model: Diffusion, real: Table) -> None:
    drawn = model.sample(1_000, seed=1)
    found, apart = quality(real, drawn), quality(real, pensioners(1_000, 3, is_shuffled=True))
    assert found.shape > 0.93
    assert found.trend > max(0.92, apart.trend)


def test_the_same_seed_draws_the_same_and_another_one_does_not(model: Diffusion) -> None:
    assert model.sample(1_200, seed=3).records() == model.sample(1_200, seed=3).records()
    assert model.sample(50, seed=3).records() != model.sample(50, seed=4).records()
    assert len(model.sample(0)) == 0


def test_the_same_table_and_seed_give_the_same_weights(real: Table) -> None:
    size = Settings(width=32, depth=1, steps=15)
    first, second = (Diffusion.fit(real, size, Fitting(seed=5))[0] for _ in range(2))
    for name, array in first.arrays().items():
        assert np.array_equal(array, second.arrays()[name]), name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"until": 1.0}, "until is 1.0: give a number above 0 and below 1"),
        ({"turns": 0}, "turns is 0"),
        ({"given": -0.1}, "given is -0.1"),
    ],
)
def test_settings_that_nothing_can_be_drawn_with_are_refused(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        Settings(**wrong)


def test_what_is_saved_and_loaded_draws_the_same(model: Diffusion, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, Diffusion)
    assert again.sample(200, seed=9).records() == model.sample(200, seed=9).records()


def test_all_that_is_drawn_under_conditions_fulfils_them(model: Diffusion) -> None:
    where = {"age": Range(low=30, high=34), "trade": frozenset({"nurse", "clerk"})}
    drawn = model.sample_conditionally(300, where)
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["pensioner"] == "no") > 0.95
    expected = {"clerk": 900 + 20 * 32, "nurse": 2_000 + 20 * 32}
    for trade, pay in expected.items():
        of_trade = drawn.values["trade"] == trade
        assert 0.35 < of_trade.mean() < 0.65
        assert abs(np.median(drawn.values["pay"][of_trade]) - pay) < 200


def test_conditions_on_columns_that_depend_on_each_other_are_weighed_together(
    model: Diffusion,
) -> None:
    """Of those from 60 to 70 a pensioner is over 65."""
    where = {"age": Range(low=60, high=70), "pensioner": frozenset({"yes"})}
    drawn = model.sample_conditionally(300, where)
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["age"] > 65) > 0.9


def test_a_condition_that_no_record_learnt_fulfils_is_met_by_all(model: Diffusion) -> None:
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
    model: Diffusion, where: dict[str, Range | frozenset[str | None]], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        model.sample_conditionally(10, where)


def test_what_is_missing_is_filled_in_from_the_rest(model: Diffusion) -> None:
    whole, holed = pensioners(400, 11), pensioners(400, 11)
    gone = np.random.default_rng(0).random(400) < 0.5
    holed.values["trade"][gone] = None
    holed.values["age"][~gone] = np.nan
    filled = model.impute(holed, seed=1)
    for name in ("key", "pay", "pensioner"):
        assert list(filled.values[name]) == list(whole.values[name])
    assert list(filled.values["trade"][~gone]) == list(whole.values["trade"][~gone])
    assert np.array_equal(filled.values["age"][gone], whole.values["age"][gone])
    assert np.mean(filled.values["trade"][gone] == whole.values["trade"][gone]) > 0.7
    assert np.abs(filled.values["age"] - whole.values["age"])[~gone].mean() < 14
    assert np.isnan(holed.values["age"]).any()  # what was given is left as it was


def test_a_record_that_contradicts_itself_is_stranger_than_others(model: Diffusion) -> None:
    usual, odd = pensioners(200, 4), pensioners(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    assert model.score_anomalies(odd).mean() > model.score_anomalies(usual).mean() + 1


def test_the_score_of_a_record_does_not_depend_on_those_beside_it(model: Diffusion) -> None:
    some = pensioners(50, 4)
    alone = model.score_anomalies(some.rows(np.array([7])))
    assert np.allclose(alone, model.score_anomalies(some)[7], atol=1e-4)


def test_some_columns_are_given_of_some_records_and_never_all() -> None:
    known = some_known(torch.Size([4_000, 5]), 0.5, torch.Generator().manual_seed(0))
    count = known.sum(1)
    assert count.max() == 4
    assert 0.35 < (count > 0).float().mean() < 0.45  # half of 4 in 5
    assert not some_known(torch.Size([50, 1]), 1.0, None).any()


def test_a_network_for_very_many_codes_is_made_narrower() -> None:
    names = np.array([f"n{number}" for number in range(1_000)] * 5, np.object_)
    codecs = [NameCodec.learnt(names) for _ in range(12)]
    settings = bounded(Settings(), lambda at: Network(codecs, at), 12)
    weights = sum(one.numel() for one in Network(codecs, settings).parameters())
    assert settings.width < Settings().width
    assert 1_000_000 < weights < 1_700_001


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_tables_are_learnt_and_drawn(name: str, tmp_path: Path) -> None:
    table = awkward(name)
    model, trained = Diffusion.fit(
        table, Settings(width=16, depth=1, steps=5, batch_size=32, flow_steps=3)
    )
    assert np.isfinite(trained.losses).all()
    save_generator(model, tmp_path)
    assert (tmp_path / TENSORS).stat().st_size < 8 * 2**20
    drawn = load_generator(tmp_path).sample(40, seed=1)  # type: ignore[attr-defined]
    assert len(drawn.records()) == 40
    for column in table.schema.columns:
        if column.is_numeric and not np.isnan(table.values[column.name]).any():
            assert not np.isnan(drawn.values[column.name]).any()
    assert len(model.impute(table)) == len(table)
