"""An inverted index of some chunks: for each term, which chunks have it and how often."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from storage.records import Ids
from storage.sealed import Array
from storage.segments import Part

Counts = npt.NDArray[np.int32]
NumberT = TypeVar("NumberT", np.int32, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Terms in UTF-8, ascending, as one run of bytes: searched where it lies, never unpacked."""

    text: npt.NDArray[np.uint8]
    ends: Ids
    """Where each term ends in `text`."""

    def __len__(self) -> int:
        return self.ends.size

    def __getitem__(self, number: int) -> bytes:
        start = self.ends[number - 1] if number else 0
        return self.text[start : self.ends[number]].tobytes()

    def find(self, term: bytes) -> int | None:
        """The term's number, or None."""
        number = bisect_left(self, term)
        return number if number < len(self) and self[number] == term else None

    def terms(self) -> list[bytes]:
        """All terms, ascending."""
        text = self.text.tobytes()
        return [text[start:end] for start, end in pairwise([0, *self.ends.tolist()])]


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """A segment: `rows[starts[t]:starts[t + 1]]` have term t, `counts[…]` times, rows ascending."""

    ids: Ids
    lengths: Counts
    """How many terms each row has."""
    vocabulary: Vocabulary
    starts: Ids
    rows: Counts
    counts: Counts

    def of(self, term: bytes) -> tuple[Counts, Counts]:
        """The rows that have `term`, and how often each has it; dead rows included."""
        number = self.vocabulary.find(term)
        span = slice(0) if number is None else slice(self.starts[number], self.starts[number + 1])
        return self.rows[span], self.counts[span]

    def arrays(self) -> Mapping[str, Array]:
        """What `from_arrays` takes."""
        return {
            "ids": self.ids,
            "lengths": self.lengths,
            "terms": self.vocabulary.text,
            "term_ends": self.vocabulary.ends,
            "starts": self.starts,
            "rows": self.rows,
            "counts": self.counts,
        }


def from_arrays(arrays: Mapping[str, Array]) -> Postings:
    """The segment that these arrays were taken from."""
    return Postings(
        ids=arrays["ids"],
        lengths=arrays["lengths"],
        vocabulary=Vocabulary(arrays["terms"], arrays["term_ends"]),
        starts=arrays["starts"],
        rows=arrays["rows"],
        counts=arrays["counts"],
    )


def invert(ids: Ids, texts: Iterable[Sequence[str]]) -> Postings:
    """Index the terms of `texts`, one list for each of `ids` (ascending)."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    found = [np.array([numbers[term] for term in terms], np.int64) for terms in texts]
    lengths = np.array([numbered.size for numbered in found], np.int32)
    terms = sorted(numbers)
    rank = np.empty(len(terms), np.int64)
    rank[[numbers[term] for term in terms]] = np.arange(len(terms))
    cells = rank[_joined(found)] * ids.size + np.repeat(np.arange(ids.size), lengths)
    cells, counts = np.unique(cells, return_counts=True)
    return _assembled(ids, lengths, [term.encode() for term in terms], cells, counts)


def merge(parts: Sequence[Part[Postings]]) -> Postings:
    """One segment of all live rows."""
    ids = _joined([part.live_ids() for part in parts])
    order = np.argsort(ids)
    places = np.empty(ids.size, np.int64)
    places[order] = np.arange(ids.size)
    vocabularies = [part.segment.vocabulary.terms() for part in parts]
    terms = sorted(set().union(*vocabularies))
    ranks = {term: rank for rank, term in enumerate(terms)}
    cells, first = [], 0
    for part, vocabulary in zip(parts, vocabularies, strict=True):
        rank = np.array([ranks[term] for term in vocabulary], np.int64)
        cells.append(_cells(part, rank * ids.size, places[first : first + part.alive]))
        first += part.alive
    by_cell = np.argsort(_joined(cells))
    counts = [part.segment.counts[part.live[part.segment.rows]] for part in parts]
    lengths = [part.segment.lengths[part.live] for part in parts]
    return _assembled(
        ids[order],
        _joined(lengths)[order],
        terms,
        _joined(cells)[by_cell],
        _joined(counts)[by_cell],
    )


def _cells(part: Part[Postings], offsets: Ids, places: Ids) -> Ids:
    """Where the live postings of `part` stand in the merged segment: a term's offset + a row."""
    segment = part.segment
    moved = np.empty(part.live.size, np.int64)
    moved[part.live] = places
    cells = np.repeat(offsets, np.diff(segment.starts)) + moved[segment.rows]
    return cells[part.live[segment.rows]]


def _assembled(
    ids: Ids, lengths: Counts, terms: Sequence[bytes], cells: Ids, counts: npt.NDArray[np.integer]
) -> Postings:
    """A segment of `cells` (term * rows + row, ascending); terms that no row has are left out."""
    numbers, rows = np.divmod(cells, max(ids.size, 1))
    postings = np.bincount(numbers, minlength=len(terms))
    used = np.flatnonzero(postings)
    return Postings(
        ids=ids,
        lengths=lengths.astype(np.int32),
        vocabulary=_vocabulary([terms[number] for number in used.tolist()]),
        starts=np.concatenate([[0], np.cumsum(postings[used])]),
        rows=rows.astype(np.int32),
        counts=counts.astype(np.int32),
    )


def _vocabulary(terms: Sequence[bytes]) -> Vocabulary:
    ends = np.cumsum([len(term) for term in terms], dtype=np.int64)
    return Vocabulary(np.frombuffer(b"".join(terms), np.uint8), ends)


def _joined(arrays: Sequence[npt.NDArray[NumberT]]) -> npt.NDArray[NumberT]:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
