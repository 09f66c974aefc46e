"""The columns of a table that are learnt, and a table again of what is drawn for them."""

from collections.abc import Mapping

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import (
    Codec,
    Codes,
    NumberCodec,
    Shares,
    Wanted,
    encoded,
    learnt,
)
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, Values

FEWEST_RECORDS = 100


def learnt_codecs(table: Table) -> dict[str, Codec]:
    """By name, a codec for each column but keys and texts.

    Raises `SyntheticError` for fewer than `FEWEST_RECORDS` records, and for no such column.
    """
    if len(table) < FEWEST_RECORDS:
        raise SyntheticError(
            f"{len(table)} records are too few to learn from without learning them by heart: give"
            f" at least {FEWEST_RECORDS}"
        )
    codecs = {
        column.name: learnt(column, table.values[column.name], columns=len(table.values))
        for column in table.schema.columns
        if column.is_learnt
    }
    if not codecs:
        raise SyntheticError("only keys and texts are there, of which nothing can be learnt")
    return codecs


def codes_of(codecs: Mapping[str, Codec], table: Table) -> Codes:
    """(records, columns). Raises `SyntheticError` for a table without one of the columns, or with
    names where numbers were learnt."""
    for name, codec in codecs.items():
        if name not in table.values:
            raise SyntheticError(f"the table has no column {name!r}, which was learnt from")
        has_numbers = table.values[name].dtype != np.object_
        if has_numbers != isinstance(codec, NumberCodec):
            kind = "names" if has_numbers else "numbers"
            raise SyntheticError(f"{name!r} was learnt as a column of {kind}: declare it so")
    return encoded([*codecs.values()], [table.values[name] for name in codecs])


def wanted_shares(
    schema: Schema, codecs: Mapping[str, Codec], where: Mapping[str, Wanted]
) -> dict[int, Shares]:
    """By the number of a column, which part of each code's values is wanted, (codes,).

    Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
    """
    found: dict[int, Shares] = {}
    names = [*codecs]
    for name, wanted in where.items():
        if name not in codecs:
            schema.column(name)
            raise SyntheticError(f"the column {name!r} is not learnt: ask for another one")
        codec = codecs[name]
        shares = codec.shares(wanted) * codec.drawable
        if not shares.any():
            raise SyntheticError(
                f"no record can have {name!r} like that: too few of those learnt from do"
            )
        found[names.index(name)] = shares
    return found


def drawn_table(schema: Schema, drawn: Mapping[str, Values], count: int, *, seed: int) -> Table:
    """`count` records of what was drawn, by column; the rest is issued anew or left out."""
    columns = {
        column.name: drawn[column.name] if column.name in drawn else unlearnt(column, count, seed)
        for column in schema.columns
    }
    return Table(schema=schema, values=columns)


def unlearnt(column: Column, count: int, seed: int) -> Values:
    """Keys are issued anew; texts are left out."""
    if not column.is_key:
        return np.full(count, None, np.object_)
    return np.array([f"synthetic-{seed}-{number}" for number in range(count)], np.object_)
