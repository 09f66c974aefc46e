import math

import numpy as np
import pytest
from support.passages import bag_of_words, hit, passage

from rag_pipeline.generation.evidence import coverage, support_for

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


def decide(question, *chunks):
    """With the cosines of the embedder that stands in for the model."""
    question_vector = bag_of_words([question])[0]
    cosines = (bag_of_words([chunk.text for chunk in chunks]) @ question_vector).tolist()
    hits = [hit(chunk, cosine=cosine) for chunk, cosine in zip(chunks, cosines, strict=True)]
    return support_for(question, hits, embed=bag_of_words)


@pytest.mark.parametrize(
    "question",
    ["How many eyes does a honeybee have?", "Who decoded the waggle dance?", "worker bees summer"],
)
def test_passages_on_the_question_are_evidence(question):
    assert decide(question, BEES, DANCE).sufficient


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
def test_passages_on_other_subjects_are_no_evidence(question):
    assert not decide(question, BEES, DANCE).sufficient


def test_without_passages_there_is_no_evidence_and_nothing_is_embedded():
    def refuse(texts):
        raise AssertionError(f"embedded {texts}")

    support = support_for("How many eyes?", [], embed=refuse)
    assert not support.sufficient
    assert support.probability == 0


def test_the_best_passage_decides_wherever_it_stands():
    question = "Who decoded the waggle dance?"
    assert decide(question, DANCE, BEES) == decide(question, BEES, DANCE)


def test_a_passage_without_a_cosine_is_embedded_in_the_same_call():
    calls = []

    def counting(texts):
        calls.append(list(texts))
        return bag_of_words(texts)

    question = "Who decoded the waggle dance?"
    found_by_words = support_for(question, [hit(DANCE)], embed=counting)
    assert found_by_words.probability == pytest.approx(decide(question, DANCE).probability)
    assert len(calls) == 1
    assert DANCE.text in calls[0]


def test_a_missing_name_counts_against_the_passages():
    known = decide("When did Frisch decode the dance of 1999?", DANCE)
    unknown = decide("When did Zimmermann decode the dance of 1999?", DANCE)
    assert known.signals.names > unknown.signals.names == 0
    assert known.probability > unknown.probability


def test_blank_passages_are_no_evidence():
    support = support_for("How many eyes?", [hit(passage(" \n"))], embed=bag_of_words)
    assert not support.sufficient
    assert math.isfinite(support.probability)


def test_extreme_cosines_stay_probabilities():
    opposite = support_for("eyes?", [hit(BEES, cosine=-1.0)], embed=bag_of_words)
    assert 0 <= opposite.probability < 0.5
    same = support_for("honeybee eyes", [hit(BEES, cosine=1.0)], embed=bag_of_words)
    assert 0.5 < same.probability <= 1


def test_coverage_weighs_long_words_more():
    wanted = {"tea", "oxidation"}
    assert coverage(wanted, {"oxidation"}) > 0.5 > coverage(wanted, {"tea"}) > 0
    assert coverage(wanted, wanted) == 1
    assert coverage(set(), wanted) == 0


def test_vectors_may_be_of_any_dimension():
    def flat(texts):
        return np.ones((len(texts), 1), dtype=np.float32)

    assert support_for("honeybee eyes", [hit(BEES)], embed=flat).sufficient
