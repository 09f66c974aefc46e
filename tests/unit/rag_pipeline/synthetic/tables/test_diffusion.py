"""Diffusion that learns a small table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.pensioners import pensioners

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.categorical import bounded
from rag_pipeline.synthetic.tables.coding import NameCodec, Range
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.diffusion import Diffusion, Settings
from rag_pipeline.synthetic.tables.diffusion_network import Network, some_known
from rag_pipeline.synthetic.tables.table import Table, table_of

SMALL = Settings(width=64, depth=1, steps=500, batch_size=128, learning_rate=1e-2, flow_steps=5)


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Diffusion:
    return Diffusion.fit(real, SMALL)[0]


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


def test_what_goes_with_a_rare_name_is_drawn_with_it() -> None:
    """Of one in fifty, with much else that says nothing of it."""
    chance = np.random.default_rng(0)
    is_rare = chance.random(3_000) < 0.02
    ages = np.where(is_rare, chance.normal(75, 4, 3_000), chance.normal(35, 8, 3_000)).round(1)
    letters = chance.choice(list("abcd"), (3_000, 10)).tolist()
    real = table_of(
        {
            "rank": "abbot" if rare else "monk",
            "age": age,
            **dict(zip("qrstuvwxyz", row, strict=True)),
        }
        for rare, age, row in zip(is_rare.tolist(), ages.tolist(), letters, strict=True)
    )
    model, _ = Diffusion.fit(real, replace(SMALL, steps=1_200, learning_rate=4e-3))
    drawn = model.sample_conditionally(500, {"rank": frozenset({"abbot"})}, seed=1)
    assert abs(np.median(drawn.values["age"]) - np.median(ages[is_rare])) < 3
    assert np.mean(drawn.values["age"] < 60) < 0.2


def test_conditions_on_columns_that_depend_on_each_other_are_weighed_together(
    model: Diffusion,
) -> None:
    """Of those from 60 to 70 a pensioner is over 65."""
    where = {"age": Range(low=60, high=70), "pensioner": frozenset({"yes"})}
    drawn = model.sample_conditionally(300, where)
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["age"] > 65) > 0.9


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
