"""The measures of answers, against worked examples and the definitions."""

import numpy as np
import pytest

from rag_pipeline.evaluation.answers_scores import (
    auroc,
    calibration_curve,
    calibration_error,
    exact_match,
    holds,
    normalised,
    overlaps,
    risk_coverage,
    token_f1,
)


def values(*numbers):
    return np.array(numbers, np.float64)


def flags(*said):
    return np.array(said, dtype=bool)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Cat's tail.", "cats tail"),
        ("an apple, a day", "apple day"),
        ("Athens", "athens"),
        ("the", ""),
    ],
)
def test_words_are_compared_as_squad_does(text, plain):
    assert normalised(text) == plain


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("the Normans", ["Normans"], 1, 1),
        ("in the 10th century", ["10th century", "10th"], 0, 0.8),
        ("Rome Rome", ["Rome"], 0, 2 / 3),
        ("Rome", ["Paris"], 0, 0),
        ("", ["Paris"], 0, 0),
        ("", [], 1, 1),
        ("Rome", [], 0, 0),
        ("the", ["a"], 1, 1),
    ],
)
def test_exact_match_and_f1_are_those_of_the_best_gold(answer, golds, exact, f1):
    assert exact_match(answer, golds) == exact
    assert token_f1(answer, golds) == pytest.approx(f1)


def test_a_gold_answer_stands_as_whole_words_side_by_side():
    assert holds("They came in the 10th century.", ["10th century"])
    assert not holds("They came in the 110th century.", ["10th century"])
    assert not holds("Isiah B. Bowman", ["Isiah Bowman"])
    assert not holds("anything", ["", "the"])
    assert overlaps("Bowman", ["Isiah Bowman"])
    assert not overlaps("", ["Isiah Bowman"])


def test_auroc_is_the_part_of_pairs_in_the_right_order():
    scores, positive = values(0.9, 0.8, 0.8, 0.1), flags(True, True, False, False)
    assert auroc(scores, positive) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert auroc(values(1, 1, 1), flags(True, False, True)) == 0.5
    assert auroc(scores, flags(True, True, True, True)) is None


def test_stated_chances_that_come_true_have_no_error():
    chances = values(*[0.75] * 4, *[0.25] * 4)
    right = flags(True, True, True, False, True, False, False, False)
    assert calibration_error(chances, right) == pytest.approx(0)
    assert calibration_curve(chances, right) == [(0.25, 0.25, 4), (0.75, 0.75, 4)]
    assert calibration_error(values(1.0, 1.0), flags(True, False)) == 0.5


def test_the_surest_answers_come_in_first_and_those_of_one_chance_together():
    curve = risk_coverage(values(0.9, 0.5, 0.5, 0.1), flags(True, False, True, False))
    assert curve == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
