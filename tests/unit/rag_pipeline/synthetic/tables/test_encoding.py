"""Records as vectors, and back."""

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.encoding import Encoding
from rag_pipeline.synthetic.tables.table import Table, table_of


def mixed(count: int = 400) -> Table:
    chance = np.random.default_rng(1)
    return table_of(
        {
            "skewed": round(float(np.exp(chance.normal(3, 2))), 4),
            "mostly_none": 0 if chance.random() < 0.9 else int(chance.integers(1, 9_000)),
            "holes": None if chance.random() < 0.2 else float(round(chance.normal(), 3)),
            "trade": str(chance.choice(["smith", "clerk", "nurse"])),
            "same": 7,
            "nothing": None,
        }
        for _ in range(count)
    )


def encode(table: Table, seed: int = 0) -> tuple[Encoding, np.ndarray]:
    encoding = Encoding.learnt(table)
    return encoding, encoding.vectors(table, np.random.default_rng(seed))


def test_each_column_of_numbers_is_normal_whatever_it_looked_like() -> None:
    encoding, vectors = encode(mixed(4_000))
    deviates = [vectors[:, block.start] for block in encoding.blocks if not block.is_choice]
    assert len(deviates) == 4
    for deviate in deviates:
        assert abs(deviate.mean()) < 0.08
        assert abs(deviate.std() - 1) < 0.08
        assert np.isfinite(deviate).all()


def test_vectors_give_the_records_back() -> None:
    table = mixed()
    encoding, vectors = encode(table)
    values = encoding.values(vectors)
    for name in ("mostly_none", "trade", "same"):
        whole = table.values[name] == values[name]
        assert whole.mean() > 0.95, name  # of what is rare, a neighbour
    assert np.array_equal(np.isnan(table.values["holes"]), np.isnan(values["holes"]))
    assert all(value is None for value in values["nothing"])
    inner = np.argsort(table.values["skewed"])[20:-20]
    told = values["skewed"][inner] / table.values["skewed"][inner]
    assert np.abs(told - 1).max() < 0.2
    assert np.median(np.abs(told - 1)) < 0.01


def test_what_is_wanted_is_what_comes_of_any_vector() -> None:
    encoding, vectors = encode(mixed())
    wild = np.random.default_rng(3).normal(0, 3, vectors.shape).astype(np.float32)
    for where in (
        {"skewed": Range(low=20, high=21), "trade": frozenset({"nurse"})},
        {"holes": frozenset({None}), "mostly_none": Range(low=1)},
        {"holes": Range()},
    ):
        values = encoding.values(wild, where)
        schema = mixed().schema
        assert fulfilling(Table(schema=schema, values=values), where).all()


def test_a_table_that_lacks_a_column_or_has_another_kind_is_refused() -> None:
    table = mixed()
    encoding, _ = encode(table)
    for change, said in (
        ({}, "no column 'skewed'"),
        ({"skewed": table.values["trade"]}, "numbers"),
    ):
        kept = {name: column for name, column in table.values.items() if name != "skewed"}
        other = Table(schema=table.schema, values={**kept, **change})
        with pytest.raises(SyntheticError, match=said):
            encoding.vectors(other, np.random.default_rng(0))


def test_what_about_and_arrays_say_is_the_same_encoding() -> None:
    table = mixed()
    encoding, vectors = encode(table)
    again = Encoding.restored(encoding.about(), encoding.arrays())
    assert np.array_equal(again.vectors(table, np.random.default_rng(0)), vectors)
