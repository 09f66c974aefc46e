"""An energy-based model of a small table, and records weighed by the energy of a classifier."""

import numpy as np
import pytest
from support.independent_columns import IndependentColumns

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import detection, quality
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
