"""BM25F: how much a term adds to the score of a chunk.

    tf'   = Σ over fields of  weight · tf / (1 - b + b · length / average length)
    score = idf · tf' / (tf' + k1)
    idf   = log(1 + (N - df + ½) / (df + ½))

Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.6,
with Lucene's idf, which is never negative, and without the constant factor (k1 + 1). A length is
averaged over the rows that have the field.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.keyword_index.matching import Matches
from storage.keyword_index.postings import COUNTS_OF_CODE, FIELDS, ODD, Codes, Counts, Rows
from storage.records import Ids

K1 = 1.2
"""The larger, the longer a term that is repeated goes on to add to the score."""
WEIGHTS = (3.0, 1.0, 1.0)
"""How much an occurrence in each of `FIELDS` counts."""
LENGTH_SHARES = (0.75, 0.75, 0.75)
"""b: how much of the length of each of `FIELDS` is held against it, from 0 to 1."""

_WEIGHTS = np.array(WEIGHTS)[:, np.newaxis]
_LENGTH_SHARES = np.array(LENGTH_SHARES)[:, np.newaxis]
_TEXT = FIELDS.index("text")
_HEADS = range(_TEXT)
_MOST_OF_TEXT = 15
"""The largest code of a term that stands in the text alone."""
_ROWS_A_BATCH = 1 << 18
_POSTINGS_A_BATCH = 1 << 16
LARGEST_BLOCK = 64
"""The number of sums is a multiple of this."""
_NOTHING = np.empty(0, np.int64)

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def idf(document_frequency: int, documents: int) -> float:
    """How much it says of a chunk that it has a term."""
    return math.log(1 + (documents - document_frequency + 0.5) / (document_frequency + 0.5))


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """The rows that have one term, and what the term is worth."""

    found: Matches
    factor: float
    """The most that it adds to a score."""


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores the rows of one segment."""

    lengths: Counts
    """(fields, rows)"""
    average_lengths: tuple[float, ...]

    def saturation(self, rows: Ids, counts: Counts) -> Doubles:
        """tf' / (tf' + k1), for `counts` of shape (fields, rows.size)."""
        relative = self.lengths.take(rows, axis=1) / np.array(self.average_lengths)[:, np.newaxis]
        weighed = _WEIGHTS * counts / (1 - _LENGTH_SHARES + _LENGTH_SHARES * relative)
        frequencies: Doubles = weighed.sum(axis=0)
        return frequencies / (frequencies + K1)

    def exact(self, terms: Sequence[Weighed], rows: Ids) -> Doubles:
        """The scores of `rows` (ascending), summed in the order of `terms`: the same to the last
        bit wherever a row lies."""
        narrow = rows.astype(np.int32)
        met = [meeting(narrow, term.found.rows) for term in terms]
        here = np.concatenate([here for here, _ in met])
        counts = _counts([(term.found, at) for term, (_, at) in zip(terms, met, strict=True)])
        factors = np.repeat([term.factor for term in terms], [here.size for here, _ in met])
        scores = np.zeros(rows.size)
        # It adds one by one, in the order of its indices.
        added = factors * self.saturation(rows[here], counts)
        np.add.at(scores, here, added)
        return scores

    def near(self, terms: Sequence[Weighed]) -> Singles:
        """The scores of all rows, to single precision: quicker, and hardly different."""
        size = self.lengths.shape[1]
        # A whole number of the blocks that the best are sought in.
        sums = np.zeros(-(-size // LARGEST_BLOCK) * LARGEST_BLOCK, np.float32)
        for batch in _batches(terms, size):
            rows = np.concatenate([term.found.rows[at] for term, at in batch], dtype=np.int64)
            codes = np.concatenate([term.found.codes[at] for term, at in batch])
            sizes = [at.stop - at.start for _, at in batch]
            factors = np.array([term.factor for term, _ in batch], np.float32)
            added = self._near_saturation(rows, codes)
            odd = (codes == ODD).nonzero()[0]
            if odd.size:
                added[odd] = self.saturation(rows[odd], _odd_counts(batch))
            added *= np.repeat(factors, sizes) if len(batch) > 1 else factors
            np.add.at(sums, rows, added)
        return sums

    def _near_saturation(self, rows: Ids, codes: Codes) -> Singles:
        frequencies = self._weighed(_TEXT, rows, codes & _MOST_OF_TEXT)
        headed = (codes > _MOST_OF_TEXT).nonzero()[0]
        for field in _HEADS if headed.size else ():
            counts = COUNTS_OF_CODE[field].take(codes.take(headed))
            frequencies[headed] += self._weighed(field, rows.take(headed), counts)
        frequencies /= frequencies + np.float32(K1)
        return frequencies

    def _weighed(self, field: int, rows: Ids, counts: Codes | Counts) -> Singles:
        share = LENGTH_SHARES[field]
        norms = self.lengths[field].take(rows).astype(np.float32)
        norms *= np.float32(share / self.average_lengths[field])
        norms += np.float32(1 - share)
        frequencies = counts.astype(np.float32)
        frequencies *= np.float32(WEIGHTS[field])
        frequencies /= norms
        return frequencies


def meeting(rows: Ids | Rows, others: Ids | Rows) -> tuple[Ids, Ids]:
    """Where in each of two ascending arrays stands what is in both."""
    if not others.size:
        return _NOTHING, _NOTHING
    # Of another width, the others would be copied each time, and they are many.
    sought = rows.astype(others.dtype, copy=False)
    there = others.searchsorted(sought)
    # What comes after all others is compared with the last of them.
    here = (others.take(there, mode="clip") == sought).nonzero()[0]
    return here, there[here]


def _counts(found: Sequence[tuple[Matches, Ids]]) -> Counts:
    """(fields, postings): how often each term stands at its postings."""
    codes = np.concatenate([matches.codes[at] for matches, at in found])
    if (codes == ODD).any():
        return np.concatenate([matches.counts(at) for matches, at in found], axis=1)
    return COUNTS_OF_CODE.take(codes, axis=1)


def _batches(terms: Sequence[Weighed], size: int) -> Iterator[list[tuple[Weighed, slice]]]:
    """The postings of the terms, some rows at a time: what is known of those rows stays in the
    processor's cache meanwhile."""
    edges = np.arange(0, size + _ROWS_A_BATCH, _ROWS_A_BATCH)
    bounds = [term.found.rows.searchsorted(edges.astype(np.int32)).tolist() for term in terms]
    for number in range(edges.size - 1):
        batch: list[tuple[Weighed, slice]] = []
        room = _POSTINGS_A_BATCH
        for term, ends in zip(terms, bounds, strict=True):
            at = slice(ends[number], ends[number + 1])
            if at.start == at.stop:
                continue
            batch.append((term, at))
            room -= at.stop - at.start
            if room < 0:
                yield batch
                batch, room = [], _POSTINGS_A_BATCH
        if batch:
            yield batch


def _odd_counts(batch: Sequence[tuple[Weighed, slice]]) -> Counts:
    """(fields, postings): of the postings whose counts are not packed."""
    found = [
        term.found.counts(at.start + (term.found.codes[at] == ODD).nonzero()[0])
        for term, at in batch
    ]
    return np.concatenate(found, axis=1)
