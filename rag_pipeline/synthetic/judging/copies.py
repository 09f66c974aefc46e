"""Which synthetic records are real ones."""

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.judging.distances import codes_of
from rag_pipeline.synthetic.tables.table import Table, Values

Keys = npt.NDArray[np.uint64]

_GOLDEN, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def compared(table: Table) -> list[str]:
    """The columns that are learnt and judged: neither keys nor texts."""
    return [column.name for column in table.schema.columns if column.is_learnt]


def row_keys(tables: list[Table], columns: list[str]) -> list[Keys]:
    """(records,) for each table: the same number for records that are the same in all columns.

    64 bits: two different records out of a million share one with a chance of 1 in 37 million.
    """
    known: dict[str, dict[object, int]] = {name: {} for name in columns}
    return [_keys(table, known) for table in tables]


def _keys(table: Table, known: dict[str, dict[object, int]]) -> Keys:
    keys = np.zeros(len(table), np.uint64)
    for name, codes in known.items():
        keys = mixed(keys + _GOLDEN) ^ _bits(table.values[name], codes)
    return mixed(keys + _GOLDEN)


def _bits(values: Values, known: dict[object, int]) -> Keys:
    if values.dtype == np.object_:
        return codes_of(values, known).astype(np.uint64)
    numbers = np.asarray(values, np.float64)
    # One form for all zeros and for all that is missing.
    return np.where(np.isnan(numbers), np.nan, numbers + 0.0).view(np.uint64)


def mixed(keys: Keys) -> Keys:
    """Each bit depends on all (splitmix64; Steele, Lea and Flood, OOPSLA 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * _FIRST
    keys = (keys ^ (keys >> np.uint64(27))) * _SECOND
    return np.asarray(keys ^ (keys >> np.uint64(31)), np.uint64)


def once(keys: Keys) -> Keys:
    """Those that are there once, in ascending order."""
    values, counts = np.unique(keys, return_counts=True)
    return np.asarray(values[counts == 1], np.uint64)


def copies_of_unique(train: Table, synthetic: Table) -> npt.NDArray[np.int64]:
    """The places of synthetic records that are, but for keys and texts, a record which is there
    once among those that were learnt from."""
    theirs, ours = row_keys([train, synthetic], compared(train))
    return np.flatnonzero(np.isin(ours, once(theirs)))


def without_copies(train: Table, synthetic: Table) -> tuple[Table, npt.NDArray[np.int64]]:
    """The records that may be stored, and the places of those that are left out."""
    at = copies_of_unique(train, synthetic)
    return synthetic.rows(np.delete(np.arange(len(synthetic)), at)), at
