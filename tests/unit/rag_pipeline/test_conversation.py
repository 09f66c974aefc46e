"""Questions that follow others, by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.generation.conversation import (
    Exchange,
    exchanges,
    fitting,
    standalone,
)
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.generation.subjects import names_in, subject_of

HEIGHT = Exchange("How high is the lighthouse of Ravenport?", "It is 42 metres high.")
BUILDER = Exchange("Who built the lighthouse of Ravenport?", "It was built by Johan Lindqvist.")
HOURS = Exchange("When does the museum of Ravenport open in summer?", "At nine.")
TICKET = Exchange("What does a ticket to the museum of Ravenport cost?", "8 euros.")
BEES = Exchange("How long do honey bees live?", "Six weeks.")


@pytest.mark.parametrize(
    ("question", "before", "alone"),
    [
        ("Who built it?", HEIGHT, "Who built the lighthouse of Ravenport?"),
        ("Is it open on Sundays?", HEIGHT, "Is the lighthouse of Ravenport open on Sundays?"),
        ("When was he born?", BUILDER, "When was Johan Lindqvist born?"),
        ("Who was his wife?", BUILDER, "Who was Johan Lindqvist's wife?"),
        ("What do they eat?", BEES, "What do honey bees eat?"),
        ("And in winter?", HOURS, "When does the museum of Ravenport open in winter?"),
        ("In winter?", HOURS, "When does the museum of Ravenport open in winter?"),
        (
            "And for children?",
            TICKET,
            "What does a ticket to the museum of Ravenport cost for children?",
        ),
        ("What about Skagen?", HEIGHT, "How high is the lighthouse of Skagen?"),
        ("And that of Skagen?", HEIGHT, "How high is the lighthouse of Skagen?"),
        ("What about the harbour?", HEIGHT, "How high is the harbour of Ravenport?"),
        ("And wasps?", BEES, "How long do wasps live?"),
        ("And its age?", HEIGHT, "What is the age of the lighthouse of Ravenport?"),
        ("How old?", HEIGHT, "How old is the lighthouse of Ravenport?"),
        (
            "What does a guide cost there?",
            HOURS,
            "What does a guide cost at the museum of Ravenport?",
        ),
        (
            "How many steps does the staircase have?",
            HEIGHT,
            "How many steps does the staircase have (the lighthouse of Ravenport)?",
        ),
        (
            "What caused the flood?",
            Exchange("When was the bridge repaired?", "After the flood of 1924."),
            "What caused the flood of 1924?",
        ),
        (
            "Und im Winter?",
            Exchange("Wann öffnet das Museum von Ravenport?", "Um neun."),
            "Wann öffnet das Museum von Ravenport im Winter?",
        ),
    ],
)
def test_a_follow_up_stands_alone(question: str, before: Exchange, alone: str) -> None:
    assert standalone(question, [before]) == alone


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote Hamlet?",
        "How many pupils has the harbour school of Oulu?",
        "How do bees dance?",
        "Is there a ferry to Holm?",
        "",
        "   ",
        "?",
    ],
)
def test_a_question_that_stands_alone_stays_as_it_is(question: str) -> None:
    assert standalone(question, [HEIGHT]) == question or not question.strip("? ")


def test_the_first_question_stays_as_it_is() -> None:
    assert standalone("How high is it?", []) == "How high is it?"


def test_a_subject_is_carried_through_several_questions() -> None:
    asked = [HEIGHT, Exchange("And that of Skagen?", "46 metres."), Exchange("Who built it?", "")]
    assert standalone("And in which year?", asked[:2]).endswith("?")
    assert "Skagen" in standalone("How far can its lamp be seen?", asked)


def test_the_answer_names_what_was_asked_for() -> None:
    ship = Exchange("Which is the largest ship of the museum?", "The largest ship is the Aurora.")
    assert standalone("When was it launched?", [ship]) == "When was Aurora launched?"


@given(
    st.text(max_size=80)
    | st.sampled_from(["And it?", "Why?", "What about X?", "of it", "the price"]),
    st.lists(
        st.builds(Exchange, st.text(max_size=80) | st.just(HEIGHT.question), st.text(max_size=80)),
        max_size=4,
    ),
)
def test_no_text_breaks_it_and_none_grows_without_end(
    question: str, before: list[Exchange]
) -> None:
    alone = standalone(question, before)
    assert (
        len(alone) <= len(question) + 5 * sum(len(one.question + one.answer) for one in before) + 50
    )


def test_a_question_of_many_pages_is_left_alone() -> None:
    long = "Why is it so " + "very " * 500 + "high?"
    assert standalone(long, [HEIGHT]) == long


def test_turns_are_questions_with_their_answers() -> None:
    turns = [
        Turn("system", "Be kind."),
        Turn("user", "One?"),
        Turn("user", "Two?"),
        Turn("assistant", "2"),
    ]
    assert exchanges(turns) == [Exchange("One?", ""), Exchange("Two?", "2")]


def test_as_many_of_the_last_exchanges_are_shown_as_fit() -> None:
    turns = [
        turn
        for number in "123"
        for turn in (Turn("user", f"q {number} ?"), Turn("assistant", f"a {number}"))
    ]
    count = len

    def words(text: str) -> int:
        return count(text.split())

    assert fitting(turns, words, 0) == []
    assert fitting(turns, words, 4) == []
    assert fitting(turns, words, 5) == turns[4:]
    assert fitting(turns, words, 9) == turns[4:]
    assert fitting(turns, words, 10) == turns[2:]
    assert fitting(turns, words, 99) == turns


def test_names_are_runs_of_capitals_without_question_words() -> None:
    told = "What did Johan Lindqvist of Turku say to the Bank of Finland in May?"
    assert names_in(told) == ["Johan Lindqvist of Turku", "Bank of Finland"]


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("When does the train to Turku leave?", "the train to Turku"),
        ("What does the wind mill grind?", "the wind mill"),
        ("How is the Norda router reset?", "the Norda router"),
        ("How long does the library of Ravenport lend books?", "the library of Ravenport"),
        ("How do bees dance?", "bees"),
        ("Why?", None),
    ],
)
def test_the_subject_is_the_noun_phrase_that_is_asked_about(
    question: str, subject: str | None
) -> None:
    assert subject_of(question) == subject
