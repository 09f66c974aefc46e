"""What a score needs to know of all chunks together: whole numbers, of the live chunks only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storage.keyword_index.languages import DEFAULT, LANGUAGES
from storage.keyword_index.postings import FIELDS, Postings
from storage.records import Ids
from storage.segments import Part


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the live rows of some parts."""

    count: int
    average_lengths: tuple[float, ...]
    """How many terms each of `FIELDS` has, where it has any; 1 where it never has.

    Most chunks have no headings: an average over all would count the shortest heading as long.
    """
    languages: tuple[str, ...]
    """What the rows were read as; never empty."""


def statistics_of(parts: Sequence[Part[Postings]]) -> Statistics:
    """Costs what is dead in `parts`, not what lives."""
    totals, filled = np.zeros(len(FIELDS), np.int64), np.zeros(len(FIELDS), np.int64)
    read_as = np.zeros(256, np.int64)
    for part in parts:
        dead = _dead_rows(part)
        lengths = part.segment.lengths[:, dead]
        totals += part.segment.total_lengths - lengths.sum(axis=1, dtype=np.int64)
        filled += part.segment.filled - np.count_nonzero(lengths, axis=1)
        read_as += part.segment.rows_of_language
        read_as -= np.bincount(part.segment.languages[dead], minlength=256)
    averages = [total / rows if rows else 1.0 for total, rows in zip(totals, filled, strict=True)]
    held = tuple(LANGUAGES[number] for number in np.flatnonzero(read_as))
    return Statistics(sum(part.alive for part in parts), tuple(averages), held or (DEFAULT,))


def _dead_rows(part: Part[Postings]) -> Ids:
    return np.flatnonzero(~part.live) if part.dead else np.empty(0, np.int64)
