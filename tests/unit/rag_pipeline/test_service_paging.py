"""Cursors: taken back by their own list, and by no other."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.service.api.paging import cursor_at, key_place, time_place
from rag_pipeline.service.errors import ServiceError

KEYS = st.integers(min_value=0, max_value=2**63 - 1)
ASKED = {"list": "documents", "of": ["default", None]}


@given(st.lists(KEYS, min_size=2, max_size=2))
def test_a_place_is_read_as_it_was_written(keys: list[int]) -> None:
    assert key_place(cursor_at(ASKED, keys), ASKED, 2) == keys


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_read_as_it_was_written(time: datetime) -> None:
    assert time_place(cursor_at(ASKED, [time.isoformat(), "01ab"]), ASKED) == (time, "01ab")


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda b: urlsafe_b64encode(b).decode()))
def test_whatever_else_is_refused(text: str) -> None:
    for read in (lambda: key_place(text, ASKED, 2), lambda: time_place(text, ASKED)):
        with pytest.raises(ServiceError):
            read()


@pytest.mark.parametrize(
    "place",
    [
        [-1, 1],
        [2**63, 1],
        [True, 1],
        [1.0, 1],
        ["1", 1],
        [1],
        [1, 2, 3],
        ["2026-01-01", "a"],
        ["0001-01-01T00:00:00+14:00", "a"],
        ["2026-01-01T00:00:00+00:00", "../a"],
        ["2026-01-01T00:00:00+00:00", "é"],
        ["2026-01-01T00:00:00+00:00", ""],
    ],
)
def test_a_place_that_none_can_have_is_refused(place: list[int] | list[str]) -> None:
    text = cursor_at(ASKED, place)
    with pytest.raises(ServiceError):
        key_place(text, ASKED, 2)
    with pytest.raises(ServiceError):
        time_place(text, ASKED)
