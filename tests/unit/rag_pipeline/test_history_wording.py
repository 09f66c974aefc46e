"""What changed between two texts: the parts are the texts, whatever these are."""

import time

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.history.wording import word_diff

TEXTS = st.lists(st.sampled_from(["mill", " the", "  old", ".", "\n", "é", "42", " "])).map("".join)


@given(TEXTS, TEXTS)
def test_the_parts_make_up_both_texts(before: str, after: str) -> None:
    parts = word_diff(before, after)
    assert "".join(part.text for part in parts if part.kind != "new") == before
    assert "".join(part.text for part in parts if part.kind != "gone") == after


@given(TEXTS)
def test_a_text_is_not_different_from_itself(text: str) -> None:
    assert {part.kind for part in word_diff(text, text)} <= {"same"}


def test_one_word_of_a_sentence_is_told_by_itself() -> None:
    found = word_diff("The mill is 32 metres high.", "The mill is 99 metres high.")
    assert [(part.kind, part.text) for part in found] == [
        ("same", "The mill is"),
        ("gone", " 32"),
        ("new", " 99"),
        ("same", " metres high."),
    ]


def test_long_texts_that_have_little_in_common_are_told_apart_at_once() -> None:
    began = time.process_time()
    found = word_diff("a b c " * 20_000 + "a", "d e f " * 20_000 + "d")
    assert [part.kind for part in found] == ["gone", "new"]
    assert time.process_time() - began < 5
