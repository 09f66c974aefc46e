"""The best rows by comparing with each: FAISS's kernels weigh in float32, float64 decides."""

from math import sqrt

import faiss
import numpy as np
import numpy.typing as npt

from storage.ranking import ROUNDING, Scores, least_of_best
from storage.records import Ids, Vectors
from storage.vector_index.scoring import inner_products

_FEW_ROWS = 64
"""So many rows are scored as fast as they are weighed."""
_HALF_ULP = 2.0**-24


def longest(vectors: Vectors) -> float:
    """The largest norm of a row."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return float(np.sqrt(squares.max(initial=0.0)))


def nearest(
    vectors: Vectors, rows: Ids | None, query: Vectors, limit: int, *, norm: float
) -> tuple[Ids, Scores]:
    """Of `rows` (None: all), each that may be among the best `limit` once scores are rounded.

    Exact: rows are left out whose float32 score lies below the cut by more than float32 can err.
    `norm` is the largest norm of a row.
    """
    every = np.arange(vectors.shape[0]) if rows is None else rows
    if every.size > max(limit, _FEW_ROWS):
        weighed = _weighed(vectors, rows, query)
        slack = 2 * _error(query, norm) + 2 * ROUNDING
        every = every[weighed >= least_of_best(weighed, limit) - slack]
    return every, inner_products(vectors, every, query)


def _weighed(vectors: Vectors, rows: Ids | None, query: Vectors) -> npt.NDArray[np.float32]:
    """Inner products in float32."""
    count = vectors.shape[0] if rows is None else rows.size
    weighed = np.empty(count, np.float32)
    # FAISS would wake a thread a core, for less work than that takes. Holds for this thread only.
    faiss.omp_set_num_threads(1)
    given = [faiss.swig_ptr(array) for array in (weighed, query, vectors)]
    if rows is None:
        faiss.fvec_inner_products_ny(*given, query.size, count)  # type: ignore[attr-defined]
    else:
        given.append(faiss.swig_ptr(rows))
        faiss.fvec_inner_products_by_idx(*given, query.size, 1, count)  # type: ignore[attr-defined]
    return weighed


def _error(query: Vectors, norm: float) -> float:
    """How far a float32 inner product can lie from the true one, in whatever order it is summed.

    n · u · |x| · |q|, doubled for the terms of higher order (Higham 2002, "Accuracy and Stability
    of Numerical Algorithms", section 3.1).
    """
    wide = query.astype(np.float64)
    return 2 * query.size * _HALF_ULP * norm * sqrt(wide.dot(wide))
