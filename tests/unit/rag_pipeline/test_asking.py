"""What kind of thing a question asks for."""

import pytest
from support.growth import grows_no_faster_than_its_size

from rag_pipeline.generation.asking import is_of_kind


@pytest.mark.parametrize(
    ("question", "sentence", "is_of"),
    [
        ("How tall is the oak?", "It is 31 metres tall.", True),
        ("How tall is the oak?", "It is 31m tall.", True),
        ("How tall is the oak?", "Height in metres: 31", True),
        ("How tall is the oak?", "It is 600 years old.", False),
        ("What is the height of the oak?", "It stands at some hundred feet.", True),
        ("What is the height of the oak?", "It weighs 31 tons.", False),
        ("How old is the oak?", "It is 600 years old.", True),
        ("How old is the oak?", "It is 31 metres tall.", False),
        ("How long did it last?", "It lasted from 1914 to 1918.", True),
        ("How long did it last?", "It lasted three weeks.", True),
        ("How long did it last?", "It had 12 members.", False),
        ("How heavy is it?", "It is some 40 kg.", True),
        ("How much does the bell weigh?", "It is 2 m wide.", False),
        ("What percentage is left?", "Some 70% is left.", True),
        ("What percentage is left?", "Some 70 are left.", False),
        ("When was it lit?", "It was lit on 14 September 1716.", True),
        ("When was it lit?", "It was lit in the third century BC.", True),
        ("When was it lit?", "It was lit by 12 men.", False),
        # What the question has itself is no answer.
        ("When in 1716 was it lit?", "It was lit in 1716.", False),
        ("When in 1716 was it lit?", "It was lit in June 1716.", True),
        # Any sentence will do.
        ("What happened when it was lit?", "People came.", True),
        ("Who lit it?", "People came.", True),
        ("", "", True),
    ],
)
def test_a_sentence_has_the_kind_of_thing_that_is_asked_for(question, sentence, is_of) -> None:
    assert is_of_kind(question, sentence) is is_of


@pytest.mark.parametrize("piece", ["1,", "9 ", "a ", "metres ", "one-", "1/1."])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    assert grows_no_faster_than_its_size(
        lambda count: is_of_kind("How tall is it?", piece * count), 50_000
    )
