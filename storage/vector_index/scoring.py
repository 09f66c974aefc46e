"""The score of a vector, the same whatever else is held and however it was found."""

import numpy as np

from storage.errors import SpaceMismatchError
from storage.ranking import Scores
from storage.records import Ids, Vectors

_ROWS_A_BLOCK = 1024


def inner_products(vectors: Vectors, rows: Ids, query: Vectors) -> Scores:
    """`vectors[rows] · query` in float64, each row summed by itself: no other row can sway it."""
    wide = query.astype(np.float64)
    scores = np.empty(rows.size)
    for start in range(0, rows.size, _ROWS_A_BLOCK):
        block = slice(start, start + _ROWS_A_BLOCK)
        # A matrix product would sum in an order that depends on how many rows there are.
        np.add.reduce(vectors.take(rows[block], axis=0) * wide, axis=1, out=scores[block])
    return scores


def checked_query(query: Vectors, dimension: int) -> Vectors:
    """`query` itself; `SpaceMismatchError` if it can't be compared with what the index holds."""
    if query.shape != (dimension,) or not np.isfinite(query).all():
        raise SpaceMismatchError(
            f"a query of shape {query.shape} can't be compared with vectors of {dimension} finite "
            "numbers; embed it with the model of this collection"
        )
    return np.ascontiguousarray(query, np.float32)


def checked_vectors(ids: Ids, vectors: Vectors, dimension: int) -> Vectors:
    """`vectors` themselves; `SpaceMismatchError` if they are not one of `dimension` for each id."""
    if vectors.shape != (ids.size, dimension):
        raise SpaceMismatchError(
            f"vectors of shape {vectors.shape} don't fit {ids.size} chunks of an index of "
            f"dimension {dimension}; embed them with the model of this collection"
        )
    return np.ascontiguousarray(vectors, np.float32)
