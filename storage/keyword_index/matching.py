"""Which rows of a segment have what a query asks for, and how often in each field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Protocol, Self, TypeAlias, TypeVar

import numpy as np

from storage.keyword_index.languages import LANGUAGES
from storage.keyword_index.postings import FIELDS, Codes, Counts, Postings, Rows, codes_of, runs
from storage.records import Ids

NumbersT = TypeVar("NumbersT", Rows, Ids)
Reading: TypeAlias = tuple[str, tuple[tuple[int, bytes], ...]]
Order: TypeAlias = tuple[tuple[bytes, ...], bytes, tuple[Reading, ...]]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Terms that count as one."""

    terms: tuple[bytes, ...] = ()
    """Ascending."""
    prefix: bytes = b""
    """What the rest of them begin with; nothing if there are no more."""

    @property
    def order(self) -> Order:
        """Forms are scored in this order."""
        return self.terms, self.prefix, ()


@dataclass(frozen=True, slots=True)
class InOrder:
    """Terms that stand in a row at given distances, as each language reads them."""

    readings: tuple[Reading, ...]
    """A language, and its terms with their distances from the first; no stop words."""

    @property
    def order(self) -> Order:
        """As in `AnyOf`."""
        return (), b"", self.readings


Form: TypeAlias = AnyOf | InOrder


class Matches(Protocol):
    """The rows that match, ascending, and how often."""

    @property
    def rows(self) -> Rows:
        """Dead rows included."""

    @property
    def codes(self) -> Codes:
        """The counts of each row, packed."""

    def counts(self, at: Ids) -> Counts:
        """(fields, at.size): the counts of `rows[at]`."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The postings of one term, where they lie."""

    segment: Postings
    span: slice

    @property
    def rows(self) -> Rows:
        """As in `Matches`."""
        return self.segment.rows[self.span]

    @property
    def codes(self) -> Codes:
        """As in `Matches`."""
        return self.segment.codes[self.span]

    def counts(self, at: Ids) -> Counts:
        """As in `Matches`."""
        return self.segment.counts(at + self.span.start)


@dataclass(frozen=True, eq=False)
class Gathered:
    """What was found in several lists."""

    rows: Rows
    all_counts: Counts
    """(fields, rows)"""

    @cached_property
    def codes(self) -> Codes:
        """As in `Matches`."""
        return codes_of(self.all_counts)

    def counts(self, at: Ids) -> Counts:
        """As in `Matches`."""
        return self.all_counts[:, at]


_NOWHERE = Gathered(np.empty(0, np.int32), np.empty((len(FIELDS), 0), np.int32))
# More than a position takes, so that one row's never reach into the next.
_ROW_BITS = 32
_SPARSE = 5


def matches(segment: Postings, form: Form) -> Matches:
    """What of `form` stands in `segment`."""
    if isinstance(form, InOrder):
        return _phrases(segment, form)
    spans = list(_spans(segment, form))
    if len(spans) == 1 and not form.prefix:
        return Listed(segment, spans[0])
    return _united(segment, spans)


def _spans(segment: Postings, form: AnyOf) -> Iterable[slice]:
    for term in form.terms:
        number = segment.vocabulary.find(term)
        if number is not None and not (form.prefix and term.startswith(form.prefix)):
            yield segment.span(number)
    if form.prefix:
        numbers = segment.vocabulary.beginning_with(form.prefix)
        # Neighbours in the vocabulary are neighbours in the postings.
        yield slice(int(segment.starts[numbers.start]), int(segment.starts[numbers.stop]))


def _united(segment: Postings, spans: Sequence[slice]) -> Gathered:
    """Each row once, with the sums of its counts."""
    at = np.concatenate([np.empty(0, np.int64), *(np.r_[span] for span in spans)])
    return _summed(segment.rows[at], segment.counts(at), segment.ids.size)


def _summed(rows: Rows, counts: Counts, size: int) -> Gathered:
    """Rows that repeat, of a segment of `size`, each once and with the sums of its counts."""
    of_row: Ids | Rows
    if rows.size < size >> _SPARSE:
        distinct, of_row = np.unique(rows, return_inverse=True)
    else:
        # Where a large share of all rows is met, marking them is quicker than sorting.
        places = np.zeros(size, np.int32)
        places[rows] = 1
        distinct = places.nonzero()[0].astype(np.int32)
        places[distinct] = np.arange(distinct.size)
        of_row = places[rows]
    sums = [np.bincount(of_row, weights=field, minlength=distinct.size) for field in counts]
    return Gathered(distinct, np.array(sums, np.int32))


def _phrases(segment: Postings, form: InOrder) -> Gathered:
    """Each row is searched in the language that it was read as."""
    found = [_in_language(segment, language, terms) for language, terms in form.readings]
    rows = np.concatenate([_NOWHERE.rows, *(one.rows for one in found)])
    counts = [_NOWHERE.all_counts, *(one.all_counts for one in found)]
    return _summed(rows, np.concatenate(counts, axis=1), segment.ids.size)


def _in_language(segment: Postings, language: str, terms: Sequence[tuple[int, bytes]]) -> Gathered:
    """The rows of a language that have `terms` in order, once for each time."""
    numbers = [segment.vocabulary.find(term) for _, term in terms]
    known = [number for number in numbers if number is not None]
    if not terms or len(known) < len(terms):
        return _NOWHERE
    lists = sorted((segment.rows[segment.span(number)] for number in known), key=len)
    rows = reduce(_common, lists)
    rows = rows[segment.languages[rows] == LANGUAGES.index(language)]
    places = [_Places.of(segment, number, rows) for number in known]
    starts = reduce(
        _common,
        (some.keys - distance for (distance, _), some in zip(terms, places, strict=True)),
    )
    first = places[0]
    fields = first.fields[np.searchsorted(first.keys, starts + terms[0][0])]
    counts = (fields == np.arange(len(FIELDS))[:, np.newaxis]).astype(np.int32)
    return Gathered((starts >> _ROW_BITS).astype(np.int32), counts)


def _common(one: NumbersT, other: NumbersT) -> NumbersT:
    """What is in both, ascending."""
    few, many = (one, other) if one.size < other.size else (other, one)
    at = np.minimum(np.searchsorted(many, few), many.size - 1)
    return few[many[at] == few] if few.size else few


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where a term stands in some rows."""

    keys: Ids
    """Row and position as one number, ascending."""
    fields: Ids

    @classmethod
    def of(cls, segment: Postings, number: int, rows: Rows) -> Self:
        """In `rows`, all of which have the term."""
        span = segment.span(number)
        counts = segment.counts(np.arange(span.start, span.stop))
        sizes = counts.sum(axis=0, dtype=np.int64)
        at = np.searchsorted(segment.rows[span], rows)
        starts = (np.cumsum(sizes) - sizes + segment.position_starts[number])[at]
        positions = runs(segment.positions, starts, sizes[at])
        keys = (np.repeat(rows.astype(np.int64), sizes[at]) << _ROW_BITS) + positions
        fields = np.repeat(np.tile(np.arange(len(FIELDS)), at.size), counts[:, at].T.reshape(-1))
        return cls(keys, fields)
