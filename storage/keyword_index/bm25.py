"""BM25 over chunks and their titles, exact whatever the order in which chunks came and went.

Search engines count a deleted document in their statistics until segments are merged, so that the
same collection ranks differently after different histories. Here every statistic is of the live
chunks only, all counts are whole numbers, and a chunk's score is summed in the order of its terms:
replaying changes and building anew agree to the last bit.

    score = Σ over terms of  idf · tf / (tf + k1 · (1 - b + b · length / average length))
    idf   = log(1 + (N - df + ½) / (df + ½))

Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4,
with Lucene's idf, which is never negative, and without the constant factor (k1 + 1). The title is
a field of BM25F (section 3.6): its terms count `TITLE_WEIGHT` times in tf and in the length. A
term counts once in a query, however often it stands there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.keyword_index.analysis import ANALYSIS, analyse
from storage.keyword_index.postings import Counts, Postings, from_arrays, invert, merge
from storage.ranking import Scores, best, contenders
from storage.records import Entries, Ids, Position, Scored
from storage.sealed import Array, Meta
from storage.segments import Part, SegmentStore, State

K1 = 1.2
"""The larger, the longer a term that is repeated goes on to add to the score."""
B = 0.75
"""How much of a text's length is held against it, from 0 to 1."""
TITLE_WEIGHT = 3
MOST_TERMS = 1024
"""The rest of a longer query is left out, as Lucene's BooleanQuery would refuse it."""


@dataclass(frozen=True, slots=True)
class _Bm25Format:
    kind: str = "keywords/bm25"

    @property
    def meta(self) -> Meta:
        return {"analysis": ANALYSIS, "title_weight": TITLE_WEIGHT}

    def merge(self, parts: Sequence[Part[Postings]]) -> Postings:
        return merge(parts)

    def arrays(self, segment: Postings) -> Mapping[str, Array]:
        return segment.arrays()

    def segment(self, arrays: Mapping[str, Array]) -> Postings:
        return from_arrays(arrays)


class Bm25Index:
    """A `KeywordIndex` kept in segments of postings, cached in one sealed file."""

    def __init__(self, path: Path, *, publish_after: int = 500) -> None:
        self._store = SegmentStore(path, _Bm25Format(), publish_after=publish_after)

    @property
    def applied(self) -> Position:
        """Where the index stands."""
        return self._store.state.position

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        """Drop `removed`, take in `added`, stand at `position`."""
        fields = zip(added.titles, added.texts, strict=True)
        segment = invert(added.ids, [_terms(title, text) for title, text in fields])
        self._store.apply(removed=removed, added=segment, position=position)

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._store.reset()

    def publish(self) -> None:
        """Seal the present state, if that is worth its cost now."""
        self._store.publish()

    def keys(self) -> Ids:
        """Every key that is held, ascending."""
        return self._store.state.keys()

    def search(self, query: str, *, limit: int, allowed: Ids | None = None) -> list[Scored]:
        """The best `limit` chunks that share a term with `query`, highest score first."""
        state = self._store.state
        found = [
            _matches(scorer, limit, allowed) for scorer in _scorers(state, _query_terms(query))
        ]
        ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        return best(ids, np.concatenate([np.empty(0), *(scores for _, scores in found)]), limit)


def _terms(title: str, text: str) -> list[str]:
    return analyse(title) * TITLE_WEIGHT + analyse(text)


def _query_terms(query: str) -> list[bytes]:
    """The distinct terms of the first part of a query, in the order that scores are summed in."""
    distinct = list(dict.fromkeys(analyse(query)))[:MOST_TERMS]
    return sorted(term.encode() for term in distinct)


@dataclass(frozen=True, slots=True)
class _Scorer:
    """All that the scores of one part need."""

    part: Part[Postings]
    postings: Sequence[tuple[Counts, Counts]]
    """Rows and counts of each query term."""
    idf: Sequence[float]
    average_length: float

    def scores(self) -> Scores:
        """One score a row, 0 where no term matches; dead rows are scored like others."""
        lengths = self.part.segment.lengths
        scores = np.zeros(lengths.size)
        for (rows, counts), idf in zip(self.postings, self.idf, strict=True):
            norm = K1 * (1 - B + B * (lengths[rows] / self.average_length))
            scores[rows] += idf * (counts / (counts + norm))
        return scores


def _scorers(state: State[Postings], terms: Sequence[bytes]) -> list[_Scorer]:
    average_length = sum(map(_length, state.parts)) / max(state.count, 1)
    postings = [[part.segment.of(term) for term in terms] for part in state.parts]
    idf = [
        _idf(sum(map(_live_rows, state.parts, column)), state.count)
        for column in zip(*postings, strict=True)
    ]
    return [
        _Scorer(part, row, idf, average_length)
        for part, row in zip(state.parts, postings, strict=True)
    ]


def _length(part: Part[Postings]) -> int:
    """How many terms the live rows have."""
    lengths = part.segment.lengths
    return int((lengths[part.live] if part.dead else lengths).sum(dtype=np.int64))


def _live_rows(part: Part[Postings], postings: tuple[Counts, Counts]) -> int:
    rows, _ = postings
    return int(np.count_nonzero(part.live[rows])) if part.dead else rows.size


def _idf(document_frequency: int, documents: int) -> float:
    return math.log(1 + (documents - document_frequency + 0.5) / (document_frequency + 0.5))


def _matches(scorer: _Scorer, limit: int, allowed: Ids | None) -> tuple[Ids, Scores]:
    """Every row that may be among the best `limit` of this part, with its score."""
    scores = scorer.scores()
    mask = scorer.part.rows_allowed(allowed)
    rows = np.flatnonzero(scores if mask is None else scores * mask)
    near = rows[contenders(scores[rows], limit)]
    return scorer.part.segment.ids[near], scores[near]
