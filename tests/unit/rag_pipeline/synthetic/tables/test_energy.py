"""An energy-based model of a small table, and records weighed by the energy of a classifier."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.independent_columns import IndependentColumns

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import detection, quality
from rag_pipeline.synthetic.saved import ABOUT, load_generator, save_generator
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.energy import Energy, Settings
from rag_pipeline.synthetic.tables.refining import density_ratios, refined
from rag_pipeline.synthetic.tables.table import Table, table_of

SMALL = Settings(width=48, depth=1, levels=25, steps=400, batch_size=128, learning_rate=6e-3)


def people(count: int, seed: int) -> Table:
    """Pay follows from age and trade; a pensioner is over 65; some pay is missing."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        age, trade = int(chance.integers(18, 90)), str(chance.choice(["smith", "clerk"]))
        pay = 20 * age + (900 if trade == "clerk" else 0) + chance.normal(0, 60)
        records.append(
            {"key": f"p{number}", "age": age, "trade": trade,
             "pay": None if chance.random() < 0.1 else round(pay, 2),
             "pensioner": "yes" if age > 65 else "no"}
        )  # fmt: skip
    return table_of(records)


@pytest.fixture(scope="module")
def real() -> Table:
    return people(1_500, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Energy:
    return Energy.fit(real, SMALL, Fitting(seed=1))[0]


def test_what_is_drawn_is_like_what_was_learnt(model: Energy, real: Table) -> None:
    drawn = model.sample(600, seed=1)
    found = quality(real, drawn)
    assert found.shape > 0.88
    assert found.trend > 0.78
    apart = IndependentColumns.learnt(real).sample(600)
    assert found.trend > quality(real, apart).trend + 0.05
    assert np.isnan(drawn.values["pay"]).mean() == pytest.approx(0.1, abs=0.08)
    fresh = people(600, 2)
    assert detection(fresh, drawn) < detection(fresh, apart) - 0.05


def test_the_same_seed_draws_the_same_saved_or_not(model: Energy, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, Energy)
    assert loaded.sample(40, seed=7).records() == model.sample(40, seed=7).records()
    assert model.sample(40, seed=7).records() != model.sample(40, seed=8).records()
    where = {"trade": frozenset({"clerk"})}
    one, other = (each.sample_conditionally(20, where, seed=1) for each in (model, loaded))
    assert one.records() == other.records()
    about = json.loads((tmp_path / ABOUT).read_text())
    about["settings"]["width"] = 32
    (tmp_path / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ModelFileError, match="does not fit together"):
        load_generator(tmp_path)


def test_the_same_table_and_seed_give_the_same_weights(real: Table) -> None:
    chosen = Settings(width=16, depth=1, steps=4)
    first, second = (Energy.fit(real, chosen, Fitting(seed=2))[0] for _ in range(2))
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())


def test_all_that_is_drawn_under_conditions_fulfils_them(model: Energy) -> None:
    where = {"age": Range(low=70, high=75), "trade": frozenset({"clerk"})}
    drawn = model.sample_conditionally(150, where, seed=1)
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["pensioner"] == "yes") > 0.45
    young = model.sample_conditionally(150, {"age": Range(high=30)}, seed=1)
    assert np.mean(young.values["pensioner"] == "no") > 0.9
    assert np.nanmedian(young.values["pay"]) < np.nanmedian(drawn.values["pay"]) - 500
    with pytest.raises(SyntheticError, match="no record can have 'trade' like that"):
        model.sample_conditionally(5, {"trade": frozenset({"pilot"})})


def test_a_record_that_contradicts_itself_has_more_energy(model: Energy) -> None:
    usual, odd = people(200, 4), people(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    assert (model.score_anomalies(odd) > model.score_anomalies(usual)).mean() > 0.8


def test_the_gradient_is_that_of_the_energy(model: Energy) -> None:
    import torch

    at = torch.randn(3, model.encoding.width, generator=torch.Generator().manual_seed(0)).double()
    sigma, step = torch.full((3, 1), 0.7).double(), 1e-5
    network = model.network.double()
    try:
        pull = network.pull(at, sigma)
        for place in range(at.shape[1]):
            ahead, behind = at.clone(), at.clone()
            ahead[:, place] += step
            behind[:, place] -= step
            slope = (network(ahead, sigma) - network(behind, sigma)) / (2 * step)
            torch.testing.assert_close(pull[:, place], 0.7 * slope, rtol=1e-4, atol=1e-6)
    finally:
        network.float()


def test_tables_that_nothing_can_be_learnt_of_are_refused() -> None:
    with pytest.raises(SyntheticError, match="99 records are too few"):
        Energy.fit(people(99, 1), SMALL)
    lone = table_of({"x": None, "key": f"k{n}"} for n in range(200))
    drawn = Energy.fit(lone, Settings(width=8, depth=1, levels=3, steps=2))[0].sample(3)
    assert drawn.values["x"].tolist() == [None] * 3


def test_what_is_refined_is_harder_to_tell_from_real_records(real: Table) -> None:
    generator = IndependentColumns.learnt(real)
    fresh = people(500, 3)
    plain, better = generator.sample(500, seed=1), refined(generator, real, 500, seed=1)
    assert len(better) == 500
    assert detection(fresh, better) < detection(fresh, plain) - 0.05
    assert quality(real, better).trend > quality(real, plain).trend
    assert better.records() == refined(generator, real, 500, seed=1).records()
    assert np.median(density_ratios(real, fresh)) == pytest.approx(1, abs=0.25)
