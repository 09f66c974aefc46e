"""The order of results, and the arrays that they are listed in."""

import numpy as np
import pytest

from storage.ranking import NOTHING, Listing, best, least_of_best, union
from storage.records import Scored


def listing() -> Listing:
    return best(np.array([7, 3, 5]), np.array([0.5, 0.5, 0.9]), 10)


def test_a_listing_reads_as_the_list_that_it_stands_for() -> None:
    expected = [Scored(5, 0.9), Scored(3, 0.5), Scored(7, 0.5)]
    assert list(listing()) == expected
    assert listing() == expected
    assert [listing()[place] for place in range(3)] == expected
    assert listing()[-1] == expected[-1]
    assert listing()[1:] == expected[1:]
    assert isinstance(listing()[1:], Listing)
    assert Listing.of(expected) == listing()
    assert (len(listing()), Scored(3, 0.5) in listing()) == (3, True)


def test_what_it_gives_are_plain_numbers() -> None:
    for found in (listing()[0], next(iter(listing()))):
        assert (type(found.chunk_id), type(found.score)) == (int, float)


def test_beyond_the_end_there_is_nothing() -> None:
    with pytest.raises(IndexError):
        listing()[3]
    assert not NOTHING
    assert NOTHING == []
    assert Listing.of([]) == NOTHING


def test_listings_differ_where_anything_does() -> None:
    assert listing() != [Scored(5, 0.9)]
    assert listing() != "no list"
    assert hash(listing()) == hash(listing())


@pytest.mark.parametrize(
    ("one", "other"), [([], []), ([5], []), ([9, 1], [1, 4]), ([3, 3], [3]), ([-1, 7], [8, 2, 7])]
)
def test_a_union_has_each_key_once_ascending_in_whatever_order_they_came(
    one: list[int], other: list[int]
) -> None:
    both = union(np.array(one, np.int64), np.array(other, np.int64))
    assert both.tolist() == sorted({*one, *other})
    assert both.dtype == np.int64


@pytest.mark.parametrize("width", [np.float32, np.float64])
def test_the_least_of_the_best_leaves_the_scores_in_their_order(width: type) -> None:
    scores = np.array([0.25, 4.0, -1.0, 4.0, 2.0], width)
    assert [least_of_best(scores, limit) for limit in range(1, 5)] == [4.0, 4.0, 2.0, 0.25]
    assert scores.tolist() == [0.25, 4.0, -1.0, 4.0, 2.0]
