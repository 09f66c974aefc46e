"""The order of results, and the arrays that they are listed in."""

import numpy as np
import pytest

from storage.ranking import NOTHING, Listing, best
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
