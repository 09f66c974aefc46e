"""Filters as programs send them."""

import json
from typing import Any

import pytest

from storage.errors import FilterError
from storage.filters import as_json, from_json, parse


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"field": "year", "op": ">=", "value": 2020}, "year >= 2020"),
        ({"field": "tag", "op": "not in", "value": ["a", True]}, "tag not in ('a', true)"),
        ({"field": "odd one", "op": "is not null"}, "`odd one` is not null"),
        ({"field": "year", "op": "between", "value": [1, 2.5]}, "year between 1 and 2.5"),
        ({"field": "a", "op": "like", "value": "x%"}, "a like 'x%'"),
        (
            {
                "or": [
                    {"not": {"field": "a", "op": "=", "value": 1}},
                    {
                        "and": [
                            {"field": "b", "op": "is null"},
                            {"field": "c", "op": "!=", "value": ""},
                        ]
                    },
                ]
            },
            "not (a = 1) or (b is null and c != '')",
        ),
    ],
)
def test_json_and_text_say_the_same(value: Any, text: str) -> None:
    where = from_json(value)
    assert where == parse(text)
    assert from_json(json.loads(json.dumps(as_json(where)))) == where


def test_a_list_of_one_is_that_one() -> None:
    one = {"field": "a", "op": "=", "value": 1}
    assert from_json({"and": [one]}) == from_json(one)


def nested(depth: int) -> Any:
    value: Any = {"field": "a", "op": "=", "value": 1}
    for _ in range(depth):
        value = {"not": value}
    return value


LEAF = {"field": "a", "op": "=", "value": 1}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        ("a = 1", "a text"),
        pytest.param(10**5000, "a number", id="huge"),
        ([LEAF], "a list"),
        ({}, "object"),
        ({"and": []}, "empty"),
        ({"and": LEAF}, "a list"),
        ({"and": [LEAF], "or": [LEAF]}, "object"),
        ({"and": [LEAF, 5]}, r"and\[1\]"),
        ({"field": "a", "op": "=", "value": 1, "more": 2}, "object"),
        ({"field": 5, "op": "=", "value": 1}, "object"),
        ({"field": "", "op": "=", "value": 1}, "no name"),
        ({"field": "a", "op": "=", "value": None}, "is null"),
        ({"field": "a", "op": "="}, "no value"),
        ({"field": "a", "op": "is null", "value": 1}, "takes no value"),
        ({"field": "a", "op": "; drop table sources", "value": 1}, "no operator"),
        ({"field": "a", "op": "not =", "value": 1}, "no operator"),
        ({"field": "a", "op": "=", "value": {"b": 1}}, "object"),
        ({"field": "a", "op": "=", "value": float("nan")}, "finite"),
        ({"field": "a", "op": "<", "value": float("-inf")}, "finite"),
        ({"field": "a", "op": "=", "value": 10**400}, "exactly"),
        ({"field": "a", "op": "=", "value": "x\0"}, "NUL"),
        ({"field": "a\0", "op": "=", "value": "x"}, "NUL"),
        ({"field": "a", "op": "in", "value": "abc"}, "list"),
        ({"field": "a", "op": "in", "value": []}, "1 to 1000"),
        ({"field": "a", "op": "in", "value": list(range(1001))}, "1 to 1000"),
        ({"field": "a", "op": "between", "value": [1]}, "two"),
        ({"field": "a", "op": "like", "value": 1}, "pattern"),
        (nested(5000), "deeper"),
        ({"or": [LEAF] * 500}, "conditions"),
    ],
)
def test_json_of_another_shape_is_refused_with_what_to_write(value: Any, said: str) -> None:
    with pytest.raises(FilterError, match=said) as raised:
        from_json(value)
    assert len(str(raised.value)) < 400
