"""Nearest neighbours with FAISS: small segments are compared with as a whole, in large ones only
the rows that are likely to be near.

Whatever found a row, its score is computed from its vector in float64: the same chunk has the same
score in every segment and in `ExactVectorIndex`, and ties are ties.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from storage.errors import NotFoundError, SealError
from storage.ranking import NOTHING, Listing, Scores, best
from storage.records import Entries, Ids, Position, Vectors
from storage.sealed import Array, Meta
from storage.segments import Mask, Part, SegmentStore
from storage.vector_index import cells
from storage.vector_index.cells import Cells
from storage.vector_index.flat import longest, nearest
from storage.vector_index.scoring import checked_query, checked_vectors

LARGE = 20_000
"""From so many rows on, codes cost less than comparing with every row, by a factor that pays."""


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """Row i of `vectors` (rows, dimension) belongs to `ids[i]`, a chunk of `documents[i]`."""

    ids: Ids
    documents: Ids
    vectors: Vectors
    longest: float
    """The largest norm among the vectors."""
    cells: Cells | None
    """None where every row is compared with."""


@dataclass(frozen=True, slots=True)
class _FaissFormat:
    dimension: int
    large: int
    kind: str = "vectors/faiss/2"

    @property
    def meta(self) -> Meta:
        return {"dimension": self.dimension}

    def merge(self, parts: Sequence[Part[_Segment]]) -> _Segment:
        ids = np.concatenate([np.empty(0, np.int64), *(part.live_ids() for part in parts)])
        places = np.empty(ids.size, np.int64)
        places[np.argsort(ids)] = np.arange(ids.size)
        vectors, first = np.empty((ids.size, self.dimension), np.float32), 0
        documents = np.empty_like(ids)
        for part in parts:
            kept = part.live if part.dead else slice(None)
            at = places[first : first + part.alive]
            documents[at] = part.segment.documents[kept]
            vectors[at] = part.segment.vectors[kept]
            first += part.alive
        return self.made(np.sort(ids), documents, vectors)

    def made(self, ids: Ids, documents: Ids, vectors: Vectors) -> _Segment:
        """A segment of these rows, ids ascending."""
        found = cells.build(vectors) if ids.size >= self.large else None
        return _Segment(ids, documents, vectors, longest(vectors), found)

    def arrays(self, segment: _Segment) -> Mapping[str, Array]:
        plain: dict[str, Array] = {
            "ids": segment.ids,
            "documents": segment.documents,
            "vectors": segment.vectors,
            "longest": np.array([segment.longest]),
        }
        return plain if segment.cells is None else {**plain, **segment.cells.arrays()}

    def segment(self, arrays: Mapping[str, Array]) -> _Segment:
        ids, documents, vectors = arrays["ids"], arrays["documents"], arrays["vectors"]
        if vectors.shape != (ids.size, self.dimension) or documents.shape != ids.shape:
            raise SealError("a sealed file holds more keys or fewer than vectors; rebuild it")
        found = None
        if "cells" in arrays:
            found = cells.from_arrays(arrays, dimension=self.dimension)
        return _Segment(ids, documents, vectors, float(arrays["longest"][0]), found)


class FaissIndex:
    """A `VectorIndex` kept in segments, each sealed in a file of its own.

    Exact where no segment is large. In large ones the rows that are weighed are chosen so that
    sampled queries find 99 % of their ten best; what is found has its exact score all the same.
    """

    reads_texts: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = True

    def __init__(
        self, path: Path, *, dimension: int, publish_after: int = 500, large: int = LARGE
    ) -> None:
        self._form = _FaissFormat(dimension, large)
        self._store = SegmentStore(path, self._form, publish_after=publish_after)

    @property
    def applied(self) -> Position:
        """Where the index stands."""
        return self._store.state.position

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed`, take in `added`, stand at `position`."""
        vectors = checked_vectors(added.ids, added.vectors, self._form.dimension)
        segment = self._form.made(added.ids, added.documents, vectors)
        self._store.apply(removed=removed, added=segment, position=position)

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._store.reset()

    def purge(self) -> None:
        """Keep nothing of what was dropped; the next `publish` writes in any case."""
        self._store.purge()

    def publish(self) -> None:
        """Seal what is new, if that is worth its cost now."""
        self._store.publish()

    def keys(self) -> Ids:
        """Every key that is held, ascending."""
        return self._store.state.keys()

    def fork(self) -> Self:
        """An index of its own in the same state, which writes no file."""
        forked = copy(self)
        forked._store = self._store.fork()
        return forked

    def documents(self, ids: Ids) -> Ids:
        """The document of each of `ids`; `NotFoundError` if one is not held."""
        found = np.empty(ids.size, np.int64)
        for segment, rows, is_held in self._held(ids):
            found[is_held] = segment.documents[rows]
        return found

    def vectors(self, ids: Ids) -> Vectors:
        """What is held of `ids`, float32 (ids.size, dimension); `NotFoundError` if one is not."""
        held = self._held(ids)
        if len(held) == 1:
            (segment, rows, _), *_ = held
            return segment.vectors.take(rows, axis=0)
        found = np.empty((ids.size, self._form.dimension), np.float32)
        for segment, rows, is_held in held:
            found[is_held] = segment.vectors.take(rows, axis=0)
        return found

    def _held(self, ids: Ids) -> list[tuple[_Segment, Ids, Mask]]:
        """By segment, the rows of those of `ids` that it holds, and which these are; all are held
        somewhere, or `NotFoundError` is raised."""
        held = [(part.segment, *part.rows_of(ids)) for part in self._store.state.parts]
        is_missing = np.ones(ids.size, np.bool_)
        for _, _, is_held in held:
            is_missing &= ~is_held
        if is_missing.any():
            raise NotFoundError(f"the vector index holds no chunk {ids[is_missing][0]}; rebuild it")
        return held

    def search(self, query: Vectors, *, limit: int, allowed: Ids | None = None) -> Listing:
        """The best `limit` chunks by inner product, highest first, equal ones by key."""
        query = checked_query(query, self._form.dimension)
        if limit < 1:
            return NOTHING
        found = [_nearest(part, query, limit, allowed) for part in self._store.state.parts]
        ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        return best(ids, np.concatenate([np.empty(0), *(scores for _, scores in found)]), limit)


def _nearest(
    part: Part[_Segment], query: Vectors, limit: int, allowed: Ids | None
) -> tuple[Ids, Scores]:
    """Rows that may be among the best `limit` of this part, with their scores."""
    segment, mask = part.segment, part.rows_allowed(allowed)
    if segment.cells is not None:
        rows = segment.cells.near(query, limit, mask)
    else:
        rows = None if mask is None else np.flatnonzero(mask)
    near, scores = nearest(segment.vectors, rows, query, limit, norm=segment.longest)
    return segment.ids[near], scores
