"""A normalising flow that learns a small table."""

import numpy as np
import pytest
import torch
from support.mixed_tables import one_column, workers

from rag_pipeline.synthetic.tables.columns import codes_of, learnt_codecs
from rag_pipeline.synthetic.tables.dequantising import split_columns
from rag_pipeline.synthetic.tables.flow import Flow, Settings
from rag_pipeline.synthetic.tables.flow_network import FlowNetwork
from rag_pipeline.synthetic.tables.table import Table

TINY = Settings(width=8, depth=1, layers=2, bins=4, steps=3, batch_size=32)


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


def test_more_records_begin_with_the_same_ones() -> None:
    model, _ = Flow.fit(workers(600, 0), TINY)
    few, more = model.sample(1_000, seed=2), model.sample(1_700, seed=2)
    assert few.records() == more.records()[:1_000]


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
