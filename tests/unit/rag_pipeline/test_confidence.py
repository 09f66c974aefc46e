"""How sure an answer is, and what it may be called for that."""

import math
from dataclasses import replace

import pytest
from support.passages import bag_of_words, hit, passage

from rag_pipeline.errors import SettingsError
from rag_pipeline.generation.calibration import DEFAULT, Calibration, Point, upper_bound
from rag_pipeline.generation.confidence import NEVER, Judge, cosines_of, quoting, signals
from rag_pipeline.generation.extraction import Near, nearest, quoted
from storage.records import StoredChunk

BEES = passage(
    "A honeybee has five eyes: two large compound eyes and three small simple eyes called ocelli. "
    "Worker bees live about six weeks in summer.",
    key=1,
    title="The honeybee",
)
DANCE = passage(
    "Karl von Frisch decoded the waggle dance. The angle of the dance shows the direction.",
    key=2,
    title="The waggle dance",
)
JUDGE = Judge.of(DEFAULT, risk=0.05, certainty=0.8)


def found(question: str, *passages: StoredChunk) -> list[Near]:
    return nearest(question, passages or (BEES, DANCE), embed=bag_of_words)


def chance(question: str, *passages: StoredChunk) -> float:
    near = found(question, *passages)
    return JUDGE.chance(question, near[:1], near)


@pytest.mark.parametrize(
    "question",
    ["How many eyes does a honeybee have?", "Who decoded the waggle dance?", "worker bees summer"],
)
def test_passages_on_the_question_are_worth_an_answer(question: str) -> None:
    assert JUDGE.is_enough(chance(question))


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Peru?",
        "Who won the World Cup in 2018?",
        "How do I install Python?",
        "hello",
        "?!",
        "",
    ],
)
def test_passages_on_other_subjects_are_not(question: str) -> None:
    assert not JUDGE.is_enough(chance(question))


LIGHT = passage(
    "Boston Light, on Little Brewster Island, was the first lighthouse of the United States. "
    "Its lamp was first lit on 14 September 1716.",
    key=3,
    title="Boston Light",
)


def test_a_sentence_that_alludes_to_what_the_question_names_is_more_likely_right_than_not() -> None:
    (near, *_) = found("When was Boston Light first lit?", LIGHT)
    assert near.span.text == "Its lamp was first lit on 14 September 1716."
    assert chance("When was Boston Light first lit?", LIGHT) > 0.5


@pytest.mark.parametrize(
    "question",
    ["When was Bell Rock first lit?", "Who lit Boston Light?", "How tall is Boston Light?"],
)
def test_one_that_alludes_to_something_else_or_says_something_else_is_not(question: str) -> None:
    near = found(question, LIGHT)
    assert signals(question, near[0], near).is_nearly_stated == 0
    assert chance(question, LIGHT) < 0.5


def test_a_pronoun_does_not_answer_who_it_is() -> None:
    council = passage("The Council of Ulm met. It appoints the board of the bank.", key=4)
    near = found("Who appoints the board of the bank?", council)
    assert near[0].span.antecedent == "The Council of Ulm"
    assert signals("Who appoints the board of the bank?", near[0], near).is_nearly_stated == 0


def test_without_a_sentence_there_is_no_chance() -> None:
    assert JUDGE.chance("How many eyes?", [], []) == 0
    assert JUDGE.chance("How many eyes?", [], found("How many eyes?", passage(" \n"))) == 0


@pytest.mark.parametrize(
    ("asked", "twisted"),
    [
        ("Who decoded the waggle dance?", "Who never decoded the waggle dance?"),
        ("What do worker bees do before summer?", "What do worker bees do before 1999?"),
        ("When did Frisch decode the dance?", "When did Zimmermann decode the dance?"),
    ],
)
def test_a_twisted_question_is_less_sure(asked: str, twisted: str) -> None:
    assert chance(twisted) < chance(asked)


def test_extreme_cosines_stay_chances() -> None:
    (near, *_) = found("Who decoded the waggle dance?")
    for cosine in (-1.0, 0.0, 1.0):
        one = Near(near.span, near.fit, cosine, cosine)
        told = DEFAULT.chance(signals("Who decoded the waggle dance?", one, [one]))
        assert 0 <= told <= 1
    wild = replace(DEFAULT, weights={"cosine": 1e9})
    assert wild.chance(signals("dance", near, [near])) in (0.0, 1.0) or math.isfinite(
        wild.chance(signals("dance", near, [near]))
    )


def test_the_sentences_that_are_cited_are_those_that_are_judged() -> None:
    near = found("Who decoded the waggle dance?")
    citations = quoted(near, limit=1).citations
    assert quoting(near, citations) == near[:1]
    assert quoting(near, ()) == []


def test_a_cosine_that_the_search_knows_is_not_found_again() -> None:
    embedded: list[str] = []

    def noting(texts):
        embedded.extend(texts)
        return bag_of_words(texts)

    known = cosines_of([hit(BEES, cosine=0.5), hit(DANCE)])
    assert known == {BEES.chunk_id: 0.5}
    near = nearest("worker bees", [BEES, DANCE], embed=noting, cosines=known)
    assert BEES.text not in embedded
    assert DANCE.text in embedded
    assert {one.passage_cosine for one in near if one.span.chunk is BEES} == {0.5}


@pytest.mark.parametrize(
    ("standing", "sure", "called"),
    [
        ("grounded", 0.99, "grounded"),
        ("grounded", 0.5, "partial"),
        ("partial", 0.99, "partial"),
        ("no_evidence", 0.99, "no_evidence"),
    ],
)
def test_grounded_needs_support_and_a_high_chance(standing, sure, called) -> None:
    assert JUDGE.state(standing, sure) == called


def curve(*points: tuple[float, int, int]) -> Calibration:
    made = (Point(chance=chance, answers=answers, wrong=wrong) for chance, answers, wrong in points)
    return replace(DEFAULT, curve=tuple(made))


def test_the_lowest_chance_that_keeps_to_the_risk_decides() -> None:
    known = curve((0.99, 10, 0), (0.9, 100, 1), (0.8, 200, 3), (0.7, 300, 60), (0.6, 9000, 60))
    found = known.grounded(0.05, 0.8)
    # The first has too few answers to tell; past one that breaks the promise nothing counts.
    assert found is not None
    assert found.chance == 0.8
    assert found.risk(0.8) <= 0.05


def test_where_nothing_can_be_promised_no_answer_is_grounded() -> None:
    judge = Judge.of(curve((0.9, 10, 0)), risk=0.05, certainty=0.8)
    assert judge.grounded_at == NEVER
    assert judge.state("grounded", 1.0) == "partial"
    assert Judge.of(curve(), risk=0.05, certainty=0.8).grounded_at == NEVER


def test_more_certainty_asks_for_a_higher_chance_or_nothing() -> None:
    known = curve((0.95, 200, 0), (0.9, 200, 5), (0.8, 220, 8))
    assert known.grounded(0.05, 0.5).chance == 0.8
    assert known.grounded(0.05, 0.9).chance == 0.9
    assert known.grounded(0.001, 0.9) is None


@pytest.mark.parametrize(
    ("wrong", "answers", "certainty", "bound"),
    [
        (0, 59, 0.95, 0.049508), (1, 62, 0.8, 0.047525), (5, 100, 0.9, 0.090771),
        (10, 20, 0.95, 0.698046), (3, 3, 0.9, 1.0), (0, 0, 0.9, 1.0),
    ],
)  # fmt: skip
def test_the_bound_is_that_of_clopper_and_pearson(wrong, answers, certainty, bound) -> None:
    """As scipy has it, by the quantiles of the beta distribution."""
    assert upper_bound(wrong, answers, certainty) == pytest.approx(bound, abs=1e-5)


def test_a_calibration_is_the_same_after_it_was_stored() -> None:
    assert Calibration.of(DEFAULT.as_json(), collection="x") == DEFAULT


@pytest.mark.parametrize(
    "stored",
    [{}, {**DEFAULT.as_json(), "weights": {"charm": 1.0}}, {**DEFAULT.as_json(), "bias": "much"}],
)
def test_a_stored_calibration_that_cant_be_used_names_the_remedy(stored) -> None:
    with pytest.raises(SettingsError, match="rag eval calibrate --reset -c letters"):
        Calibration.of(stored, collection="letters")
