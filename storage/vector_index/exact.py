"""Nearest neighbours by comparing with everything, in memory: for small collections and tests."""

from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from storage.errors import NotFoundError
from storage.ranking import Listing, best
from storage.records import BEGINNING, Entries, Ids, Position, Vectors
from storage.vector_index.scoring import checked_query, checked_vectors, inner_products


@dataclass(frozen=True, slots=True)
class _State:
    position: Position
    ids: Ids
    documents: Ids
    vectors: Vectors


class ExactVectorIndex:
    """A `VectorIndex` that lives as long as the process; each change copies it."""

    reads_texts: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = True

    def __init__(self, *, dimension: int) -> None:
        self._dimension = dimension
        self._state = self._empty()

    @property
    def applied(self) -> Position:
        """Where the index stands."""
        return self._state.position

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed`, take in `added`, stand at `position`."""
        vectors = checked_vectors(added.ids, added.vectors, self._dimension)
        kept = ~np.isin(self._state.ids, np.union1d(removed, added.ids))
        ids = np.concatenate([self._state.ids[kept], added.ids])
        order = np.argsort(ids)
        documents = np.concatenate([self._state.documents[kept], added.documents])
        every = np.concatenate([self._state.vectors[kept], vectors])
        self._state = _State(position, ids[order], documents[order], every[order])

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._state = self._empty()

    def purge(self) -> None:
        """Nothing: what is dropped is not kept."""

    def publish(self) -> None:
        """Nothing survives a restart: the follower fills the index again."""

    def keys(self) -> Ids:
        """Every key that is held, ascending."""
        return self._state.ids

    def fork(self) -> Self:
        """An index of its own in the same state."""
        return copy(self)

    def documents(self, ids: Ids) -> Ids:
        """The document of each of `ids`; `NotFoundError` if one is not held."""
        return self._state.documents[self._rows(ids)]

    def vectors(self, ids: Ids) -> Vectors:
        """What is held of `ids`, float32 (ids.size, dimension); `NotFoundError` if one is not."""
        return self._state.vectors[self._rows(ids)]

    def search(self, query: Vectors, *, limit: int, allowed: Ids | None = None) -> Listing:
        """The best `limit` chunks by inner product, highest first, equal ones by key."""
        query, state = checked_query(query, self._dimension), self._state
        rows = np.arange(state.ids.size)
        if allowed is not None:
            rows = rows[np.isin(state.ids, allowed)]
        return best(state.ids[rows], inner_products(state.vectors, rows, query), limit)

    def _rows(self, ids: Ids) -> Ids:
        held = self._state.ids
        is_held = np.isin(ids, held)
        if not is_held.all():
            raise NotFoundError(f"the vector index holds no chunk {ids[~is_held][0]}; rebuild it")
        return np.searchsorted(held, ids)

    def _empty(self) -> _State:
        none = np.empty(0, np.int64)
        return _State(BEGINNING, none, none, np.empty((0, self._dimension), np.float32))
