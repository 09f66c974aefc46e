"""Events are one line each, and pieces are the text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.service.shapes import Shape
from rag_pipeline.service.streaming import event, pieces

TEXTS = st.text() | st.text(alphabet="a \n\r\t\x0b\x85\u2028\u2029\u00a0灯🚢")


class Said(Shape):
    text: str
    more: str = "not given, so not said"


@given(TEXTS)
def test_pieces_joined_are_the_text(text: str) -> None:
    made = [*pieces(text)]
    assert "".join(made) == text
    assert all(made)


@given(TEXTS)
def test_an_event_is_one_line_whoever_splits_it(text: str) -> None:
    for about in (Said(text=text), {"text": text}):
        first, *rest = event(about).decode().splitlines()
        assert rest == [""]
        assert json.loads(first.removeprefix("data: ")) == {"text": text}


def test_a_named_event_says_its_name_first() -> None:
    assert event({"step": "searching"}, name="status") == (
        b'event: status\ndata: {"step": "searching"}\n\n'
    )
