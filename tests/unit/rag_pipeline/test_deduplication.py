"""Where two texts part, shown within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.deduplication import Difference, differences

words = st.lists(st.sampled_from(["ash", "birch", "cedar", "elm"]), max_size=20).map(" ".join)


def test_a_difference_has_the_words_before_it() -> None:
    found = [*differences("One two three four five.", "One two three 4 five.")]
    assert found == [Difference(after="One two three", original="four", text="4")]


def test_what_only_one_has_leaves_the_other_side_empty() -> None:
    assert [*differences("a b", "a b c d")] == [Difference(after="a b", original="", text="c d")]
    assert [*differences("x a b", "a b")] == [Difference(after="", original="x", text="")]


def test_white_space_is_no_difference() -> None:
    assert [*differences("One\n two ", "One two")] == []


@given(words, words)
def test_there_is_a_difference_if_and_only_if_the_words_differ(first: str, second: str) -> None:
    found = [*differences(first, second)]
    assert bool(found) == (first.split() != second.split())
    assert all(difference.original != difference.text for difference in found)


@given(words, words)
def test_each_side_shows_its_own_words(first: str, second: str) -> None:
    for difference in differences(first, second):
        assert f"{difference.after} {difference.original}".strip() in first
        assert f"{difference.after} {difference.text}".strip() in second or difference.after


def test_it_stays_short_however_long_the_texts_are() -> None:
    first = " ".join(f"word{n}" for n in range(50_000))
    second = first.replace("7", "x")
    found = [*differences(first, second)]
    assert len(found) == 5
    assert all(len(one.original) < 250 and len(one.text) < 250 for one in found)


def test_a_difference_far_into_a_long_text_is_found() -> None:
    first = " ".join(f"word{n}" for n in range(50_000))
    (found,) = differences(first, first.replace("word49000 ", "another "))
    assert (found.original, found.text) == ("word49000", "another")
