"""What the model is asked."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from support.passages import passage

from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.matching import single_spans
from rag_pipeline.generation.prompt import (
    LEAD_IN,
    SYSTEM,
    TEMPLATE_SHA256,
    USER,
    begun,
    user_turn,
)


def near(text: str) -> list[Near]:
    return [Near(span, 1.0) for span in single_spans(passage(text))]


def test_the_sentences_stand_in_their_order_before_the_question() -> None:
    shown = near("Bees dance.\nThey show\n  the way.")
    assert user_turn(" Why? ", shown) == "Bees dance. They show the way.\n\nQuestion: Why?"


@given(st.text())
def test_no_question_is_taken_for_a_part_of_the_template(question: str) -> None:
    assert user_turn(question, near("A {question}.")).startswith("A {question}.")
    assert user_turn(question, []) == f"\n\nQuestion: {question.strip()}"


def test_the_answer_is_begun_for_the_model() -> None:
    assert begun("rendered\n") == f"rendered\n{LEAD_IN}"


def test_the_hash_changes_with_every_part_of_the_template() -> None:
    parts = [SYSTEM, USER, LEAD_IN]
    assert hashlib.sha256("\n".join(parts).encode()).hexdigest() == TEMPLATE_SHA256
