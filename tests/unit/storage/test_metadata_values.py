"""The values in metadata, one by one."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from storage.metadata_values import KEY_CHARACTERS, MetadataValue, date_span, values_of


def listed(metadata: dict[str, Any]) -> list[tuple[str, str, object]]:
    return [
        (value.field, value.kind, value.number if value.text_key is None else value.text_key)
        for value in values_of(metadata)
    ]


def test_each_scalar_is_a_value_of_the_field_that_its_path_names() -> None:
    metadata = {
        "year": 2020,
        "tags": ["a", ["b", None], {"deep": True}],
        "author": {"name": "Ada", "born": {"year": 1815.5}},
        "none": None,
        "empty": [],
    }
    assert listed(metadata) == [
        ("year", "number", 2020.0),
        ("tags", "text", "a"),
        ("tags", "text", "b"),
        ("tags.deep", "truth", 1.0),
        ("author.name", "text", "Ada"),
        ("author.born.year", "number", 1815.5),
    ]


def test_a_date_counts_as_text_and_as_a_date() -> None:
    seconds = datetime(2020, 1, 31, tzinfo=UTC).timestamp()
    assert listed({"day": "2020-01-31"}) == [
        ("day", "text", "2020-01-31"),
        ("day", "date", seconds),
    ]


def test_a_long_text_is_kept_whole_beside_its_beginning() -> None:
    text = "é" * KEY_CHARACTERS
    assert list(values_of({"a": text})) == [
        MetadataValue("a", "long", text_key=text[:KEY_CHARACTERS], long_text=text)
    ]
    assert listed({"a": text[1:]}) == [("a", "text", text[1:])]


def test_what_no_index_can_hold_is_left_out_or_made_fit() -> None:
    assert listed({"n" * 201: 1, "nan": math.nan}) == []
    assert listed({"huge": 10**400, "low": -(10**400)}) == [
        ("huge", "number", math.inf),
        ("low", "number", -math.inf),
    ]
    assert listed({"half \ud800": "\udfff"}) == [("half ?", "text", "?")]


def test_however_deep_metadata_is_nested_it_is_read() -> None:
    value: Any = 1
    for _ in range(50_000):
        value = [value]
    assert listed({"a": value}) == [("a", "number", 1.0)]


@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        ("2020-01-31", 86_400),
        ("2020-01-31T10:30", 60),
        ("2020-01-31 10:30", 60),
        ("2020-01-31T10:30:15Z", 1),
        ("2020-01-31T10:30:15+02:00", 1),
        ("0001-01-01T00:00+14:00", 60),
    ],
)
def test_a_date_lasts_as_long_as_it_is_precise(text: str, lasts: float) -> None:
    span = date_span(text)
    assert span is not None
    assert span[1] - span[0] == lasts


def test_a_zone_is_taken_into_account_and_none_is_utc() -> None:
    assert date_span("2020-01-31T10:30") == date_span("2020-01-31T12:30+02:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020",
        "2020-01",
        "20200131",
        "2020-02-30",
        "2020-1-31",
        "0000-01-01",
        "2020-01-31T25:00",
        "2020-01-31x",
        "２０２０-01-31",
        "2020-01-31\n",
        "2020-W05-5",
    ],
)
def test_other_text_is_no_date(text: str) -> None:
    assert date_span(text) is None
