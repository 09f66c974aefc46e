"""Which rows of a large segment to weigh: an inverted file over product-quantised vectors.

Rows lie in cells around centroids; a query looks into the nearest cells only (Sivic & Zisserman,
ICCV 2003), at codes of 4 bits for every two numbers, which are compared in registers (Jégou et al.
2011, "Product quantization for nearest neighbor search"; André et al., VLDB 2015). What this finds
are candidates: their scores are taken from the vectors themselves.

How many cells and how many candidates are enough is measured when the segment is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from storage.errors import SealError
from storage.records import Ids, Vectors
from storage.sealed import Array
from storage.segment_files import Mask

CellNumbers = npt.NDArray[np.int32]

_BITS = 4
_NUMBERS_A_CODE = (2, 3, 1)
_TRAINED_ON = 40
"""Rows a cell that its centroid is learned from."""
_ITERATIONS = 6
_SAMPLED_QUERIES = 128
_DEPTH = 10
_RECALL = 0.99
"""The share of the best `_DEPTH` that the sampled queries must find."""
_CODE_RECALL = 0.998
"""The same when all cells are looked into, so that only the codes can err."""
_CANDIDATES = (512, 1024, 2048)
_CANDIDATES_A_RESULT = 4
_PROBE_STEPS = 12
"""Cells to look into are tried from 1/64 of them in steps of √2."""
_FEW_ROWS = 1 << 14
"""So many rows are weighed one by one as fast as the right ones are found."""
_NARROW = 8
"""Where fewer than one row in so many is allowed, codes would be compared mostly in vain."""
_SAMPLED_ROWS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Row i of a segment lies in cell `of_rows[i]`."""

    index: faiss.IndexIVFPQFastScan
    of_rows: CellNumbers
    probes: int
    """How many cells a query looks into."""
    candidates: int
    """How many rows are weighed for `_DEPTH` results."""
    recall: float
    """What these two found of the sampled queries' best."""

    @property
    def count(self) -> int:
        """How many cells there are."""
        return int(self.index.nlist)

    def arrays(self) -> Mapping[str, Array]:
        """What `from_arrays` takes."""
        return {
            "faiss": faiss.serialize_index(self.index),
            "cells": self.of_rows,
            "effort": np.array([self.probes, self.candidates], np.int64),
            "recall": np.array([self.recall]),
        }

    def near(self, query: Vectors, limit: int, mask: Mask | None) -> Ids | None:
        """The rows under `mask` that are likely to hold the best `limit`; None for every row."""
        rows = self.of_rows.size
        allowed = rows if mask is None else int(np.count_nonzero(mask))
        wanted = self.candidates + _CANDIDATES_A_RESULT * max(limit - _DEPTH, 0)
        if allowed <= max(_FEW_ROWS, _CANDIDATES_A_RESULT * wanted):
            return None if mask is None else np.flatnonzero(mask)
        if mask is None:
            return _fetched(self.index, query, wanted, self.probes, None)
        order, probes = self._nearest_cells(query, mask, allowed)
        if allowed * _NARROW < rows:
            return self._gathered(order[:probes], mask)
        return _fetched(self.index, query, wanted, probes, mask)

    def _nearest_cells(self, query: Vectors, mask: Mask, allowed: int) -> tuple[Ids, int]:
        """All cells, the nearest first, and how many of them hold enough rows that are allowed.

        The fewer are allowed, the farther apart they lie: among a of n rows, √(a · n) times the
        share that is looked into without a mask is enough by measurement.
        """
        faiss.omp_set_num_threads(1)
        _, (order,) = self.index.quantizer.search(query[np.newaxis], self.count)
        enough = self.probes / self.count * (allowed * self.of_rows.size) ** 0.5
        sample = slice(None, None, _SAMPLED_ROWS)
        held = np.bincount(self.of_rows[sample][mask[sample]], minlength=self.count)[order]
        covered = np.cumsum(held) * _SAMPLED_ROWS
        return order, int(np.searchsorted(covered, max(enough, _FEW_ROWS))) + 1

    def _gathered(self, cells: Ids, mask: Mask) -> Ids:
        is_near = np.zeros(self.count, np.bool_)
        is_near[cells] = True
        rows = np.flatnonzero(mask)
        return rows[is_near[self.of_rows[rows]]]


def build(vectors: Vectors) -> Cells | None:
    """Cells for these rows; None where they would not find enough of what is there."""
    rows, dimension = vectors.shape
    cells = 1 << round(np.log2(rows) / 2)
    width = next(width for width in _NUMBERS_A_CODE if dimension % width == 0)
    faiss.omp_set_num_threads(1)
    index = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(dimension),
        dimension,
        cells,
        dimension // width,
        _BITS,
        faiss.METRIC_INNER_PRODUCT,
    )
    for learned in (index.cp, index.pq.cp):
        learned.niter, learned.min_points_per_centroid = _ITERATIONS, 1
    index.cp.max_points_per_centroid = _TRAINED_ON
    sample = np.random.default_rng(0).choice(rows, min(rows, cells * _TRAINED_ON), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    return _tuned(index, vectors)


def from_arrays(arrays: Mapping[str, Array], *, dimension: int) -> Cells:
    """The cells that these arrays were taken from; `SealError` if they can't be some."""
    try:
        index = faiss.deserialize_index(arrays["faiss"])
    except RuntimeError as error:
        raise SealError("FAISS can't read its part of a sealed file; rebuild it") from error
    if not isinstance(index, faiss.IndexIVFPQFastScan) or index.d != dimension:
        raise SealError("a sealed file holds another kind of FAISS index; rebuild it")
    if index.ntotal != arrays["cells"].size:
        raise SealError("a sealed file holds more codes or fewer than vectors; rebuild it")
    probes, candidates = arrays["effort"].tolist()
    return Cells(index, arrays["cells"], probes, candidates, float(arrays["recall"][0]))


def _tuned(index: faiss.IndexIVFPQFastScan, vectors: Vectors) -> Cells | None:
    """The least effort that finds enough."""
    queries = _sampled_queries(vectors)
    best, _ = faiss.knn(queries, vectors, _DEPTH, faiss.METRIC_INNER_PRODUCT)
    ranked = _ranked(index, queries, _CANDIDATES[-1], index.nlist)
    for candidates in _CANDIDATES:
        if _recall(vectors, queries, ranked[:, :candidates], best) >= _CODE_RECALL:
            break
    for step in reversed(range(_PROBE_STEPS + 1)):
        probes = max(1, round(index.nlist * 2 ** (-step / 2)))
        recall = _recall(vectors, queries, _ranked(index, queries, candidates, probes), best)
        if recall >= _RECALL:
            return Cells(index, _cells_of_rows(index), probes, candidates, recall)
    return None


def _sampled_queries(vectors: Vectors) -> Vectors:
    """Sums of three rows each.

    A question lies between what is there, not beside one row: these need as many cells as real
    questions do, where the rows themselves, or rows with noise, need a quarter.
    """
    chosen = np.random.default_rng(1).integers(0, vectors.shape[0], (3, _SAMPLED_QUERIES))
    return np.asarray(vectors[chosen].sum(axis=0), np.float32)


def _ranked(index: faiss.IndexIVFPQFastScan, queries: Vectors, count: int, probes: int) -> Ids:
    """Rows for each query, (queries, count), the most likely first, -1 where there are no more."""
    options = faiss.SearchParametersIVF()
    options.nprobe = probes
    _, rows = index.search(queries, count, params=options)
    return np.asarray(rows)


def _recall(vectors: Vectors, queries: Vectors, ranked: Ids, best: Vectors) -> float:
    """The share of the best scores, (queries, _DEPTH), that the ranked rows reach."""
    found = 0
    for query, rows, scores in zip(queries, ranked, best, strict=True):
        reached = vectors[rows[rows >= 0]] @ query
        tolerance = 1e-5 * float(np.abs(scores).max())
        found += min(np.count_nonzero(reached >= scores[-1] - tolerance), scores.size)
    return found / best.size


def _cells_of_rows(index: faiss.IndexIVFPQFastScan) -> CellNumbers:
    lists = index.invlists
    assert lists is not None
    cells = np.empty(index.ntotal, np.int32)
    for cell in range(index.nlist):
        size = lists.list_size(cell)
        if size:
            cells[faiss.rev_swig_ptr(lists.get_ids(cell), size)] = cell
    return cells


def _fetched(
    index: faiss.IndexIVFPQFastScan, query: Vectors, wanted: int, probes: int, mask: Mask | None
) -> Ids:
    """The `wanted` rows under `mask` that look best, from as many cells as it takes."""
    while True:
        rows = _found(index, query, wanted, min(probes, index.nlist), mask)
        if rows.size == wanted or probes >= index.nlist:
            return rows
        probes *= 4


def _found(
    index: faiss.IndexIVFPQFastScan, query: Vectors, wanted: int, probes: int, mask: Mask | None
) -> Ids:
    faiss.omp_set_num_threads(1)
    options = faiss.SearchParametersIVF()
    options.nprobe = probes
    if mask is not None:
        bits = np.packbits(mask, bitorder="little")
        # Named so that it outlives the search: FAISS holds bare pointers.
        selector = faiss.IDSelectorBitmap(bits.size, faiss.swig_ptr(bits))
        options.sel = selector
    _, rows = index.search(query[np.newaxis], wanted, params=options)
    return np.asarray(rows[0][rows[0] >= 0])
