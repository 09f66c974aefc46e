"""Whether synthetic records are records of the kind that was asked for."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.distances import codes_of, is_ordered, present
from rag_pipeline.synthetic.tables.table import Column, Table, Values

Truths: TypeAlias = npt.NDArray[np.bool_]
Constraints: TypeAlias = Callable[[Table], Truths]
"""(records,): which records fulfil all that was declared."""


def valid(table: Table, constraints: Constraints | None = None) -> Truths:
    """(records,): which have values that their columns have room for, and fulfil the constraints.

    Numbers are finite, whole or rounded where the column says so, and keys stand for one record
    each.
    """
    fits = np.ones(len(table), np.bool_)
    for column in table.schema.columns:
        fits &= _fits(column, table.values[column.name])
    return fits & constraints(table) if constraints else fits


def _fits(column: Column, values: Values) -> Truths:
    if not column.is_numeric:
        return _own(values) if column.is_key else np.ones(values.shape, np.bool_)
    numbers = np.asarray(values, np.float64)
    is_missing = np.isnan(numbers)
    if column.kind == "boolean":
        return is_missing | np.isin(numbers, (0.0, 1.0))
    decimals = 0 if column.kind == "integer" else column.decimals
    there = np.where(np.isfinite(numbers), numbers, 0.0)
    is_rounded = True if decimals is None else np.round(there, decimals) == there
    return is_missing | (np.isfinite(numbers) & is_rounded)


def _own(values: Values) -> Truths:
    _, place, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    return np.asarray(counts[place] == 1)


def unseen(train: Table, table: Table, columns: list[str]) -> Truths:
    """(records,): which have a value outside of what was learnt from: beyond the ends of numbers, a
    name that was not there, or none where there was always one."""
    found = np.zeros(len(table), np.bool_)
    for name in columns:
        found |= _unseen(train, table, name)
    return found


def _unseen(train: Table, table: Table, name: str) -> Truths:
    known, values = train.values[name], table.values[name]
    if not is_ordered(train, name):
        codes: dict[object, int] = {}
        there = codes_of(known, codes).max(initial=-1)
        return np.asarray(codes_of(values, codes) > there, np.bool_)
    numbers, learnt = np.asarray(values, np.float64), present(known)
    is_missing = np.isnan(numbers)
    if not learnt.size:
        return np.asarray(~is_missing, np.bool_)
    always_there = learnt.size == known.size
    outside = (numbers < learnt.min()) | (numbers > learnt.max())
    return np.asarray(outside | (is_missing & always_there), np.bool_)
