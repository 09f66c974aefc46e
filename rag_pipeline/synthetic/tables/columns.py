"""The columns of a table that are learnt, and a table again of what is drawn for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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

Missing = npt.NDArray[np.bool_]

FEWEST_RECORDS = 100
_BLOCK = 1_000
_BLOCKS_APART = 1_000_003


class Block(NamedTuple):
    """Records that are drawn together, with chance of their own."""

    first: int
    """The place of the first among all."""
    size: int
    seed: int


def blocks(count: int, seed: int) -> list[Block]:
    """So many records in blocks; one of no records where none is asked for."""
    return [
        Block(first, min(_BLOCK, count - first), block_seed(seed, first))
        for first in range(0, max(count, 1), _BLOCK)
    ]


def block_seed(seed: int, first: int) -> int:
    """Another for each block."""
    return seed * _BLOCKS_APART + first


def schema_of(about: Mapping[str, Any], codecs: Mapping[str, Codec]) -> Schema:
    """The one that a generator with these codecs was saved with. Raises `ValueError` for that of
    another table."""
    schema = Schema.from_json(about["schema"])
    if [column.name for column in schema.columns if column.is_learnt] != [*codecs]:
        raise ValueError("what was learnt is not what the schema says")
    return schema


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


def joined(parts: Sequence[Mapping[str, Values]], names: Iterable[str]) -> dict[str, Values]:
    """The columns of those names, of all blocks one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def filled_in(
    table: Table, codecs: Mapping[str, Codec], codes: Codes, is_missing: Missing, seed: int
) -> Table:
    """The same records with values for the codes (records, columns) where something is missing."""
    within = np.random.default_rng(seed)
    values = dict(table.values)
    for column, (name, codec) in enumerate(codecs.items()):
        at = is_missing[:, column]
        values[name] = values[name].copy()
        values[name][at] = codec.decode(codes[at, column], within, None)
    return Table(schema=table.schema, values=values)


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
