"""From chunks to what is inverted: the terms of each field, each at its place.

The fields of a chunk stand one behind the other, with a gap between them that no phrase spans.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from storage.keyword_index.analysis import is_pair, term_of, tokens
from storage.keyword_index.languages import LANGUAGES, read_as
from storage.keyword_index.postings import FIELDS, Occurrences, Postings, invert
from storage.records import Entries, Ids

GAP = 100
"""How far fields, and one heading and the next, are apart (Lucene's position increment gap)."""

_NUMBER_OF_LANGUAGE = {language: number for number, language in enumerate(LANGUAGES)}
_STOP_WORD = -1
_TITLE, _HEADINGS, _TEXT = range(len(FIELDS))


def read(entries: Entries) -> Postings:
    """A segment of `entries`."""
    languages = [read_as(language) for language in entries.languages]
    numbering = _Numbering()
    pieces = [
        (row, kind, numbering.of(text, languages[row])) for row, kind, text in _pieces(entries)
    ]
    numbers = np.array([number for _, _, numbers in pieces for number in numbers], np.int64)
    sizes = np.array([len(numbers) for _, _, numbers in pieces], np.int64)
    rows = np.array([row for row, _, _ in pieces], np.int64)
    found = Occurrences(
        numbers=numbers,
        rows=np.repeat(rows, sizes),
        fields=np.repeat(np.array([kind for _, kind, _ in pieces], np.int64), sizes),
        positions=_positions(rows, sizes, numbering.are_pairs(numbers)),
    )
    codes = np.array([_NUMBER_OF_LANGUAGE[language] for language in languages], np.uint8)
    return invert(entries.ids, codes, list(numbering.terms), _without_stop_words(found))


def _pieces(entries: Entries) -> Iterator[tuple[int, int, str]]:
    """Row, field and text of all that is read, in the order of positions."""
    fields = zip(entries.titles, entries.headings, entries.texts, strict=True)
    for row, (title, headings, text) in enumerate(fields):
        yield row, _TITLE, title
        for heading in headings:
            yield row, _HEADINGS, heading
        yield row, _TEXT, text


class _Numbering:
    """Numbers for terms, in the order in which they are met."""

    def __init__(self) -> None:
        self.terms: dict[str, int] = {}
        self._of_language: dict[str, _Tokens] = {}

    def of(self, text: str, language: str) -> list[int]:
        """The number of each token of `text`; -1 for a stop word."""
        known = self._of_language.get(language)
        if known is None:
            known = self._of_language[language] = _Tokens(language, self.terms)
        return [known[token] for token in tokens(text)]

    def are_pairs(self, numbers: Ids) -> npt.NDArray[np.bool_]:
        """Which of `numbers` are of pairs of characters."""
        pairs = np.array([*map(is_pair, self.terms), False], np.bool_)
        return pairs[numbers]


class _Tokens(dict[str, int]):
    """The numbers of the terms that tokens of one language stand for."""

    def __init__(self, language: str, terms: dict[str, int]) -> None:
        super().__init__()
        self._language = language
        self._terms = terms

    def __missing__(self, token: str) -> int:
        term = term_of(token, self._language)
        number = self._terms.setdefault(term, len(self._terms)) if term else _STOP_WORD
        self[token] = number
        return number


def _positions(rows: Ids, sizes: Ids, are_pairs: npt.NDArray[np.bool_]) -> Ids:
    """Where in its row each token of the pieces stands; a stop word leaves its place empty."""
    places = np.cumsum(~are_pairs, dtype=np.int64)
    ends = np.cumsum(sizes)
    before = np.concatenate([[0], places])[ends - sizes]
    # The gaps are counted on from the first piece of the row.
    first = np.searchsorted(rows, rows)
    pieces = np.arange(rows.size) - first
    shifts: Ids = GAP * pieces - before[first]
    positions: Ids = places + np.repeat(shifts, sizes)
    return positions


def _without_stop_words(found: Occurrences) -> Occurrences:
    keep = found.numbers != _STOP_WORD
    return Occurrences(
        found.numbers[keep], found.rows[keep], found.fields[keep], found.positions[keep]
    )
