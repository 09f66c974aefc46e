"""Records as columns of one kind each."""

import pytest

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.table import Column, Schema, table_of

RECORDS = [
    {
        "id": "a1",
        "age": "39",
        "pay": "12.50",
        "member": "true",
        "since": "2020-01-31",
        "town": "Ulm",
    },
    {"id": "b2", "age": "50", "pay": "", "member": "false", "since": "2021-02-28", "town": ""},
    {"id": "c3", "age": " 7", "pay": "3.25", "member": "true", "since": None, "town": "Ulm"},
]


def test_the_kind_of_a_column_is_the_narrowest_that_has_room_for_all_of_it() -> None:
    columns = table_of(RECORDS).schema.columns
    assert [(column.kind, column.decimals, column.is_key) for column in columns] == [
        ("category", None, True),
        ("integer", None, False),
        ("number", 2, False),
        ("boolean", None, False),
        ("datetime", None, False),
        ("category", None, False),
    ]


def test_records_come_back_as_they_were_with_what_is_missing_as_null() -> None:
    assert table_of(RECORDS).records()[1] == {
        "id": "b2",
        "age": 50,
        "pay": None,
        "member": False,
        "since": "2021-02-28T00:00:00+00:00",
        "town": None,
    }


@pytest.mark.parametrize("odd", ["nan", "inf", "-Infinity"])
def test_what_is_no_finite_number_makes_names_of_a_column(odd: str) -> None:
    assert table_of([{"x": "1"}, {"x": odd}]).schema.columns[0].kind == "category"


def test_sentences_are_a_text_and_words_are_names() -> None:
    said = "the lamp was lit for the first time in September 1716"
    schema = table_of([{"said": said, "word": "lamp"}] * 3).schema
    assert [column.kind for column in schema.columns] == ["text", "category"]


def test_a_value_that_the_schema_has_no_room_for_is_named_with_its_record() -> None:
    schema = Schema(columns=(Column(name="age", kind="integer"),))
    with pytest.raises(TableError, match=r"record 2 has 'old' in 'age', which is no integer"):
        table_of([{"age": 3}, {"age": "old"}], schema)


def test_no_records_and_no_columns_are_refused() -> None:
    with pytest.raises(TableError, match="no records"):
        table_of([])
    with pytest.raises(TableError, match="needs a column"):
        table_of([{}])
