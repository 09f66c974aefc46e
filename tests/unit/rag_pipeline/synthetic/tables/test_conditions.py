"""What `--where` asks of each column, and what it says where nothing can be like that."""

import math
from typing import Any

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.conditions import fulfilling, wanted_of
from rag_pipeline.synthetic.tables.table import Column, Schema, table_of
from storage.errors import FilterError

RECORDS: list[dict[str, Any]] = [
    {"age": 64, "pay": 10.25, "since": "2020-01-01", "member": True, "trade": "clerk"},
    {"age": 65, "pay": 10.5, "since": "2021-06-01T12:00:00", "member": False, "trade": "smith"},
    {"age": 66, "pay": None, "since": "2022-01-01", "member": True, "trade": None},
    {"age": 80, "pay": 99.99, "since": "2023-01-01", "member": True, "trade": "50% baker"},
]
TABLE = table_of(RECORDS)


def places(where: str) -> list[int]:
    """Which of the records fulfil it."""
    return np.flatnonzero(fulfilling(TABLE, wanted_of(where, TABLE))).tolist()


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("age >= 65", [1, 2, 3]),
        ("age > 64.5", [1, 2, 3]),
        ("age < 65 ", [0]),
        ("age between 65 and 66", [1, 2]),
        ("age = 66 and age >= 60", [2]),
        ("pay > 10.25 and pay < 99.99", [1]),
        ("pay is null", [2]),
        ("pay is not null", [0, 1, 3]),
        ("member = true", [0, 2, 3]),
        ("since > '2020-01-01' and since <= '2022-01-01'", [1, 2]),
        ("trade = 'clerk'", [0]),
        ("trade != 'clerk'", [1, 2, 3]),
        ("trade in ('clerk', 'smith') and trade like 's%'", [1]),
        ("trade like '50\\% _aker'", [3]),
        ("(trade = 'clerk' or trade is null) and not trade = 'smith'", [0, 2]),
        ("trade = 'clerk' and age = 64", [0]),
    ],
)
def test_a_filter_asks_of_columns_what_it_says_of_records(where: str, found: list[int]) -> None:
    assert places(where) == found


def test_what_is_strictly_above_or_below_lies_on_the_next_step_of_the_column() -> None:
    wanted = wanted_of("age > 64 and age < 70 and pay > 10.25", TABLE)
    assert wanted == {"age": Range(low=65, high=69), "pay": Range(low=10.26)}
    free = Schema(columns=(Column(name="x", kind="number"),))
    found = wanted_of("x > 1", table_of([{"x": 0.1}], free))["x"]
    assert isinstance(found, Range)
    assert found.low == math.nextafter(1, 2)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("age > 65 and age < 66", "contradict"),
        ("age >= 80 and age <= 20", "`age >= 80 and age <= 20`"),
        ("age between 70 and 60", "no integer can be"),
        ("age = 64.5", "no integer can be"),
        ("pay is null and pay > 3", "missing and have a value"),
        ("trade = 'clrk'", "there are '50% baker', 'clerk', 'smith'"),
        ("trade = 'clerk' and trade = 'smith'", "no record can have"),
        ("trade > 'b'", "no order"),
        ("age = 'old'", "write a number"),
        ("since = 'yesterday'", "write '2024-05-01T12:30:00'"),
        ("since = 2020", "write a text such as"),
        ("age in (64, 66)", "can't be asked of 'age', of the kind integer"),
        ("age != 64", "between, or is null"),
        ("age = 64 or trade = 'clerk'", "several columns at once"),
        ("wage > 3", "there is no column 'wage'"),
    ],
)
def test_what_no_record_can_be_is_refused_with_the_condition_at_fault(
    where: str, said: str
) -> None:
    with pytest.raises(SyntheticError, match=".") as error:
        wanted_of(where, TABLE)
    assert said in str(error.value)


def test_what_is_no_filter_is_refused_at_its_place() -> None:
    with pytest.raises(FilterError, match="at character 6"):
        wanted_of("age >> 3", TABLE)
    with pytest.raises(FilterError, match="at character 12"):
        wanted_of("age = 3 and", TABLE)
