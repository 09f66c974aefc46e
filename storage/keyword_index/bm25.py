"""BM25F over chunks, their headings and titles, exact whatever the order in which chunks came.

Search engines count a deleted document in their statistics until segments are merged, so that the
same collection ranks differently after different histories. Here every statistic is of the live
chunks only, all counts are whole numbers, and a chunk's score is summed in one order of terms:
replaying changes and building anew agree to the last bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from storage.keyword_index.analysis import ANALYSIS
from storage.keyword_index.postings import Postings, from_arrays, merge
from storage.keyword_index.reading import read
from storage.keyword_index.searching import Searcher
from storage.ranking import Listing, Scores
from storage.records import ChunkId, Entries, Ids, KeywordClause, Position, TermMatch
from storage.sealed import Array, Meta
from storage.segments import Part, SegmentStore


@dataclass(frozen=True, slots=True)
class _Bm25Format:
    kind: str = "keywords/bm25f"

    @property
    def meta(self) -> Meta:
        return {"analysis": ANALYSIS}

    def merge(self, parts: Sequence[Part[Postings]]) -> Postings:
        return merge(parts)

    def arrays(self, segment: Postings) -> Mapping[str, Array]:
        return segment.arrays()

    def segment(self, arrays: Mapping[str, Array]) -> Postings:
        return from_arrays(arrays)


class Bm25Index:
    """A `KeywordIndex` kept in segments of postings, cached in sealed files."""

    reads_texts: ClassVar[bool] = True
    reads_vectors: ClassVar[bool] = False

    def __init__(self, path: Path, *, publish_after: int = 500) -> None:
        self._store = SegmentStore(path, _Bm25Format(), publish_after=publish_after)
        self._searcher = Searcher.of(self._store.state)

    @property
    def applied(self) -> Position:
        """Where the index stands."""
        return self._store.state.position

    @property
    def count(self) -> int:
        """How many chunks are held."""
        return self._store.state.count

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed`, take in `added`, stand at `position`."""
        self._store.apply(removed=removed, added=read(added), position=position)

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._store.reset()

    def purge(self) -> None:
        """Keep nothing of what was dropped; the next `publish` writes in any case."""
        self._store.purge()

    def publish(self) -> None:
        """Seal the present state, if that is worth its cost now."""
        self._store.publish()

    def fork(self) -> Self:
        """An index of its own in the same state, which is never published."""
        forked = copy(self)
        forked._store = self._store.fork()
        return forked

    def keys(self) -> Ids:
        """Every key that is held, ascending."""
        return self._store.state.keys()

    def search(
        self, query: str | Sequence[KeywordClause], *, limit: int, allowed: Ids | None = None
    ) -> Listing:
        """The best `limit` chunks that have what `query` asks for, highest score first."""
        return self._present().search(query, limit, allowed)

    def scores(self, query: str | Sequence[KeywordClause], ids: Ids) -> Scores:
        """What a search gives each of `ids` (ascending); 0 for one that has nothing of `query`."""
        return self._present().scores(query, ids)

    def explain(
        self, query: str | Sequence[KeywordClause], ids: Ids
    ) -> Mapping[ChunkId, Sequence[TermMatch]]:
        """What each term of `query` adds to the score of each of `ids` that is held."""
        return self._present().explain(query, ids)

    def document_frequencies(self, words: Iterable[str]) -> dict[str, int]:
        """How many chunks each of `words` would be found in; 0 for a stop word."""
        searcher = self._present()
        return {word: searcher.document_frequency(word) for word in words}

    def _present(self) -> Searcher:
        """The searcher of the present state, made anew only when that has changed."""
        state, searcher = self._store.state, self._searcher
        if searcher.state is not state:
            self._searcher = searcher = Searcher.of(state)
        return searcher
