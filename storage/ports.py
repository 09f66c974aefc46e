"""What a derived index must offer. It speaks of chunk keys and positions, never of files, so that
an in-process index, a table of a database server and a vector database fit it alike.

A derived index may vanish at any moment: `storage.following` brings it back from the database.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self

from storage.ranking import Listing, Scores
from storage.records import (
    ChunkId,
    Entries,
    Ids,
    KeywordClause,
    Position,
    TermMatch,
    Vectors,
)


class DerivedIndex(Protocol):
    """The chunks of one collection, as they stood at `applied`.

    Searches may run in any number of threads while one thread applies changes; each search sees
    the state before or after a change, never a mixture. Results depend only on which chunks are
    held, not on the order in which they came: best score first, equal scores by ascending key.
    """

    reads_texts: ClassVar[bool]
    """Whether it takes in titles, headings, texts and languages."""
    reads_vectors: ClassVar[bool]
    """Whether it takes in vectors."""

    @property
    def applied(self) -> Position:
        """Where the index stands; `BEGINNING` when it is empty or was reset."""

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed` (unknown keys are ignored), take in `added`, stand at `position`."""

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""

    def purge(self) -> None:
        """Keep nothing of what was dropped, in memory or, after the next `publish`, elsewhere."""

    def publish(self) -> None:
        """Make the present state survive a restart, if that is worth its cost now."""

    def keys(self) -> Ids:
        """Every key that is held, ascending."""

    def fork(self) -> Self:
        """An index of its own in the same state, which costs nothing and is never published.

        What is applied to either is not seen by the other: this is how a search looks back.
        """


class VectorIndex(DerivedIndex, Protocol):
    """Nearest neighbours by inner product: the cosine, for vectors of unit length."""

    def search(self, query: Vectors, *, limit: int, allowed: Ids | None = None) -> Listing:
        """The best `limit` chunks for one query of shape (dimension,), highest score first.

        `allowed` (ascending) narrows the search before it starts: it never costs results.
        """

    def documents(self, ids: Ids) -> Ids:
        """Which document each of `ids` is a part of; `NotFoundError` if one is not held."""

    def vectors(self, ids: Ids) -> Vectors:
        """What is held of `ids`, float32 (ids.size, dimension); `NotFoundError` if one is not."""


class KeywordIndex(DerivedIndex, Protocol):
    """Ranking by words that the query and the text share."""

    def search(
        self, query: str | Sequence[KeywordClause], *, limit: int, allowed: Ids | None = None
    ) -> Listing:
        """The best `limit` chunks that share a word with `query`; any text is a safe query.

        `allowed` (ascending) narrows the search before it starts: it never costs results.
        """

    def scores(self, query: str | Sequence[KeywordClause], ids: Ids) -> Scores:
        """What a search gives each of `ids` (ascending), float64 (ids.size,); 0 for one that
        shares no word with `query`, or is not held."""

    def explain(
        self, query: str | Sequence[KeywordClause], ids: Ids
    ) -> Mapping[ChunkId, Sequence[TermMatch]]:
        """For each of `ids` that is held, which terms of `query` add what to its score."""
