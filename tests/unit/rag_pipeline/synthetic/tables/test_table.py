"""Records as columns of one kind each."""

import pytest

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.table import Column, Schema, table_of

PICTURE = b"\x89PNG\r\n\x1a\n and so on"

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


def test_images_are_a_kind_of_their_own_which_tables_keep_as_bytes() -> None:
    table = table_of([{"picture": PICTURE, "n": 1}, {"picture": None, "n": 2}])
    assert [column.kind for column in table.schema.columns] == ["image", "integer"]
    assert table.records() == [{"picture": PICTURE, "n": 1}, {"picture": None, "n": 2}]
    assert [column.name for column in table.schema.columns if column.is_learnt] == ["n"]
    with pytest.raises(TableError, match=r"b'GIF89a' in 'picture', which is no image"):
        table_of([{"picture": b"GIF89a"}], Schema(columns=(Column(name="picture", kind="image"),)))
    with pytest.raises(TableError, match="which is no category"):
        table_of([{"picture": PICTURE}, {"picture": "name"}])


def test_lists_and_objects_are_no_values_of_a_table() -> None:
    for odd in ([1], {"a": 1}, (1,), {1}):
        with pytest.raises(TableError, match="which is no category"):
            table_of([{"x": odd}])


def test_keys_are_columns_that_are_not_learnt() -> None:
    schema = table_of(RECORDS).schema
    assert schema.keys == ("id",)
    assert not schema.column("id").is_learnt
    assert schema.column("town").is_learnt


def test_ten_thousand_names_are_found_out_as_names() -> None:
    rows = [{"name": f"n{number}", "x": 1} for number in range(10_000)]
    column = table_of([*rows, *rows]).schema.column("name")
    assert (column.kind, column.is_key) == ("category", False)
    assert table_of(rows).schema.column("name").is_key


def test_a_kind_that_there_is_not_makes_no_schema() -> None:
    with pytest.raises(TableError, match="can't be a 'colour'; there are number"):
        Schema.from_json([{"name": "x", "kind": "colour"}])


@pytest.mark.parametrize(
    "said", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2020-02-30"]
)
def test_a_time_that_is_none_in_utc_is_a_name(said: str) -> None:
    assert table_of([{"x": said}] * 2).schema.columns[0].kind == "category"


@pytest.mark.parametrize("odd", ["inf", "-Infinity", float("inf"), "nan", "NaN"])
def test_what_is_no_finite_number_is_refused_among_numbers(odd: str | float) -> None:
    with pytest.raises(TableError, match=r"record 2 has .* in 'x', which is no number; correct it"):
        table_of([{"x": 1.5}, {"x": odd}, {"x": 2.5}])


def test_among_names_it_is_a_name() -> None:
    names = table_of([{"x": "Nan"}, {"x": "Ulm"}, {"x": "Infinity"}, {"x": "Ulm"}])
    assert names.values["x"].tolist() == ["Nan", "Ulm", "Infinity", "Ulm"]


def test_a_schema_says_what_makes_series_and_is_as_it_was_without_them() -> None:
    who, at = Column(name="who", kind="category", role="series"), Column(name="at", kind="integer")
    plain = Schema(columns=(Column(name="who", kind="category"), at))
    assert "role" not in plain.as_json()[0]
    schema = Schema(columns=(who, Column(name="at", kind="integer", role="time")))
    assert Schema.from_json(schema.as_json()) == schema
    assert (schema.with_role("series"), schema.with_role("time")) == ("who", "at")
    assert plain.with_role("series") is None
    assert schema.sha256 != plain.sha256


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([("who", "category", "patient")], "can't have the role 'patient'; there are series, time"),
        ([("at", "integer", "time")], "no column says which series"),
        ([("a", "category", "series"), ("b", "category", "series")], "two columns have the role"),
        ([("who", "integer", "series")], "'who' is of the kind integer"),
        ([("a", "category", "series"), ("b", "text", "time")], "'b' is of the kind text"),
        ([("a", "category", "series"), ("b", "image", None)], "pictures make no series"),
    ],
)
def test_roles_that_make_no_series_are_refused(
    columns: list[tuple[str, str, str | None]], said: str
) -> None:
    with pytest.raises(TableError, match=said):
        Schema.from_json([{"name": name, "kind": k, "role": role} for name, k, role in columns])
