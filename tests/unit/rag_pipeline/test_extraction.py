"""Which sentences come nearest to an answer, by what is asked."""

import pytest
from support.passages import bag_of_words, passage

from rag_pipeline.generation.asking import has_what_is_asked
from rag_pipeline.generation.claims import claim_in
from rag_pipeline.generation.extraction import Near, in_reading_order, nearest, quoted
from rag_pipeline.generation.matching import single_spans


def texts(near: list[Near]) -> list[str]:
    return [found.span.text for found in near]


@pytest.mark.parametrize(
    ("question", "sentence", "has_it"),
    [
        ("How many moons has Mars?", "Mars has 2 moons.", True),
        ("How many moons has Mars?", "Mars is red.", False),
        ("How far is 5 miles from home?", "It is 5 miles.", False),
        ("When was the bridge built?", "The bridge was built in 1932.", True),
        ("When was the bridge built?", "The bridge was built by Bradfield.", False),
        ("What year did it end?", "It ended in 1945.", True),
        ("Who built the bridge?", "The bridge was built by Bradfield.", True),
        ("Who was Bradfield?", "the engineer was Bradfield.", False),
        ("Where is the bridge?", "the bridge stands in Sydney.", True),
        ("Why do bees dance?", "they show the way.", True),
    ],
)
def test_a_sentence_has_what_is_asked_or_not(question: str, sentence: str, has_it: bool) -> None:
    found = has_what_is_asked(question, claim_in(question), claim_in(sentence))
    assert found is has_it


def test_a_sentence_with_a_number_comes_first_where_one_is_asked_for() -> None:
    passages = [passage("The tower is a very tall tower. The tower is 300 metres tall.")]
    found = nearest("How tall is the tower?", passages, embed=bag_of_words)
    assert texts(found)[0] == "The tower is 300 metres tall."


def test_neither_questions_nor_headings_that_repeat_the_question_may_answer() -> None:
    text = "# The dance of bees\n\nWhy do bees dance? They dance to show the way."
    found = nearest("the dance of bees", [passage(text)], embed=bag_of_words)
    assert texts(found) == ["They dance to show the way."]


def test_a_sentence_that_two_passages_share_comes_once_from_the_better_one() -> None:
    passages = [passage("Bees dance.", key=1), passage("Bees dance. Bees fly.", key=2)]
    found = nearest("What do bees do?", passages, embed=bag_of_words)
    assert sorted(texts(found)) == ["Bees dance.", "Bees fly."]
    dance = next(one for one in found if one.span.text == "Bees dance.")
    assert dance.span.chunk is passages[0]


@pytest.mark.parametrize("passages", [[], [passage("   ")], [passage("Is it so?")]])
def test_where_no_sentence_tells_anything_nothing_is_embedded(passages) -> None:
    def refuse(given):
        raise AssertionError(given)

    assert nearest("Is it so?", passages, embed=refuse) == []
    assert quoted([]).answer == ""


def test_an_answer_is_its_sentences_in_reading_order_each_in_its_place() -> None:
    chunk = passage("Bees fly. Bees dance.", start=7)
    first, second = single_spans(chunk)
    answer = quoted([Near(second, 1.0), Near(first, 0.95)])
    assert answer.answer == "Bees fly. Bees dance."
    assert texts(in_reading_order([Near(second, 1.0), Near(first, 0.95)])) == [
        "Bees fly.",
        "Bees dance.",
    ]
    assert len(answer.sentences) == 2


def test_a_second_sentence_that_fits_much_worse_is_left_out() -> None:
    first, second = single_spans(passage("Bees fly. Bees dance."))
    assert quoted([Near(first, 1.0), Near(second, 0.5)]).answer == "Bees fly."
    assert quoted([Near(first, 1.0), Near(second, 1.0)], limit=1).answer == "Bees fly."


def test_what_a_sentence_alludes_to_is_embedded_with_it_and_not_quoted() -> None:
    embedded: list[str] = []

    def noting(texts):
        embedded.extend(texts)
        return bag_of_words(texts)

    found = nearest("Is it tall?", [passage("The oak of Ulm is old. It is tall.")], embed=noting)
    assert "The oak of Ulm: It is tall." in embedded
    assert quoted(found, limit=1).answer in ("It is tall.", "The oak of Ulm is old.")


def test_of_two_numbers_the_one_in_the_right_unit_is_nearer() -> None:
    oak = passage("The oak of Ulm is 600 years old. It is 31 metres tall. It has 9 branches.")
    assert texts(nearest("How tall is the oak of Ulm?", [oak], embed=bag_of_words))[0] == (
        "It is 31 metres tall."
    )
    assert texts(nearest("How old is the oak of Ulm?", [oak], embed=bag_of_words))[0] == (
        "The oak of Ulm is 600 years old."
    )
