"""LangChain's filters as ours."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from rag_pipeline.integrations.langchain.filters import as_filter
from storage.errors import FilterError
from storage.filters import parse


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"year": 2020}, "year = 2020"),
        ({"year": {"$eq": 2020}}, "year = 2020"),
        ({"year": {"$ne": 2020}}, "year != 2020"),
        ({"year": {"$gt": 1, "$lte": 2.5}}, "year > 1 and year <= 2.5"),
        ({"year": {"$gte": 1}, "tag": "a"}, "year >= 1 and tag = 'a'"),
        ({"year": {"$lt": 1}}, "year < 1"),
        ({"tag": ["a", "b"]}, "tag in ('a', 'b')"),
        ({"tag": {"$in": ("a", 1, True)}}, "tag in ('a', 1, true)"),
        ({"tag": {"$nin": ["a"]}}, "not (tag in ('a'))"),
        ({"tag": {"$in": ["a", None]}}, "tag in ('a') or tag is null"),
        ({"tag": {"$like": "a%"}}, "tag like 'a%'"),
        ({"tag": {"$nlike": "a%"}}, "tag not like 'a%'"),
        ({"year": {"$between": [1, 2]}}, "year between 1 and 2"),
        ({"draft": True}, "draft = true"),
        ({"draft": None}, "draft is null"),
        ({"draft": {"$ne": None}}, "draft is not null"),
        ({"draft": {"$exists": True}}, "draft is not null"),
        ({"draft": {"$exists": False}}, "draft is null"),
        ({"year": {"$not": {"$gt": 1}}}, "not (year > 1)"),
        ({"$not": {"year": 1, "tag": "a"}}, "not (year = 1 and tag = 'a')"),
        ({"$nor": [{"year": 1}, {"tag": "a"}]}, "not (year = 1 or tag = 'a')"),
        ({"$and": [{"year": 1}]}, "year = 1"),
        (
            {"$or": [{"year": 1}, {"$and": [{"tag": "a"}, {"b.c": 2}]}]},
            "year = 1 or (tag = 'a' and b.c = 2)",
        ),
        ({"day": date(2020, 1, 2)}, "day = '2020-01-02'"),
        (
            {"at": {"$gte": datetime(2020, 1, 2, 3, tzinfo=UTC)}},
            "at >= '2020-01-02T03:00:00+00:00'",
        ),
        ({"an odd name": "it's"}, "`an odd name` = 'it''s'"),
        ({"e\u0301": " e\u0301 "}, "é = 'é'"),
        ("year = 1 or tag = 'a'", "year = 1 or tag = 'a'"),
    ],
)
def test_a_filter_means_the_same_in_our_language(given: Any, meant: str) -> None:
    assert as_filter(given) == parse(meant)


def test_a_filter_of_ours_stays_and_none_leaves_nothing_out() -> None:
    where = parse("year = 1")
    assert as_filter(where) is where
    assert as_filter(None) is None
    assert as_filter({}) is None


def test_fields_can_be_said_to_be_metadata() -> None:
    given = {"source": "a.pdf", "$or": [{"title": "x"}, {"page": {"$gt": 1}}]}
    meant = "metadata.source = 'a.pdf' and (metadata.title = 'x' or metadata.page > 1)"
    assert as_filter(given, fields_of="metadata.") == parse(meant)


def deep(levels: int) -> dict[str, Any]:
    where: dict[str, Any] = {"year": 1}
    for _ in range(levels):
        where = {"$not": where}
    return where


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"$what": 1}, "'\\$what' is no field"),
        ({1: 2}, "1 is no field"),
        ({"$and": []}, "at least one"),
        ({"$or": {"year": 1}}, "takes a list"),
        ({"$or": [1]}, "takes a list"),
        ({"$or": [{}]}, "is empty"),
        ({"$not": [1]}, "is no field"),
        ({"year": {}}, "nothing is said of 'year'"),
        ({"year": {"$regex": "x"}}, "'\\$regex'"),
        ({"author": {"name": "Ada"}}, '"author.inner"'),
        ({"year": {"$in": 1}}, "take a list"),
        ({"year": {"$exists": "yes"}}, "'\\$exists'"),
        ({"year": {"$between": [1]}}, "two values"),
        ({"year": {"$gt": None}}, "null"),
        ({"year": {"$gt": object()}}, "a object"),
        ({"year": float("nan")}, "nan"),
        ({"tag": {"$like": 3}}, "a pattern is a text"),
        ({"": 1}, "field"),
        (lambda document: True, "a function"),
        ([{"year": 1}], "a list"),
        (7, "a int"),
        ("year >=", "value"),
        ("", "empty"),
        (deep(5_000), "nested deeper"),
        ({"year": {"$not": deep(5_000)}}, "'\\$not'"),
    ],
)
def test_a_filter_that_says_nothing_clear_is_refused(given: Any, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        as_filter(given)
