"""Records of people who never were, made so that columns depend on each other."""

import numpy as np

from rag_pipeline.synthetic.tables.table import Column, Schema, Table, Values

SCHEMA = Schema(
    columns=(
        Column(name="age", kind="integer"),
        Column(name="trade", kind="category"),
        Column(name="town", kind="category"),
        Column(name="pay", kind="number", decimals=0),
        Column(name="height", kind="number", decimals=0),
        Column(name="married", kind="boolean"),
    )
)
NUMBERS = ("age", "pay", "height")


def sailors(count: int, seed: int) -> Table:
    """Pay follows from age and trade; some heights are missing."""
    chance = np.random.default_rng(seed)
    age = chance.integers(18, 90, count).astype(np.float64)
    trade = chance.choice(["smith", "clerk", "nurse"], count, p=[0.5, 0.3, 0.2]).astype(object)
    pay = 20 * age + 900 * (trade == "clerk") + 2_000 * (trade == "nurse")
    height = np.round(chance.normal(170, 10, count))
    height[chance.random(count) < 0.03] = np.nan
    return Table(
        schema=SCHEMA,
        values={
            "age": age,
            "trade": trade,
            "town": chance.choice([f"town {n}" for n in range(40)], count).astype(object),
            "pay": np.round(pay + chance.normal(0, 200, count)),
            "height": height,
            "married": (chance.random(count) < age / 120).astype(np.float64),
        },
    )


def shaken(table: Table, seed: int, share: float = 0.01) -> Table:
    """The same records, each number moved by a share of its column's range."""
    chance = np.random.default_rng(seed)
    moved: dict[str, Values] = {
        name: np.round(values + chance.normal(0, share * np.nanmax(values), len(table)))
        for name, values in table.values.items()
        if name in NUMBERS
    }
    return changed(table, **moved)


def shuffled(table: Table, seed: int) -> Table:
    """Each column as it is, and nothing between them."""
    chance = np.random.default_rng(seed)
    return changed(table, **{name: chance.permutation(v) for name, v in table.values.items()})


def changed(table: Table, **columns: Values) -> Table:
    """The same records with other values in these columns."""
    return Table(schema=table.schema, values={**table.values, **columns})


def together(one: Table, other: Table) -> Table:
    """The records of both."""
    values = {name: np.concatenate([one.values[name], other.values[name]]) for name in one.values}
    return Table(schema=one.schema, values=values)


def first(table: Table, count: int) -> Table:
    """The first records."""
    return table.rows(np.arange(count))
