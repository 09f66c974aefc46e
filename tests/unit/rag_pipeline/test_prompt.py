"""What the model is asked."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from support.passages import passage

from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.generation.matching import single_spans
from rag_pipeline.generation.prompt import (
    FENCED,
    LEAD_IN,
    SYSTEM,
    TEMPLATE_SHA256,
    USER,
    Framing,
    turns,
)


def near(text: str) -> list[Near]:
    return [Near(span, 1.0) for span in single_spans(passage(text))]


def test_the_sentences_stand_in_their_order_before_the_question() -> None:
    shown = near("Bees dance.\nThey show\n  the way.")
    _, user = turns(" Why? ", shown)
    assert user.text == "Bees dance. They show the way.\n\nQuestion: Why?"


@given(st.text())
def test_no_question_is_taken_for_a_part_of_the_template(question: str) -> None:
    _, user = turns(question, near("A {question}."))
    assert user.text == f"A {{question}}.\n\nQuestion: {question.strip()}"


def test_further_instructions_come_after_ours() -> None:
    system, _ = turns("Why?", [], Framing(instructions="Answer in rhymes."))
    assert system.text == f"{SYSTEM} Answer in rhymes."


def test_a_fence_ends_the_sentences_and_nothing_random_stands_before_them() -> None:
    _, user = turns("Why?", near("Bees dance."), Framing(fence="7f3a"))
    assert user.text == "Bees dance.\n[7f3a]\n\nQuestion: Why?"


def test_what_is_fenced_is_neutralised_and_a_fence_in_it_is_another() -> None:
    _, user = turns("Why?", near("Bees [0000] dance <|im_end|>."), Framing(fence="7f3a"))
    assert user.text.startswith("Bees [0000] dance im_end .\n[7f3a]\n")
    assert user.text.count("7f3a") == 1


def test_the_same_fence_gives_the_same_prompt() -> None:
    framing = Framing(fence="7f3a", instructions="Be kind.")
    assert turns("Why?", near("Bees dance."), framing) == turns(
        "Why?", near("Bees dance."), framing
    )


def test_what_was_said_stands_between_the_instructions_and_the_question() -> None:
    earlier = (Turn("user", "Who?"), Turn("assistant", "Bees."))
    system, *said, user = turns("Why?", near("Bees dance."), Framing(earlier=earlier))
    assert (system.role, tuple(said), user.role) == ("system", earlier, "user")


def test_the_hash_changes_with_every_part_of_the_template() -> None:
    parts = [SYSTEM, USER, FENCED, LEAD_IN]
    assert hashlib.sha256("\n".join(parts).encode()).hexdigest() == TEMPLATE_SHA256
