"""What the first words of a sentence stand for."""

import pytest

from rag_pipeline.generation.allusion import antecedents, resolved


@pytest.mark.parametrize(
    ("sentences", "alluded"),
    [
        # The subject of the sentence before.
        (("The great oak of Ulm is old.", "It is tall.", "Its trunk is thick."),
         ("", "The great oak of Ulm", "The great oak of Ulm")),
        (("Boston Light, on an island, was the first.", "Its lamp was lit."), ("", "Boston Light")),
        (("Karl von Frisch decoded it.", "In 1927 more came.", "He was old."),
         ("", "", "Karl von Frisch")),
        # Nobody is named before: the title.
        (("It stands in Ulm.",), ("The Tower of Ulm",)),
        (("However, it rained.", "They left."), ("", "The Tower of Ulm")),
        # "The tower" is short for a longer name with the word, and for nothing else.
        (("The tower is 55 metres high.",), ("The Tower of Ulm",)),
        (("The Tower of Ulm is 55 metres high.",), ("",)),
        (("The bridge is 55 metres long.",), ("",)),
        # Stands for nothing.
        (("It is said that towers fall.",), ("",)),
        (("It's late.",), ("",)),
        ((), ()),
        (("", " ", "?"), ("", "", "")),
    ],
)  # fmt: skip
def test_it_is_the_last_subject_or_the_title(sentences, alluded) -> None:
    assert tuple(antecedents(sentences, "The Tower of Ulm")) == alluded


def test_without_a_title_or_a_subject_it_stands_for_nothing() -> None:
    assert list(antecedents(["It stands in Ulm.", "They left."], "")) == ["", ""]


def test_a_title_as_long_as_a_text_stands_for_nothing() -> None:
    assert list(antecedents(["It stands in Ulm."], "tower " * 50)) == [""]


@pytest.mark.parametrize(
    ("sentence", "whole"),
    [
        ("It is tall.", "The oak is tall."),
        ("Its trunk and its bark are thick.", "The oak's trunk and its bark are thick."),
        ("The tree is tall.", "The oak is tall."),
    ],
)
def test_what_is_alluded_to_takes_the_place_of_the_first_words(sentence: str, whole: str) -> None:
    assert resolved(sentence, "The oak") == whole


def test_a_name_with_a_backslash_stays_a_name() -> None:
    assert resolved("It is open.", r"C:\1\g") == r"C:\1\g is open."
