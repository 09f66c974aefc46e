"""What a passage could be asked for."""

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.entities.recognise import RuleRecogniser
from rag_pipeline.synthetic.texts.answers import answers_in

RULES = RuleRecogniser()


def found(text: str) -> dict[str, str]:
    return {text[one.start : one.end]: one.kind for one in answers_in(text, RULES)}


def test_names_dates_and_amounts_can_be_asked_for() -> None:
    text = "The engineer Gustaf Dalén built 14 lamps in Stockholm on 3 May 1907 for 1,200 crowns."
    assert found(text) == {
        "Gustaf Dalén": "person",
        "14 lamps": "amount",
        "Stockholm": "place",
        "3 May 1907": "date",
        "1,200 crowns": "amount",
    }


def test_what_is_no_sentence_of_prose_is_not_asked_about() -> None:
    for text in (
        "Dalén, 1907.",
        "Name | Built in | Height in metres\nBell Rock | 1810 | 35 metres tall",
        "Lighthouse: Skerryvore; Country: Scotland; First lit: 1844; Height in metres: 48",
        "In 1907 " + "it rained and rained " * 30,
    ):
        assert found(text) == {}


@given(st.text(alphabet="A d1,.0 %\nJuly Mary-", max_size=200))
def test_answers_are_apart_and_inside_their_sentence(text: str) -> None:
    last = 0
    for one in answers_in(text, RULES):
        assert last <= one.start < one.end
        assert one.sentence_start <= one.start < one.end <= one.sentence_end
        last = one.end
