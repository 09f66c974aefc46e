"""An inverted index of some chunks: for each term, which chunks have it, how often and where.

All of it is flat arrays, five bytes a posting and two a position, so that it can be mapped from a
file. A posting's counts are packed into one byte: two bits for the title, two for the headings,
four for the text; the few that do not fit stand in a list of their own.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from storage.records import Ids
from storage.sealed import Array
from storage.segments import Part

Rows: TypeAlias = npt.NDArray[np.int32]
Counts: TypeAlias = npt.NDArray[np.int32]
Codes: TypeAlias = npt.NDArray[np.uint8]
Languages: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.uint16]

FIELDS: Final = ("title", "headings", "text")
"""In the order in which the arrays have them."""
FARTHEST = (1 << 16) - 1
"""The position of all that stands further behind in a chunk."""
_EACH_FIELD = range(len(FIELDS))
_POSITION_BITS = 16
_PLACE_BITS = 18
ODD = 255
"""The code of a posting whose counts do not fit into one byte."""
_TITLE, _HEADINGS, _TEXT = 6, 4, 0
_CODES = np.arange(256)
COUNTS_OF_CODE = np.stack([_CODES >> _TITLE, _CODES >> _HEADINGS & 3, _CODES & 15]).astype(np.int32)
"""(fields, codes)"""
_TERMS_A_MARK = 16
_POSTINGS_A_MERGE = 1 << 22


@dataclass(frozen=True)
class Vocabulary:
    """Terms in UTF-8, ascending, as one run of bytes: searched where it lies, never unpacked."""

    text: npt.NDArray[np.uint8]
    ends: Ids
    """Where each term ends in `text`."""

    def __len__(self) -> int:
        return self.ends.size

    def __getitem__(self, number: int) -> bytes:
        text, ends = self._views
        return text[ends[number - 1] if number else 0 : ends[number]].tobytes()

    def find(self, term: bytes) -> int | None:
        """The term's number, or None."""
        number = self._place(term)
        return number if number < len(self) and self[number] == term else None

    def beginning_with(self, prefix: bytes) -> range:
        """The numbers of the terms that begin with `prefix`."""
        # No UTF-8 has this byte, so that it comes after every continuation of the prefix.
        return range(self._place(prefix), self._place(prefix + b"\xff"))

    def _place(self, term: bytes) -> int:
        """How many terms come before `term`."""
        mark = bisect_left(self._marks, term) * _TERMS_A_MARK
        return bisect_left(self, term, max(mark - _TERMS_A_MARK, 0), min(mark, len(self)))

    @cached_property
    def _marks(self) -> list[bytes]:
        """Every so many terms one, where they are searched quickly."""
        return [self[number] for number in range(0, len(self), _TERMS_A_MARK)]

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview]:
        """`text` and `ends` for single items, which NumPy is slow to give."""
        return self.text.data, self.ends.data

    def terms(self) -> list[bytes]:
        """All terms, ascending."""
        text = self.text.tobytes()
        return [text[start:end] for start, end in pairwise([0, *self.ends.tolist()])]

    @cached_property
    def lengths(self) -> Ids:
        """How many bytes each term has."""
        return np.diff(self.ends, prepend=0)

    @cached_property
    def signatures(self) -> npt.NDArray[np.uint32]:
        """Which bytes each term has, as a set of 32 bits, in which several share one."""
        bits = np.left_shift(np.uint32(1), self.text & np.uint8(31), dtype=np.uint32)
        return np.bitwise_or.reduceat(bits, np.concatenate([[0], self.ends[:-1]]))


@dataclass(frozen=True, eq=False)
class Postings:
    """A segment: `rows[starts[t]:starts[t + 1]]` have term t, rows ascending."""

    ids: Ids
    lengths: Counts
    """(fields, rows): how many terms each field of each row has."""
    languages: Languages
    """What each row was read as: numbers of `languages.LANGUAGES`."""
    vocabulary: Vocabulary
    starts: Ids
    rows: Rows
    codes: Codes
    """The counts of each posting, packed."""
    odd: Ids
    """The postings whose counts are not packed, ascending."""
    odd_counts: Counts
    """(fields, odd)"""
    positions: Positions
    """Where each occurrence of each posting stands in its row, ascending."""
    position_starts: Ids
    """Where the positions of each term begin, and of one more."""

    def number(self, term: bytes) -> int | None:
        """The term's number, or None."""
        return self.vocabulary.find(term)

    def span(self, number: int) -> slice:
        """Where the postings of a term lie."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def counts(self, at: Ids) -> Counts:
        """(fields, postings): how often each posting's term stands in each field."""
        codes = self.codes[at]
        counts = COUNTS_OF_CODE[:, codes]
        odd = np.flatnonzero(codes == ODD)
        if odd.size:
            counts[:, odd] = self.odd_counts[:, np.searchsorted(self.odd, at[odd])]
        return counts

    @cached_property
    def total_lengths(self) -> Ids:
        """(fields,): how many terms each field has in all rows."""
        totals: Ids = self.lengths.sum(axis=1, dtype=np.int64)
        return totals

    @cached_property
    def filled(self) -> Ids:
        """(fields,): in how many rows each field has terms."""
        return np.array([np.count_nonzero(field) for field in self.lengths], np.int64)

    @cached_property
    def rows_of_language(self) -> Ids:
        """How many rows were read as each language."""
        return np.bincount(self.languages, minlength=256)

    def arrays(self) -> Mapping[str, Array]:
        """What `from_arrays` takes."""
        return {
            "ids": self.ids,
            "lengths": self.lengths,
            "languages": self.languages,
            "terms": self.vocabulary.text,
            "term_ends": self.vocabulary.ends,
            "starts": self.starts,
            "rows": self.rows,
            "codes": self.codes,
            "odd": self.odd,
            "odd_counts": self.odd_counts,
            "positions": self.positions,
            "position_starts": self.position_starts,
        }


def from_arrays(arrays: Mapping[str, Array]) -> Postings:
    """The segment that these arrays were taken from."""
    plain = {name: array for name, array in arrays.items() if name not in ("terms", "term_ends")}
    return Postings(vocabulary=Vocabulary(arrays["terms"], arrays["term_ends"]), **plain)


@dataclass(frozen=True, slots=True, eq=False)
class Occurrences:
    """Terms where they stand: each field is one array, with an item for each occurrence."""

    numbers: Ids
    """Which term it is."""
    rows: Ids
    fields: Ids
    """Which of `FIELDS` it stands in."""
    positions: Ids


def invert(
    ids: Ids, languages: Languages, terms: Sequence[str], occurrences: Occurrences
) -> Postings:
    """Index what stands in the rows of `ids` (ascending); `terms` has each term once."""
    order = sorted(range(len(terms)), key=terms.__getitem__)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    cells = rank[occurrences.numbers] * max(ids.size, 1) + occurrences.rows
    # One number for all that an occurrence is, so that one sort orders them.
    places = occurrences.fields << _POSITION_BITS | np.minimum(occurrences.positions, FARTHEST)
    keys = np.sort(cells << _PLACE_BITS | places)
    cells, of_cell = np.unique(keys >> _PLACE_BITS, return_inverse=True)
    fields = keys >> _POSITION_BITS & 3
    counts = [np.bincount(of_cell[fields == field], minlength=cells.size) for field in _EACH_FIELD]
    lengths = [
        np.bincount(occurrences.rows[occurrences.fields == field], minlength=ids.size)
        for field in _EACH_FIELD
    ]
    numbers, rows = np.divmod(cells, max(ids.size, 1))
    piece = _packed(numbers, rows, np.array(counts, np.int32), keys & FARTHEST)
    return _assembled(
        ids,
        np.array(lengths, np.int32),
        languages,
        [terms[number].encode() for number in order],
        [piece],
    )


def merge(parts: Sequence[Part[Postings]]) -> Postings:
    """One segment of all live rows."""
    ids = np.concatenate([part.live_ids() for part in parts])
    order = np.argsort(ids, kind="stable")
    terms, ranks = _united([part.segment.vocabulary for part in parts])
    sources = [
        _Source(part, rank, places)
        for part, rank, places in zip(parts, ranks, _places(parts, order), strict=True)
    ]
    lengths = [part.segment.lengths[:, part.live] for part in parts]
    languages = [part.segment.languages[part.live] for part in parts]
    return _assembled(
        ids[order],
        np.concatenate(lengths, axis=1)[:, order],
        np.concatenate(languages)[order],
        terms,
        [_merged(sources, span, ids.size) for span in _spans(sources, len(terms))],
    )


def _united(vocabularies: Sequence[Vocabulary]) -> tuple[list[bytes], list[Ids]]:
    """All terms, ascending, and for each vocabulary the places of its terms among them."""
    listed = [vocabulary.terms() for vocabulary in vocabularies]
    terms = sorted(set().union(*listed))
    place = {term: number for number, term in enumerate(terms)}
    return terms, [np.array([place[term] for term in some], np.int64) for some in listed]


def _places(parts: Sequence[Part[Postings]], order: Ids) -> Iterator[Ids]:
    """For each part the new row of each of its rows, and -1 for what is dead."""
    new = np.empty(order.size, np.int64)
    new[order] = np.arange(order.size)
    first = 0
    for part in parts:
        places = np.full(part.live.size, -1)
        places[part.live] = new[first : first + part.alive]
        first += part.alive
        yield places


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A part that is merged."""

    part: Part[Postings]
    ranks: Ids
    """What number each of its terms gets, ascending."""
    places: Ids
    """Which row each of its rows becomes."""


def _spans(sources: Sequence[_Source], terms: int) -> list[tuple[int, int]]:
    """Ranges of terms that are merged at a time, so that this takes little memory."""
    sizes = np.zeros(terms, np.int64)
    for source in sources:
        sizes[source.ranks] += np.diff(source.part.segment.starts)
    pieces = np.cumsum(sizes) // _POSTINGS_A_MERGE
    ends = [0, *(np.flatnonzero(np.diff(pieces)) + 1).tolist(), terms]
    return list(pairwise(ends))


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The postings of some terms, as they stand in a segment."""

    numbers: Ids
    """The terms that have postings, ascending."""
    sizes: Ids
    """How many each has."""
    rows: Rows
    codes: Codes
    odd: Ids
    odd_counts: Counts
    positions: Positions
    occurrences: Ids
    """How many positions each term has."""


def _merged(sources: Sequence[_Source], span: tuple[int, int], size: int) -> _Piece:
    cells, counts, positions = [], [], []
    for source in sources:
        segment = source.part.segment
        first, last = np.searchsorted(source.ranks, span)
        at = np.arange(segment.starts[first], segment.starts[last])
        numbers = np.repeat(source.ranks[first:last], np.diff(segment.starts[first : last + 1]))
        places = source.places[segment.rows[at]]
        lives = places >= 0
        found = segment.counts(at)
        cells.append((numbers * size + places)[lives])
        counts.append(found[:, lives])
        run = slice(segment.position_starts[first], segment.position_starts[last])
        positions.append(segment.positions[run][np.repeat(lives, found.sum(axis=0))])
    order = np.argsort(joined := np.concatenate(cells), kind="stable")
    numbers, rows = np.divmod(joined[order], size)
    together = np.concatenate(counts, axis=1)
    sizes = together.sum(axis=0)
    moved = runs(np.concatenate(positions), (np.cumsum(sizes) - sizes)[order], sizes[order])
    return _packed(numbers, rows, together[:, order], moved)


def runs(values: Positions, starts: Ids, sizes: Ids) -> Positions:
    """Runs of `values`, one behind the other."""
    shifts = starts - (np.cumsum(sizes) - sizes)
    together: Positions = values[np.repeat(shifts, sizes) + np.arange(sizes.sum())]
    return together


def codes_of(counts: Counts) -> Codes:
    """`counts` of shape (fields, postings), packed; `ODD` where they do not fit."""
    title, headings, text = counts
    fits = (title <= 3) & (headings <= 3) & (text <= 15)
    return np.where(fits, title << _TITLE | headings << _HEADINGS | text, ODD).astype(np.uint8)


def _packed(numbers: Ids, rows: Ids, counts: Counts, positions: Ids | Positions) -> _Piece:
    """`counts` is of shape (fields, postings); postings are in the order of terms and rows."""
    codes = codes_of(counts)
    odd = np.flatnonzero(codes == ODD)
    used, first = np.unique(numbers, return_index=True)
    starts = np.append(np.concatenate([[0], np.cumsum(counts.sum(axis=0))])[first], positions.size)
    return _Piece(
        numbers=used,
        sizes=np.diff(np.append(first, numbers.size)),
        rows=rows.astype(np.int32),
        codes=codes,
        odd=odd,
        odd_counts=counts[:, odd],
        positions=positions.astype(np.uint16),
        occurrences=np.diff(starts),
    )


def _assembled(
    ids: Ids,
    lengths: Counts,
    languages: Languages,
    terms: Sequence[bytes],
    pieces: Sequence[_Piece],
) -> Postings:
    """A segment of `pieces`; terms that no row has are left out."""
    before = np.cumsum([0, *(piece.rows.size for piece in pieces)])
    return Postings(
        ids=ids,
        lengths=np.ascontiguousarray(lengths),
        languages=languages,
        vocabulary=_vocabulary([terms[n] for piece in pieces for n in piece.numbers.tolist()]),
        starts=_starts([piece.sizes for piece in pieces]),
        rows=np.concatenate([piece.rows for piece in pieces]),
        codes=np.concatenate([piece.codes for piece in pieces]),
        odd=np.concatenate([piece.odd + n for piece, n in zip(pieces, before[:-1], strict=True)]),
        odd_counts=np.ascontiguousarray(
            np.concatenate([piece.odd_counts for piece in pieces], axis=1)
        ),
        positions=np.concatenate([piece.positions for piece in pieces]),
        position_starts=_starts([piece.occurrences for piece in pieces]),
    )


def _starts(sizes: Sequence[Ids]) -> Ids:
    return np.cumsum(np.concatenate([[0], *sizes]), dtype=np.int64)


def _vocabulary(terms: Sequence[bytes]) -> Vocabulary:
    ends = np.cumsum([len(term) for term in terms], dtype=np.int64)
    return Vocabulary(np.frombuffer(b"".join(terms), np.uint8), ends)
