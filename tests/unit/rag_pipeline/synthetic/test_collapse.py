"""Whether a generator still draws all kinds of records."""

import numpy as np
import pytest

from rag_pipeline.synthetic.collapse import (
    PENALTY,
    Diversity,
    diversity,
    has_collapsed,
    too_low,
    validated,
)
from rag_pipeline.training.checkpoints import Validation


def drawn(seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return np.stack([chance.integers(0, 12, 800), chance.integers(0, 90, 800)], axis=1)


def validations(*values: float) -> list[Validation]:
    return [Validation(step=10 * place, value=value) for place, value in enumerate(values)]


def test_records_drawn_as_the_real_ones_are_breach_nothing() -> None:
    assert too_low(diversity(drawn(0), drawn(1))) == ()


def test_a_category_that_is_never_drawn_is_missed() -> None:
    made = drawn(1)
    made[made == 3] = 4
    found = diversity(drawn(0), made)
    assert found.coverage is not None
    assert 0.8 < found.coverage < 0.95 + 0.05
    made[made < 10] = 4
    assert "coverage" in too_low(diversity(drawn(0), made))


def test_categories_that_are_rare_among_the_real_ones_may_be_left_out() -> None:
    real, made = drawn(0), drawn(1)
    real[:9, 0] = 99
    assert diversity(real, made).coverage == diversity(drawn(0), made).coverage
    real[:10, 0] = 99
    after, before = diversity(real, made).coverage, diversity(drawn(0), made).coverage
    assert after is not None
    assert before is not None
    assert after < before


def test_one_record_again_and_again_is_seen_though_each_column_were_even() -> None:
    once = drawn(1)[:40]
    found = diversity(drawn(0), np.tile(once, (20, 1)))
    assert "uniqueness" in too_low(found)
    lone = diversity(drawn(0), np.zeros((800, 2), np.int64))
    assert too_low(lone) == ("coverage", "entropy", "uniqueness")


def test_a_column_with_one_value_alone_has_nothing_to_lose() -> None:
    same = np.zeros((50, 1), np.int64)
    assert diversity(same, same) == Diversity(coverage=1.0, entropy=1.0, uniqueness=1.0)


def test_measures_that_were_not_taken_breach_nothing() -> None:
    assert too_low(Diversity()) == ()
    assert too_low(Diversity(recall=0.1)) == ("recall",)


def test_a_breach_counts_for_less_than_any_sound_validation() -> None:
    sound, breach = Diversity(coverage=1.0), Diversity(coverage=0.5)
    assert validated(-0.9, sound) == -0.9
    assert validated(-0.1, breach) == -0.1 - PENALTY


@pytest.mark.parametrize(
    ("values", "is_over"),
    [
        ([-1 - PENALTY] * 2, False),
        ([-1 - PENALTY] * 5, False),
        ([-1 - PENALTY] * 6, True),
        ([-1, -1, -1, -1, -1 - PENALTY, -1, -1 - PENALTY], False),
        ([-1, -1, -1, -1, -1, -1 - PENALTY, -2 - PENALTY], True),
    ],
)
def test_two_breaches_in_succession_after_the_warm_up_are_a_collapse(
    values: list[float], is_over: bool
) -> None:
    assert has_collapsed(validations(*values)) is is_over
