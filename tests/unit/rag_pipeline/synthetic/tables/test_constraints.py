"""Constraints as short texts, what breaks them, and which contradict each other."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.synthetic.tables.checking import violations
from rag_pipeline.synthetic.tables.constraint_text import constraints_of
from rag_pipeline.synthetic.tables.constraints import ConstraintError, Linear, Rule
from rag_pipeline.synthetic.tables.contradictions import refuse_contradictions
from rag_pipeline.synthetic.tables.table import Column, Schema, table_of

SCHEMA = Schema(
    columns=(
        Column(name="age", kind="integer"),
        Column(name="a", kind="number", decimals=2),
        Column(name="b", kind="number", decimals=1),
        Column(name="total", kind="number", decimals=2),
        Column(name="free", kind="number"),
        Column(name="hours-per week", kind="integer"),
        Column(name="trade", kind="category"),
        Column(name="since", kind="datetime"),
        Column(name="member", kind="boolean"),
    )
)
RECORDS = [
    {"age": 20, "a": 0.1, "b": 0.2, "total": 0.3, "trade": "smith", "member": True},
    {"age": 9, "a": 0.1, "b": 0.2, "total": 0.31, "trade": None, "member": False},
    {"age": 20, "a": 0.25, "b": 0.1, "total": 0.02, "trade": "clerk", "since": "2020-05-01"},
    {"age": None, "a": None, "b": 9.0, "total": 1.0, "trade": "clerk", "since": "1999-01-01"},
]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("age >= 18", [1]),
        ("18 <= age < 20", [0, 1, 2]),
        ("age > 19.5", [1]),
        ("age != 9", [1]),
        ("age in (20, 21)", [1]),
        ("age not in (20)", [0, 2]),
        ("age is present", [3]),
        ("trade is not missing", [1]),
        ("a + b = total", [1, 2]),
        ("total - b - a = 0", [1, 2]),
        ("2 * (a + b) / 2 <= total", [2]),
        ("a < b", [2]),
        ("total = a * b", [0, 1]),
        ("b = a / 2", [0, 1]),
        ("trade = 'smith'", [2, 3]),
        ("trade in ('smith', 'clerk')", []),
        ("since >= '2000-01-01'", [3]),
        ("member = true", [1]),
        ("member", None),
        ("unique(age)", [2]),
        ("unique(a, b)", [1]),
        ("if trade = 'smith' then member = false", [0]),
        ("if trade = 'clerk' and a is present then total >= 1", [2]),
        ("if member = true then a + b = total and a <= b", []),
        ("if trade = 'clerk' then a is missing", [2]),
        ("if a is missing then trade = 'smith'", [3]),
    ],
)
def test_a_table_says_which_records_break_a_constraint(text: str, broken: list[int] | None) -> None:
    if broken is None:
        with pytest.raises(ConstraintError, match="a comparison is expected"):
            constraints_of([text], SCHEMA)
        return
    found = violations(table_of(RECORDS, SCHEMA), constraints_of([text], SCHEMA))
    assert found.mask.nonzero()[0].tolist() == broken
    assert bool(found) == bool(broken)


def test_what_is_broken_is_told_in_a_sentence_and_as_json() -> None:
    texts = ["age >= 18", "a + b = total", "b >= 0"]
    found = violations(table_of(RECORDS, SCHEMA), constraints_of(texts, SCHEMA))
    assert str(found) == (
        "2 of 4 records break: 'age >= 18' by 1 (record 2); 'a + b = total' by 2 (record 2 first)"
    )
    assert found.as_json() == {
        "records": 2,
        "constraints": {
            "age >= 18": {"records": 1, "first": [1]},
            "a + b = total": {"records": 2, "first": [1, 2]},
        },
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hat = 1", "there is no column 'hat'"),
        ("age >= 'old'", "'old' is no integer, as 'age' is"),
        ("trade < 'm'", "'trade' holds names, which have no order"),
        ("trade + a = b", "'trade' holds names, which can't be reckoned with"),
        ("a * b <= total", "a product"),
        ("a = a * b", "one that is not in them"),
        ("a / 0 = b", "divides by 0"),
        ("1 < 2", "no column is left"),
        ("a = b b", "'b' is left over"),
        ("a # b", "nothing is known to begin with '# b'"),
        ("if a < b then a > 1", "compares a column with a value"),
        ("if a > 1", "'then' is expected before 'the end'"),
        ("unique()", "a column is expected"),
        ("unique(a, a)", "twice"),
        ("combination(a)", "two columns at least"),
        ("one-hot(a, member)", "'a' is neither a truth value nor a whole number"),
        ("trade = ''", "an empty word is no value"),
        ("member = 2", "'2' is no boolean"),
        ("a >= 1e999", "nothing is known|left over"),
        ("(" * 99, "too many parts"),
        ("a >= 1 " * 999, "longer than"),
        ("", "a column is expected before 'the end'"),
    ],
)
def test_what_is_no_constraint_is_refused_with_its_text(text: str, said: str) -> None:
    with pytest.raises(ConstraintError, match=said) as caught:
        constraints_of([text], SCHEMA)
    assert repr(text) in str(caught.value)


def test_a_column_with_blanks_stands_in_double_quotes_and_a_quote_in_a_word_is_doubled() -> None:
    texts = ['"hours-per week" <= 60', "trade != 'o''hara'"]
    first, second = constraints_of(texts, SCHEMA)
    assert first.columns == ("hours-per week",)
    assert isinstance(second, Rule)
    assert second.conclusion[0].values == ("o'hara",)  # type: ignore[union-attr]


def test_a_sum_keeps_its_weights_exactly() -> None:
    (rule,) = constraints_of(["0.1 * a + b / 3 = total - 0.7 - a"], SCHEMA)
    assert isinstance(rule, Rule)
    (linear,) = rule.conclusion
    assert isinstance(linear, Linear)
    weights = dict(linear.weights)
    by = weights["total"]
    assert weights["a"] / by == Fraction(-11, 10)
    assert weights["b"] / by == Fraction(-1, 3)
    assert linear.constant / by == Fraction(7, 10)


@pytest.mark.parametrize(
    ("texts", "core"),
    [
        (["age >= 18", "a > 1", "age < 10"], ["age >= 18", "age < 10"]),
        (["a < b", "b < a"], ["a < b", "b < a"]),
        (["a <= b", "b <= total", "a >= 5", "total < 4"], None),
        (["a + b = total", "a >= 1", "b >= 1", "total < 1.5"], None),
        (["2 * age = 5"], ["2 * age = 5"]),
        (["age > 3", "age < 4"], ["age > 3", "age < 4"]),
        (["free > 3", "free < 3"], ["free > 3", "free < 3"]),
        (["free < a", "a < free"], ["free < a", "a < free"]),
        (["trade = 'x'", "trade = 'y'"], ["trade = 'x'", "trade = 'y'"]),
        (["age is missing", "age is present"], ["age is missing", "age is present"]),
        (
            [
                "trade in ('x', 'y')",
                "if trade = 'x' then age > 5",
                "if trade = 'y' then age > 9",
                "age = 3",
            ],
            None,
        ),
        (["one-hot(member, age)", "member = true", "age = 1"], None),
    ],
)
def test_constraints_that_contradict_each_other_are_refused_by_name(
    texts: list[str], core: list[str] | None
) -> None:
    with pytest.raises(ConstraintError, match="no record can keep") as caught:
        refuse_contradictions(constraints_of(texts, SCHEMA), SCHEMA)
    for text in core or texts:
        assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["unique(age)"],
        ["age >= 18", "age < 19"],
        ["free > 3", "free < 4", "free < a", "a + b = total", "total <= 3.5"],
        ["if trade = 'x' then age > 5", "if trade = 'x' then age < 5"],
        ["if trade = 'x' then a is missing", "trade = 'x'", "a >= 1"],
    ],
)
def test_constraints_that_some_record_keeps_are_no_contradiction(texts: list[str]) -> None:
    refuse_contradictions(constraints_of(texts, SCHEMA), SCHEMA)


@settings(max_examples=200)
@given(st.text(alphabet="ab<>=+-*/() ,'1.if then unique\"", max_size=40))
def test_any_text_is_a_constraint_or_refused_as_none(text: str) -> None:
    with contextlib.suppress(ConstraintError):  # and nothing but that
        constraints_of([text], SCHEMA)
