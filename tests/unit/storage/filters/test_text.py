"""Filters as a person writes them: what they say, and what is said to those that say nothing."""

import pytest

from storage.errors import FilterError
from storage.filters import Filter, field_names, parse
from storage.filters.expression import (
    Absence,
    Comparison,
    Conjunction,
    Disjunction,
    Match,
    Membership,
    Negation,
    Number,
    Range,
    Text,
    Truth,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("year = 2020", Comparison("year", "=", Number(2020))),
        ("year == 2020", Comparison("year", "=", Number(2020))),
        ("year <> -2.5e3", Comparison("year", "!=", Number(-2500))),
        ("YEAR>=2020", Comparison("YEAR", ">=", Number(2020))),
        ("a = 'it''s'", Comparison("a", "=", Text("it's"))),
        ('a = "say ""x"""', Comparison("a", "=", Text('say "x"'))),
        ("is_draft = TRUE", Comparison("is_draft", "=", Truth(True))),
        ("author.name = 'Ada'", Comparison("author.name", "=", Text("Ada"))),
        ("`odd name``s` = 1", Comparison("odd name`s", "=", Number(1))),
        ("`in` in (1)", Membership("in", (Number(1),))),
        ("tag in ('a', \"b\")", Membership("tag", (Text("a"), Text("b")))),
        ("tag NOT IN (1,false)", Membership("tag", (Number(1), Truth(False)), True)),
        ("source like 'reports/%'", Match("source", "reports/%")),
        ("source not like '%.txt'", Match("source", "%.txt", True)),
        ("year is null", Absence("year")),
        ("year is not null", Absence("year", True)),
        ("year between 1 and 5", Range("year", Number(1), Number(5))),
        ("year not between 1 and 5", Range("year", Number(1), Number(5), True)),
        ("größe > 1", Comparison("größe", ">", Number(1))),
        ("((a = 1))", Comparison("a", "=", Number(1))),
        ("a = '-- ; DROP TABLE x'", Comparison("a", "=", Text("-- ; DROP TABLE x"))),
    ],
)
def test_a_condition_means_what_it_says(text: str, said: Filter) -> None:
    assert parse(text) == said
    assert parse(str(said)) == said


def test_and_binds_tighter_than_or_and_not_tighter_than_both() -> None:
    a, b, c, d = (Comparison(name, "=", Number(1)) for name in "abcd")
    assert parse("a=1 or not b=1 and c=1 or d=1") == Disjunction(
        (a, Conjunction((Negation(b), c)), d)
    )
    assert parse("a=1 and b between 1 and 2 and c=1") == Conjunction(
        (a, Range("b", Number(1), Number(2)), c)
    )
    assert parse("(a=1 and b=1) and c=1") == Conjunction((Conjunction((a, b)), c))


def test_a_number_and_a_truth_value_are_not_the_same() -> None:
    assert parse("a = 1") != parse("a = true")
    assert parse("a = 1") == parse("a = 1.0")
    assert len({parse("a = 1"), parse("a = true"), parse("a = '1'")}) == 3


def test_the_fields_of_a_filter_can_be_asked_for() -> None:
    assert field_names(parse("a = 1 or not (origin = 'real' and c is null)")) == {
        "a",
        "origin",
        "c",
    }


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", None, "empty"),
        ("  \n ", None, "empty"),
        ("year", 4, "operator"),
        ("year >=", 7, "value"),
        ("year >= abc", 8, "quotes: 'abc'"),
        ("year = null", 7, "is null"),
        ("year is 5", 8, "null"),
        ("= 5", 0, "name"),
        ("'year' = 5", 0, "without quotes"),
        ("and = 5", 0, "`and`"),
        ("year = 5 year = 6", 9, "and"),
        ("year = 5 and", 12, "name"),
        ("(year = 5", 9, "parenthesis"),
        ("year = 5)", 8, "end"),
        ("year = 'five", 7, "never closed"),
        ("`year = 5", 0, "never closed"),
        ("tag in ()", 8, "value"),
        ("tag in 'a'", 7, "parentheses"),
        ("tag in ('a' 'b')", 12, "comma"),
        ("tag like 5", 9, "quotes"),
        ("year between 1", 14, "upper"),
        ("year = 1.2.3", 7, "read"),
        ("year = 12abc", 7, "read"),
        ("year = 5; drop table sources", 8, "read"),
        ("year = 5 -- more", 9, "read"),
        ("year = 9007199254740992", 7, "exactly"),
        ("year = 1e999", 7, "finite"),
        ("year = NaN", 7, "quotes"),
        ("year = " + "9" * 5000, 7, "digits"),
        ("a = 'x\0y'", 4, "NUL"),
        ("`x\0y` = 1", 0, "NUL"),
        ("a = '\ud800'", 4, "surrogate"),
        ("a like '" + "x" * 2000 + "'", 0, "too long"),
        ("x" * 300 + " = 1", 0, "too long"),
        ("a in (" + ",".join("1" * 1 for _ in range(1001)) + ")", 0, "1 to 1000"),
        ("``  = 1", 0, "no name"),
    ],
)
def test_what_says_nothing_clear_is_refused_at_its_place(
    text: str, position: int | None, said: str
) -> None:
    with pytest.raises(FilterError, match=said) as raised:
        parse(text)
    assert raised.value.position == position
    if position is not None:
        assert f"character {position + 1} " in str(raised.value)
    assert str(raised.value).count("at character") <= 1
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "a = 1" + ")" * 5000,
        "not " * 4000 + "a = 1",
        " or ".join(["a = 1"] * 500),
        "x" * 100_000,
        "'" * 19_999,
        " " * 19_000 + "?",
    ],
)
def test_what_is_huge_or_deep_is_refused_at_once(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text)
