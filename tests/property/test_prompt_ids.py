"""Ids of exchanges sort as the exchanges were asked, and so do their numbers."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from storage.prompts.access import number_of
from storage.prompts.writing import new_prompt_id

instants = st.integers(min_value=0, max_value=2**53).map(
    lambda microseconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(instants, st.integers(min_value=1, max_value=3_000))
def test_what_was_asked_later_by_microseconds_stands_after(asked: datetime, later: int) -> None:
    first = new_prompt_id(asked)
    second = new_prompt_id(asked + timedelta(microseconds=later))
    assert first < second
    assert number_of(first) < number_of(second)
    assert len(first) == len(second) == 24


@given(instants)
def test_the_same_instant_gives_ids_of_their_own(asked: datetime) -> None:
    assert new_prompt_id(asked) != new_prompt_id(asked)
