"""A normalising flow that learns a small table."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.mixed_tables import odd_columns, one_column, workers

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.saved import ABOUT, load_generator, save_generator
from rag_pipeline.synthetic.tables.coding import Range, Wanted
from rag_pipeline.synthetic.tables.columns import codes_of, learnt_codecs
from rag_pipeline.synthetic.tables.dequantising import split_columns
from rag_pipeline.synthetic.tables.flow import Flow, Settings
from rag_pipeline.synthetic.tables.flow_network import FlowNetwork
from rag_pipeline.synthetic.tables.table import Table

SMALL = Settings(width=48, depth=1, layers=2, steps=220, batch_size=96, learning_rate=6e-3)
TINY = Settings(width=8, depth=1, layers=2, bins=4, steps=3, batch_size=32)


@pytest.fixture(scope="module")
def real() -> Table:
    return workers(3_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Flow:
    return Flow.fit(real, SMALL)[0]


@pytest.fixture(scope="module")
def rough() -> FlowNetwork:
    """A network for `workers` whose weights mean nothing, but bend much."""
    table = workers(600, 0)
    codecs = learnt_codecs(table)
    columns = split_columns(codecs, codes_of(codecs, table))
    torch.manual_seed(0)
    network = FlowNetwork([*columns.values()], width=16, depth=1, layers=4, bins=6)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network.eval().double()


def same(one: Table, other: Table) -> bool:
    return one.records() == other.records()


def test_what_is_drawn_is_like_what_was_learnt(model: Flow, real: Table) -> None:
    found = quality(real, model.sample(1_500, seed=1))
    assert found.shape > 0.92
    assert found.trend > 0.91
    alone = workers(1_500, 3)
    alone.values["pay"][:] = np.random.default_rng(0).permutation(alone.values["pay"])
    assert quality(real, alone).trend < found.trend


def test_all_that_is_drawn_under_conditions_fulfils_them(model: Flow) -> None:
    where: dict[str, Wanted] = {
        "age": Range(low=30, high=34),
        "trade": frozenset({"nurse", "clerk"}),
        "pay": Range(low=1_000),
    }
    drawn = model.sample_conditionally(300, where)
    assert set(drawn.values["age"]) <= {30, 31, 32, 33, 34}
    assert set(drawn.values["trade"]) == {"nurse", "clerk"}
    assert drawn.values["pay"].min() >= 1_000
    assert np.mean(drawn.values["pensioner"] == "no") > 0.95
    for trade, pay in {"clerk": 900 + 20 * 32, "nurse": 2_000 + 20 * 32}.items():
        of_trade = drawn.values["pay"][drawn.values["trade"] == trade]
        assert abs(np.median(of_trade) - pay) < 200


def test_what_one_record_in_a_thousand_is_can_be_asked_for(real: Table) -> None:
    many = workers(8_000, 5)
    model = Flow.fit(many, TINY)[0]
    assert np.sum(many.values["trade"] == "diver") == 8
    drawn = model.sample_conditionally(1_000, {"trade": frozenset({"diver"})})
    assert set(drawn.values["trade"]) == {"diver"}
    nothing = model.sample_conditionally(50, {"pay": frozenset({None}), "age": Range(high=18)})
    assert np.isnan(nothing.values["pay"]).all()
    assert set(nothing.values["age"]) == {18}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"trade": frozenset({"pilot"})}, "no record can have 'trade' like that"),
        ({"age": Range(low=200)}, "no record can have 'age' like that"),
        ({"age": frozenset({None})}, "no record can have 'age' like that"),
        ({"hat": frozenset({"red"})}, "there is no column 'hat'"),
        ({"key": frozenset({"w1-1"})}, "'key' is not learnt"),
    ],
)
def test_what_no_record_can_be_is_said(model: Flow, where: dict[str, Wanted], said: str) -> None:
    with pytest.raises(SyntheticError, match=said):
        model.sample_conditionally(10, where)


def test_the_density_of_deviates_is_one_in_all(rough: FlowNetwork) -> None:
    """Summed over a grid, for records of which two deviates are not known."""
    grid = torch.linspace(-8, 8, 250, dtype=torch.float64)
    across, up = torch.meshgrid(grid, grid, indexing="ij")
    values = torch.zeros(250 * 250, rough.numbers, dtype=torch.float64)
    values[:, 0], values[:, 1] = across.flatten(), up.flatten()
    values[:, 2] = 0.7
    classes = torch.zeros(len(values), len(rough.classes.sizes), dtype=torch.int64)
    classes[:, rough.deviate_of] = rough.last
    known = torch.zeros(values.shape, dtype=torch.bool)
    known[:, 2] = True
    with torch.no_grad():
        density = (-rough.deviate_nats(classes, values, known).double()).exp()
    assert float(density.sum() * (16 / 249) ** 2) == pytest.approx(1, abs=0.02)


def test_noise_becomes_what_became_that_noise_and_what_is_known_stays(rough: FlowNetwork) -> None:
    assert rough.flow is not None
    chance = torch.Generator().manual_seed(1)
    classes = torch.stack(
        [torch.randint(0, size, (200,), generator=chance) for size in rough.classes.sizes], dim=1
    )
    values = torch.randn(200, rough.numbers, generator=chance, dtype=torch.float64)
    there = rough.has_deviate(classes)
    known = there & (torch.rand(there.shape, generator=chance) < 0.4)
    context, hidden = rough.flow.given(classes), there & ~known
    with torch.no_grad():
        noise = rough.flow(values, context, hidden, known).values
        again = rough.flow.back(noise, context, hidden, known)
    torch.testing.assert_close(again, values, atol=1e-6, rtol=0)
    assert torch.equal(noise[~hidden], values[~hidden])
    assert not torch.equal(noise[hidden], values[hidden])


def test_what_is_hidden_is_looked_at_by_nobody(rough: FlowNetwork) -> None:
    """A class depends on what is known alone, and a density not on deviates that are not there."""
    classes = torch.zeros(2, len(rough.classes.sizes), dtype=torch.int64)
    values = torch.tensor([[5.0] * rough.numbers, [-5.0] * rough.numbers]).double()
    nothing = torch.zeros(values.shape, dtype=torch.bool)
    assert not rough.has_deviate(classes).any()
    nats = rough.deviate_nats(classes, values, nothing)
    assert nats.tolist() == [0, 0]


def test_a_record_that_contradicts_itself_is_stranger_than_others(model: Flow) -> None:
    usual, odd, far = workers(200, 4), workers(200, 4), workers(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    far.values["pay"][:] = np.where(np.isnan(far.values["pay"]), np.nan, 1e9)
    scores = [model.score_anomalies(table).mean() for table in (usual, odd, far)]
    assert all(later > scores[0] + 1 for later in scores[1:])


def test_the_same_table_and_seed_give_the_same_weights_and_records(real: Table) -> None:
    first, second, other = (Flow.fit(real, TINY, Fitting(seed=seed))[0] for seed in (5, 5, 6))
    for name, array in first.arrays().items():
        assert np.array_equal(array, second.arrays()[name]), name
    assert same(first.sample(1_200, seed=3), second.sample(1_200, seed=3))
    assert not same(first.sample(50, seed=3), first.sample(50, seed=4))
    assert not same(first.sample(50, seed=3), other.sample(50, seed=3))


def test_more_records_begin_with_the_same_ones(model: Flow) -> None:
    few, more = model.sample(1_000, seed=2), model.sample(1_700, seed=2)
    assert few.records() == more.records()[:1_000]
    assert len(model.sample(0)) == 0


@pytest.mark.parametrize("kind", ["numbers", "names", "constant", "empty"])
def test_a_table_of_one_column_can_be_learnt(kind: str) -> None:
    table = one_column(kind)
    model = Flow.fit(table, TINY)[0]
    drawn = model.sample(60)
    assert {type(one) for one in drawn.values["it"]} <= {type(one) for one in table.values["it"]}
    assert np.isfinite(model.score_anomalies(table)).all()


def test_columns_with_little_to_learn_can_be_learnt(tmp_path: Path) -> None:
    table = odd_columns(400)
    model = Flow.fit(table, TINY)[0]
    drawn = model.sample(200)
    assert set(drawn.values["same"]) == {4}
    assert set(drawn.values["alone"]) == {"x"}
    assert set(drawn.values["empty"]) == {None}
    assert len(set(drawn.values["name"]) - set(table.values["name"])) == 200
    save_generator(model, tmp_path)
    assert same(load_generator(tmp_path).sample(200), drawn)


@pytest.mark.slow
def test_a_table_of_very_many_names_a_column_makes_no_large_model() -> None:
    chance = np.random.default_rng(0)
    names = np.array([f"n{number}" for number in range(10_000)], np.object_)
    like = one_column("names")
    column = like.schema.columns[0]
    schema = type(like.schema)(
        columns=tuple(type(column)(name=f"c{n}", kind="category") for n in range(8))
    )
    values = {one.name: names[chance.integers(0, 10_000, 60_000)] for one in schema.columns}
    model = Flow.fit(Table(schema=schema, values=values), Settings(steps=1, batch_size=32))[0]
    assert sum(array.nbytes for array in model.arrays().values()) < 8 * 2**20


def test_what_is_saved_and_loaded_draws_and_judges_the_same(model: Flow, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, Flow)
    assert same(again.sample(200, seed=9), model.sample(200, seed=9))
    strange = workers(50, 8)
    assert np.array_equal(again.score_anomalies(strange), model.score_anomalies(strange))


def test_files_that_do_not_fit_together_are_refused(model: Flow, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    for change in (
        {"settings": {**about["settings"], "layers": 9}},
        {"settings": {**about["settings"], "what": 1}},
        {"codecs": about["codecs"][:-1]},
        {"codecs": [["age", "pickle"]]},
    ):
        (tmp_path / ABOUT).write_text(json.dumps({**about, **change}))
        with pytest.raises(ModelFileError, match="does not fit together"):
            load_generator(tmp_path)


def test_too_few_records_are_refused() -> None:
    with pytest.raises(SyntheticError, match="99 records are too few"):
        Flow.fit(workers(99, 1), TINY)
