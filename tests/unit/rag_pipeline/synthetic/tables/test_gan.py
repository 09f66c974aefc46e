"""A generative adversarial network that learns a small table."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.mixed_tables import one_column, workers

from rag_pipeline.synthetic.errors import ModelFileError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.saved import ABOUT, load_generator, save_generator
from rag_pipeline.synthetic.tables.columns import codes_of, learnt_codecs
from rag_pipeline.synthetic.tables.gan import Gan, Settings
from rag_pipeline.synthetic.tables.gan_conditions import Conditions
from rag_pipeline.synthetic.tables.gan_features import features_of
from rag_pipeline.synthetic.tables.gan_learning import code_error
from rag_pipeline.synthetic.tables.gan_network import GeneratorNetwork
from rag_pipeline.synthetic.tables.table import Schema, Table

SMALL = Settings(
    width=64, depth=1, noise=16, critic_width=64, warm_steps=250, steps=50, batch_size=100
)
TINY = Settings(
    width=8, depth=1, noise=4, critic_width=8, warm_steps=3, steps=3, batch_size=40, pack=2
)


@pytest.fixture(scope="module")
def real() -> Table:
    return workers(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Gan:
    return Gan.fit(real, SMALL)[0]


def same(one: Table, other: Table) -> bool:
    return one.records() == other.records()


def same_weights(one: Gan, other: Gan) -> bool:
    arrays = other.arrays()
    return all(np.array_equal(array, arrays[name]) for name, array in one.arrays().items())


def test_before_any_step_codes_come_as_often_as_in_the_table(real: Table) -> None:
    """Also for noise that is far out."""
    codecs = learnt_codecs(real)
    codes = torch.tensor(codes_of(codecs, real))
    sizes = [codec.size for codec in codecs.values()]
    seen = Conditions.learnt(codes, sizes).count
    torch.manual_seed(0)
    network = GeneratorNetwork([*codecs.values()], seen, noise=8, width=32, depth=1)
    nothing = torch.zeros(500, len(sizes), dtype=torch.int64)
    logits = network(torch.randn(500, 8), nothing, nothing.bool())
    for column, shares in enumerate(logits.split(sizes, dim=1)):
        expected = torch.bincount(codes[:, column], minlength=sizes[column]) / len(codes)
        assert (shares.softmax(1).mean(0) - expected).abs().sum() / 2 < 0.1


def test_rare_codes_are_told_far_more_often_than_they_occur() -> None:
    codes = torch.zeros(1_000, 2, dtype=torch.int64)
    codes[5:15, 0], codes[:, 1] = 1, torch.arange(1_000) % 4
    torch.manual_seed(0)
    told = Conditions.learnt(codes, [2, 4]).told([*range(1_000)])
    assert told.natural == 500
    assert told.rows[:500].tolist() == [*range(500)]
    assert 0.15 < told.known[:500].float().mean() < 0.35
    assert told.known[500:].any(dim=1).all()
    assert told.known[500:].all(dim=1).any()
    assert codes[told.rows[500:], 0].float().mean() > 10 * 0.01


def test_numbers_that_are_near_look_alike_to_the_critic_and_names_do_not(real: Table) -> None:
    codecs = [learnt_codecs(real)[name] for name in ("age", "trade")]
    counts = [np.full(codec.size, 9) for codec in codecs]
    features = features_of(codecs, counts)
    ages, trades = features.split([codec.size for codec in codecs])
    step, far = (ages[30] - ages[31]).norm(), (ages[30] - ages[60]).norm()
    assert step < 0.3 * far
    for other in (1, 2):
        assert float((trades[0] - trades[other]).norm()) == pytest.approx(2**0.5)


def test_the_error_of_records_is_larger_the_less_they_are_alike(real: Table) -> None:
    codecs = learnt_codecs(real)
    codes, others = (codes_of(codecs, table) for table in (real, workers(3_000, 9)))
    mixed = np.random.default_rng(0).permuted(others, axis=0)
    assert code_error(codes, codes) == 0
    assert code_error(codes, others) < code_error(codes, mixed) - 0.02
    assert code_error(codes, mixed) < code_error(codes, np.zeros_like(codes))


def test_a_generator_that_collapses_is_stopped_and_says_so(
    real: Table, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wild = replace(SMALL, learning_rate=0.5, warm_steps=1, steps=60, matching=0.0)
    with caplog.at_level(logging.WARNING):
        model, trained = Gan.fit(real, wild)
    assert model.collapsed
    assert trained.stopped_early
    assert "not all kinds of records" in caplog.text
    assert trained.best.value == max(one.value for one in trained.validations)
    save_generator(model, tmp_path)
    assert json.loads((tmp_path / ABOUT).read_text())["collapsed"] is True
    assert len(model.sample(20)) == 20


def test_one_that_does_not_collapse_says_nothing(model: Gan) -> None:
    assert not model.collapsed
    assert model.about()["collapsed"] is False
    assert model.diversity.coverage == 1


def test_the_steps_of_a_budget_give_the_same_weights_without_it(real: Table) -> None:
    once, _ = Gan.fit(real, TINY, Fitting(budget_s=0.5))
    assert once.settings.steps != TINY.steps
    assert same_weights(Gan.fit(real, once.settings)[0], once)


@pytest.mark.slow
def test_a_table_of_very_many_names_a_column_makes_no_large_model() -> None:
    chance = np.random.default_rng(0)
    names = np.array([f"n{number}" for number in range(10_000)], np.object_)
    like = one_column("names").schema.columns[0]
    schema = Schema(columns=tuple(replace(like, name=f"c{n}") for n in range(5)))
    values = {one.name: names[chance.integers(0, 3_000, 20_000)] for one in schema.columns}
    large = replace(Settings(), warm_steps=1, steps=1, batch_size=20)
    model = Gan.fit(Table(schema=schema, values=values), large)[0]
    assert sum(array.nbytes for array in model.arrays().values()) < 8 * 2**20


def test_what_is_saved_and_loaded_draws_the_same(model: Gan, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, Gan)
    assert same(again.sample(200, seed=9), model.sample(200, seed=9))
    assert again.diversity == model.diversity
    about = json.loads((tmp_path / ABOUT).read_text())
    for change in (
        {"settings": {**about["settings"], "width": 9}},
        {"diversity": {"taste": 1}},
        {"codecs": [["age", "pickle"]]},
    ):
        (tmp_path / ABOUT).write_text(json.dumps({**about, **change}))
        with pytest.raises(ModelFileError, match="does not fit together"):
            load_generator(tmp_path)
