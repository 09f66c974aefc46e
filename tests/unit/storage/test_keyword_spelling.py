"""Edits between words, and which terms are near."""

from itertools import pairwise, product

import numpy as np
import pytest

from storage.keyword_index.postings import Vocabulary
from storage.keyword_index.spelling import distance, edits_allowed, near_terms


def vocabulary(*words):
    terms = sorted(word.encode() for word in words)
    ends = np.cumsum([len(term) for term in terms], dtype=np.int64)
    return Vocabulary(np.frombuffer(b"".join(terms), np.uint8), ends)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "", 3),
        ("retreiv", "retriev", 1),
        ("abcd", "badc", 2),
        ("ca", "abc", 3),
        ("kitten", "sitting", 3),
        ("über", "uber", 1),
    ],
)
def test_an_edit_adds_drops_changes_or_swaps(one, other, edits):
    assert distance(one, other, 9) == distance(other, one, 9) == edits


def reference(one, other):
    """Optimal string alignment by its recursion."""
    if not one or not other:
        return len(one) + len(other)
    costs = [
        reference(one[1:], other) + 1,
        reference(one, other[1:]) + 1,
        reference(one[1:], other[1:]) + (one[0] != other[0]),
    ]
    if one[:2] == other[1::-1] and len(one) > 1 < len(other):
        costs.append(reference(one[2:], other[2:]) + 1)
    return min(costs)


def test_all_short_words_are_as_far_apart_as_the_recursion_says():
    words = ["".join(letters) for size in range(5) for letters in product("ab", repeat=size)]
    words += ["abc", "bca", "acbd", "cabb", "bcba"]
    for one, other in product(words, repeat=2):
        assert distance(one, other, 9) == reference(one, other), (one, other)


def test_what_is_further_than_asked_for_is_only_known_to_be_further():
    assert distance("abcdefgh", "zyxwvuts", 2) > 2


@pytest.mark.parametrize(
    ("word", "edits"),
    [("abcd", 0), ("abcde", 1), ("abcdefg", 1), ("abcdefgh", 2), ("abcde1", 0), ("a" * 41, 0)],
)
def test_a_longer_word_may_have_more_edits(word, edits):
    assert edits_allowed(word) == edits


def test_no_near_term_is_missed_and_no_other_is_found():
    letters = "abé"
    words = ["a" + "".join(rest) for size in (3, 4, 5) for rest in product(letters, repeat=size)]
    known = vocabulary(*words[::2], "babab", "ab1ab", "ababab" * 8)
    for word in words[1::31]:
        most = edits_allowed(word)
        expected = {
            (other.encode(), distance(word, other, 9))
            for other in words[::2]
            if 0 < distance(word, other, 9) <= most and word.isascii() == other.isascii()
        }
        assert set(near_terms(known, word)) == expected


def test_the_place_of_a_term_is_found_in_a_vocabulary_of_any_size():
    for size in (0, 1, 15, 16, 17, 33, 500):
        words = [f"w{number:04}" for number in range(0, 2 * size, 2)]
        known = vocabulary(*words)
        assert [known.find(word.encode()) for word in words] == list(range(size))
        assert known.find(b"w0001") is known.find(b"") is known.find(b"x") is None
        assert known.beginning_with(b"w") == range(size)
        assert list(pairwise(known.terms())) == list(pairwise(word.encode() for word in words))
        begun = known.beginning_with(b"w000")
        assert [known[number] for number in begun] == [
            word.encode() for word in words if word.startswith("w000")
        ]


def test_an_empty_vocabulary_has_nothing_near():
    assert list(near_terms(vocabulary(), "retrieval")) == []
