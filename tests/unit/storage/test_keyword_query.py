"""Operators where they are complete, plain text where they are not."""

import pytest
from support.growth import grows_no_faster_than_its_size

from storage.keyword_index.query import parse
from storage.records import KeywordClause


def word(text, **more):
    return KeywordClause(text=text, **more)


def phrase(text, **more):
    return KeywordClause(text=text, kind="phrase", **more)


def prefix(text, **more):
    return KeywordClause(text=text, kind="prefix", **more)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        (" \t\n", []),
        ("plain words", [word("plain"), word("words")]),
        ('a "b c" d', [word("a"), phrase("b c"), word("d")]),
        ("+a -b c", [word("a", occurrence="must"), word("b", occurrence="must_not"), word("c")]),
        ('+"a b" -"c d"', [phrase("a b", occurrence="must"), phrase("c d", occurrence="must_not")]),
        (
            "be* +in* -on*",
            [prefix("be"), prefix("in", occurrence="must"), prefix("on", occurrence="must_not")],
        ),
        ("„so etwas“ «ou bien»", [phrase("so etwas"), phrase("ou bien")]),
        ('"a b", "c d".', [phrase("a b"), phrase("c d")]),
        ('"a b".c', [word('"a'), word('b".c')]),
        ('""', [phrase("")]),
        ("covid-19 C++ a-b", [word("covid-19"), word("C++"), word("a-b")]),
        ("--verbose -", [word("--verbose"), word("-")]),
        ('say "hello', [word("say"), word('"hello')]),
        ('5" pipe 3" pipe', [word('5"'), word("pipe"), word('3"'), word("pipe")]),
        ('"a b"c', [word('"a'), word('b"c')]),
        ("a * ** *b", [word("a"), word("*"), word("**"), word("*b")]),
        (
            "a AND (b OR c) NOT d",
            [word(some) for some in ["a", "AND", "(b", "OR", "c)", "NOT", "d"]],
        ),
        ("title:x^2 ~3 [a TO b]", [word(some) for some in ["title:x^2", "~3", "[a", "TO", "b]"]]),
        ("a\0b 😀*", [word("a\0b"), prefix("😀")]),
    ],
)
def test_each_operator_is_read_where_it_is_complete(text, clauses):
    assert parse(text) == tuple(clauses)


@pytest.mark.parametrize(
    "unit", ['"', '" ', ' "', '"a" ', "+", "- ", "a*", "* ", '-"', "„", "\u0301"]
)
def test_time_grows_with_the_length_alone(unit):
    assert grows_no_faster_than_its_size(lambda count: parse(unit * count), 40_000)
