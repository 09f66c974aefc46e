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
    system, _ = turns("Why?", [], instructions="Answer in rhymes.")
    assert system.text == f"{SYSTEM} Answer in rhymes."


def test_the_hash_changes_with_every_part_of_the_template() -> None:
    parts = [SYSTEM, USER, LEAD_IN]
    assert hashlib.sha256("\n".join(parts).encode()).hexdigest() == TEMPLATE_SHA256
