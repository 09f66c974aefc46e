"""Whether a sentence says what a question asks, word for word."""

import pytest

from rag_pipeline.generation.statement import fit, kind_of, statement_of


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("When was the old harbour dredged?", "The old harbour was dredged in 1874."),
        ("When was the old harbour dredged?", "In 1874 the old harbour was finally dredged."),
        ("Who built the Bell Rock tower?", "Robert Stevenson built the Bell Rock tower."),
        ("Who built the Bell Rock tower?", "The Bell Rock tower was built by Robert Stevenson."),
        ("Who was the master of Ravenport?", "The master of Ravenport was Johanna Lindqvist."),
        ("How many workers does a hive of bees hold?", "A hive of bees holds forty workers."),
        ("What does the Duchy of Normandy export?", "The Duchy of Normandy exports cider."),
        ("How tall is the oak of Ravenport?", "The oak of Ravenport is 31 metres tall."),
        ("How old is an oak of the town?", "The oak of that town is nine hundred years old."),
        ("When was the tower of Ulm built?", "The tower of Ulm was built in the first century."),
    ],
)
def test_a_sentence_that_says_what_is_asked_states_it(question: str, sentence: str) -> None:
    assert fit(question, sentence) == "wholly"


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        # Something else moved, or the other way round.
        ("Who moved the court from Rome to Ulm?", "Otto moved the court from Ulm to Rome."),
        ("Who joined the Norman forces in the war?", "He joined the Turkish forces in the war."),
        ("Who betrayed the knights of Rome?", "Ulm was betrayed to the knights of Rome by Otto."),
        # Nothing of the kind that is asked for, or not in its place.
        ("When was the old harbour dredged?", "The old harbour was dredged by Stevenson."),
        ("Who announced an embargo of the harbour?", "It announced an embargo of the harbour."),
        ("Where was the fort of the king built?", "The fort of the king was built in haste."),
        # What is intended did not happen.
        ("Who carved out a state for himself?", "Roger went to carve out a state for himself."),
        # Questions for what is not, and for reasons.
        ("Who never built the Bell Rock tower?", "Robert Stevenson built the Bell Rock tower."),
        ("Why was old oil of the tower sold?", "Predictably, old oil of the tower was sold."),
        ("What started with a zero velocity?", "The object started with a non-zero velocity."),
        # What it is, is not where it stands.
        ("What is the tower of Hercules?", "The tower of Hercules stands at Coruña in Galicia."),
        # Too short to be more than chance.
        ("Who lost?", "Robert lost."),
        # Another kind of measure.
        ("How tall is the oak of Ravenport?", "The oak of Ravenport is 600 years old."),
        ("What percentage of the oak is left?", "Of the oak of 31 metres all is left."),
        # Who did it to whom.
        ("Who did the Normans lead?", "The Normans were first led by Rollo of Ulm."),
        # A figure is no year.
        ("When was the old massacre?", "The old massacre was when 5,000 to 30,000 were killed."),
    ],
)  # fmt: skip
def test_a_sentence_that_says_something_else_does_not(question: str, sentence: str) -> None:
    assert fit(question, sentence) == "no"


def test_many_words_in_between_make_it_less_sure() -> None:
    question = "When was the old harbour dredged?"
    sentence = "The old harbour, as all three sailors of that town say, was dredged in 1874."
    assert fit(question, sentence) == "nearly"


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        # It is the age that begins, not the people at its beginning.
        ("When did the old age of tin begin?", "The old age of tin, beginning in 1700, saw wars."),
        ("Who lost money?", "Robert lost money."),
    ],
)
def test_a_participle_or_few_words_make_it_less_sure(question: str, sentence: str) -> None:
    assert fit(question, sentence) == "nearly"


@pytest.mark.parametrize("text", ["", "?!", "Tell me of bees.", "what", "Is it so?", "wer ist das"])
def test_what_is_no_such_question_has_no_statement(text: str) -> None:
    assert statement_of(text) is None
    assert fit(text, "Anything at all was said in 1874.") == "no"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("In which year did it end?", "when"),
        ("How many are there?", "number"),
        ("To whom was it sold?", "who"),
        ("How was it sold?", "how"),
        ("Name it.", "what"),
    ],
)
def test_the_kind_of_thing_that_is_asked_for_is_told(question: str, kind: str) -> None:
    assert kind_of(question) == kind
