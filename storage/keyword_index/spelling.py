"""Which terms of a vocabulary a misspelt one may stand for.

As Lucene's FuzzyQuery with AUTO:5,8 and a prefix of one: within one edit from five characters on
and two from eight, an edit being a character added, left out or changed, or two neighbours in the
wrong order (optimal string alignment). The first character is taken to be right, and so is whatever
is no letter: 2019 is no misspelling of 2018. No accents are left here, so that an ASCII word is
never near one of another script.
"""

from collections.abc import Iterator

import numpy as np

from storage.keyword_index.postings import Vocabulary

_EDITS_FROM = ((8, 2), (5, 1))
_LONGEST = 40
"""What is longer is no word."""


def edits_allowed(term: str) -> int:
    """How many characters of a word of this length are taken to be wrong at most."""
    if not term.isalpha() or len(term) > _LONGEST:
        return 0
    return next((edits for length, edits in _EDITS_FROM if len(term) >= length), 0)


def near_terms(vocabulary: Vocabulary, term: str) -> Iterator[tuple[bytes, int]]:
    """The terms near `term`, but not `term`, and how many edits away they are."""
    most = edits_allowed(term)
    if not most:
        return
    for number in _worth_comparing(vocabulary, term, most):
        encoded = vocabulary[number]
        other = encoded.decode()
        is_alike = other.isalpha() and other.isascii() == term.isascii()
        if is_alike and 0 < (edits := distance(term, other, most)) <= most:
            yield encoded, edits


def _worth_comparing(vocabulary: Vocabulary, term: str, most: int) -> list[int]:
    """Terms whose bytes differ no more than by so many edits."""
    encoded = term.encode()
    found = vocabulary.beginning_with(term[0].encode())
    if not found:
        return []
    span = slice(found.start, found.stop)
    # An edit takes one character of up to four bytes out and puts another one in.
    size = 1 if term.isascii() else 4
    signature = np.bitwise_or.reduce(np.left_shift(np.uint32(1), np.frombuffer(encoded, "u1") & 31))
    differing = np.bitwise_count(vocabulary.signatures[span] ^ np.uint32(signature))
    longer = np.abs(vocabulary.lengths[span] - len(encoded))
    alike = (differing <= 2 * size * most) & (longer <= size * most)
    return (np.flatnonzero(alike) + found.start).tolist()


def distance(one: str, other: str, most: int) -> int:
    """Edits from one to the other, or more than `most`: optimal string alignment (Boytsov 2011,
    "Indexing methods for approximate dictionary searching", section 2.1)."""
    one, other = _differing(one, other)
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        row = [i]
        for j, right in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]


def _differing(one: str, other: str) -> tuple[str, str]:
    """Without what both begin and end with, where no edit is needed."""
    start = _shared(one, other)
    one, other = one[start:], other[start:]
    end = _shared(one[::-1], other[::-1])
    return one[: len(one) - end], other[: len(other) - end]


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
