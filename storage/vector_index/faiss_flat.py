"""Nearest neighbours with FAISS, exactly: flat segments, scanned by its kernels.

FAISS finds candidates in float32; their scores are computed again in float64, so that the same
chunk has the same score in every segment, and ties are ties.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from storage.errors import NotFoundError, SealError
from storage.ranking import ROUNDING, Scores, best
from storage.records import Entries, Ids, Position, Scored, Vectors
from storage.sealed import Array, Meta
from storage.segments import Mask, Part, SegmentStore
from storage.vector_index.scoring import checked_query, checked_vectors, inner_products

_OVERFETCH = 32
"""Candidates beyond `limit` that are fetched at once: enough unless many scores are alike."""
_FEW_ROWS = 512
"""So many rows are scored directly as fast as FAISS picks them out of 100,000."""
_HALF_ULP = 2.0**-24


@dataclass(frozen=True, slots=True, eq=False)
class _FlatSegment:
    """Row i of `vectors` (rows, dimension) belongs to `ids[i]`; it is a view into `index`."""

    ids: Ids
    index: faiss.IndexFlatIP
    vectors: Vectors
    longest: float
    """The largest norm among the vectors."""


@dataclass(frozen=True, slots=True)
class _FlatFormat:
    dimension: int
    kind: str = "vectors/faiss-flat-ip"

    @property
    def meta(self) -> Meta:
        return {"dimension": self.dimension}

    def merge(self, parts: Sequence[Part[_FlatSegment]]) -> _FlatSegment:
        ids = np.concatenate([np.empty(0, np.int64), *(part.live_ids() for part in parts)])
        nothing = np.empty((0, self.dimension), np.float32)
        kept = (part.segment.vectors[part.live] for part in parts)
        order = np.argsort(ids)
        return _segment(ids[order], np.concatenate([nothing, *kept])[order])

    def arrays(self, segment: _FlatSegment) -> Mapping[str, Array]:
        return {"ids": segment.ids, "faiss": faiss.serialize_index(segment.index)}

    def segment(self, arrays: Mapping[str, Array]) -> _FlatSegment:
        try:
            index = faiss.deserialize_index(arrays["faiss"])
        except RuntimeError as error:
            raise SealError("FAISS can't read its part of a sealed file; rebuild it") from error
        if not isinstance(index, faiss.IndexFlatIP) or index.d != self.dimension:
            raise SealError("a sealed file holds another kind of FAISS index; rebuild it")
        if index.ntotal != arrays["ids"].size:
            raise SealError("a sealed file holds more keys or fewer than vectors; rebuild it")
        return _view(arrays["ids"], index)


class FaissFlatIndex:
    """A `VectorIndex` kept in segments of `faiss.IndexFlatIP`, cached in one sealed file.

    Exact: every chunk that is as good as the last one returned was weighed. Candidates are fetched
    until the worst of them lies below the cut by more than float32 can err.
    """

    def __init__(self, path: Path, *, dimension: int, publish_after: int = 500) -> None:
        self._dimension = dimension
        self._store = SegmentStore(path, _FlatFormat(dimension), publish_after=publish_after)

    @property
    def applied(self) -> Position:
        """Where the index stands."""
        return self._store.state.position

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed`, take in `added`, stand at `position`."""
        vectors = checked_vectors(added.ids, added.vectors, self._dimension)
        self._store.apply(removed=removed, added=_segment(added.ids, vectors), position=position)

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._store.reset()

    def publish(self) -> None:
        """Seal the present state, if that is worth its cost now."""
        self._store.publish()

    def keys(self) -> Ids:
        """Every key that is held, ascending."""
        return self._store.state.keys()

    def vectors(self, ids: Ids) -> Vectors:
        """What is held of `ids`, float32 (ids.size, dimension); `NotFoundError` if one is not."""
        found = np.empty((ids.size, self._dimension), np.float32)
        is_missing = np.ones(ids.size, np.bool_)
        for part in self._store.state.parts:
            wanted = np.isin(ids, part.live_ids())
            found[wanted] = part.segment.vectors[np.searchsorted(part.segment.ids, ids[wanted])]
            is_missing &= ~wanted
        if is_missing.any():
            raise NotFoundError(f"the vector index holds no chunk {ids[is_missing][0]}; rebuild it")
        return found

    def search(self, query: Vectors, *, limit: int, allowed: Ids | None = None) -> list[Scored]:
        """The best `limit` chunks by inner product, highest first, equal ones by key."""
        query = checked_query(query, self._dimension)
        if limit < 1:
            return []
        found = [_nearest(part, query, limit, allowed) for part in self._store.state.parts]
        ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        return best(ids, np.concatenate([np.empty(0), *(scores for _, scores in found)]), limit)


def _segment(ids: Ids, vectors: Vectors) -> _FlatSegment:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return _view(ids, index)


def _view(ids: Ids, index: faiss.IndexFlatIP) -> _FlatSegment:
    flat = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    vectors: Vectors = flat.reshape(index.ntotal, index.d)
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return _FlatSegment(ids, index, vectors, float(np.sqrt(squares.max(initial=0.0))))


def _nearest(
    part: Part[_FlatSegment], query: Vectors, limit: int, allowed: Ids | None
) -> tuple[Ids, Scores]:
    """Every row that may be among the best `limit` of this part, with its score."""
    segment, mask = part.segment, part.rows_allowed(allowed)
    rows = int(np.count_nonzero(mask)) if mask is not None else segment.ids.size
    wanted = limit + _OVERFETCH
    while wanted < rows and rows > _FEW_ROWS:
        approximate, near = _fetch(segment, query, wanted, mask)
        scores = inner_products(segment.vectors, near, query)
        # What FAISS left out scores no higher than this.
        bound = float(approximate[-1]) + _error(segment, query)
        if bound < np.sort(scores)[-limit] - 2 * ROUNDING:
            return segment.ids[near], scores
        wanted *= 4
    every = np.arange(rows) if mask is None else np.flatnonzero(mask)
    return segment.ids[every], inner_products(segment.vectors, every, query)


def _fetch(
    segment: _FlatSegment, query: Vectors, wanted: int, mask: Mask | None
) -> tuple[Vectors, Ids]:
    """FAISS's scores, highest first, and rows. It scans for one query in the calling thread."""
    options = faiss.SearchParameters()
    if mask is not None:
        bits = np.packbits(mask, bitorder="little")
        # Named so that it outlives the search: FAISS holds bare pointers.
        selector = faiss.IDSelectorBitmap(bits.size, faiss.swig_ptr(bits))
        options.sel = selector
    scores, rows = segment.index.search(query[np.newaxis], wanted, params=options)
    return scores[0], rows[0]


def _error(segment: _FlatSegment, query: Vectors) -> float:
    """How far a float32 inner product can lie from the true one, in whatever order it is summed.

    n · u · |x| · |q|, doubled for the terms of higher order (Higham 2002, "Accuracy and Stability
    of Numerical Algorithms", section 3.1).
    """
    norm = float(np.linalg.norm(query.astype(np.float64)))
    return 2 * query.size * _HALF_ULP * segment.longest * norm
