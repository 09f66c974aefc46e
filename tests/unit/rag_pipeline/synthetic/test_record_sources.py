"""Where real records come from: whatever is wrong is named with its place."""

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet
from support.record_sets import png

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.record_sources import source_at, source_of_query
from rag_pipeline.synthetic.tables import files, image_files, table
from rag_pipeline.synthetic.tables.table import Column, Schema, schema_in, table_in, table_of
from storage.errors import StorageError
from storage.record_sets.coding import RowCoding

ROWS = [
    {"age": 39, "pay": 12.5, "member": True, "since": "2020-01-31T00:00:00+00:00", "town": "Ulm"},
    {"age": None, "pay": 3.0, "member": None, "since": None, "town": "Bonn, Rhein"},
]
SCHEMA = Schema(
    columns=(
        Column(name="age", kind="integer"),
        Column(name="pay", kind="number", decimals=1),
        Column(name="member", kind="boolean"),
        Column(name="since", kind="datetime"),
        Column(name="town", kind="category", is_key=True),
    )
)


def written(tmp_path: Path) -> list[Path]:
    """The same records in each form of file."""
    (tmp_path / "t.csv").write_text(
        '\ufeffage,pay,member,since,town\n39,12.5,true,2020-01-31,Ulm\n,3,,,"Bonn, Rhein"\n',
        "utf-8",
    )
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    return [tmp_path / name for name in ("t.csv", "t.jsonl", "t.parquet")]


def test_records_and_schema_are_the_same_from_each_form_of_file(tmp_path: Path) -> None:
    for path in written(tmp_path):
        source = source_at(path)
        assert source.schema() == SCHEMA, path
        assert list(source.records(SCHEMA)) == ROWS, path
        assert source.name == str(path.resolve())


def test_a_query_gives_the_same_records(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (age INT, pay REAL, member TEXT, since TEXT, town TEXT)")
        database.execute("INSERT INTO t VALUES (39, 12.5, 'true', '2020-01-31', 'Ulm')")
        database.execute("INSERT INTO t VALUES (NULL, 3, NULL, NULL, 'Bonn, Rhein')")
    database.close()
    source = source_of_query(f"sqlite:///{tmp_path / 'x.db'}", "SELECT * FROM t;")
    assert list(source.records(source.schema())) == ROWS
    assert source.name.endswith("x.db: SELECT * FROM t")
    with pytest.raises(TableError, match="row 1 of the query: 'Ulm' in 'town' is no integer"):
        list(
            source.records(
                Schema(columns=(*SCHEMA.columns[:4], Column(name="town", kind="integer")))
            )
        )
    with pytest.raises(StorageError):
        source_of_query(f"sqlite:///{tmp_path / 'x.db'}", "SELECT nothing FROM t").schema()


def test_a_query_that_gives_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (age INT, pay REAL)")
        database.execute("INSERT INTO t VALUES (39, 12.5)")
    database.close()
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with pytest.raises(StorageError, match="several columns 'age': name each by AS"):
        source_of_query(url, "SELECT age, pay AS age FROM t").schema()
    assert source_of_query(url, "SELECT age, pay FROM t").schema().columns[1].name == "pay"


def test_one_and_zero_are_true_and_false_only_where_that_is_declared(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("member,age\n1,3\n0,4\n,5\n")
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (member BOOLEAN, age INT)")
        database.execute("INSERT INTO t VALUES (true, 3), (false, 4), (NULL, 5)")
    database.close()
    said = Schema(
        columns=(Column(name="member", kind="boolean"), Column(name="age", kind="integer"))
    )
    for source in (
        source_at(tmp_path / "t.csv"),
        source_of_query(f"sqlite:///{tmp_path / 'x.db'}", "SELECT * FROM t"),
    ):
        assert [one["member"] for one in source.records(said)] == [True, False, None]
        assert [column.kind for column in source.schema().columns] == ["integer", "integer"]
    (tmp_path / "t.csv").write_text("member,age\n2,3\n")
    with pytest.raises(TableError, match="'2' in 'member' is no boolean"):
        list(source_at(tmp_path / "t.csv").records(said))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"age\n3\nold\n", r"t\.csv, line 3: 'old' in 'age' is no integer"),
        ("t.csv", b"age\n3\n1_000\n", r"line 3: '1_000' in 'age' is no integer"),
        ("t.csv", b"age\n3\nnan\n", "line 3: 'nan' in 'age'"),
        ("t.csv", b"age\n3\ninf\n", "line 3: 'inf' in 'age'"),
        ("t.csv", b"age,town\n3,Ulm\n", r"line 2: the schema has no column 'town'"),
        ("t.csv", b"years\n3\n", "the schema has no column 'years'"),
        ("t.csv", b"age,age\n1,2\n", "2 columns 'age'"),
        ("t.csv", b'age\n"3\n4\n', "line 3: unexpected end of data"),
        ("t.csv", b"age\n" + b"7" * 200_000 + b"\n", "line 2: field larger than field limit"),
        ("t.jsonl", b'{"age": 3}\n{"age": [1]}\n', r"line 2: \[1\] in 'age' is no integer"),
        ("t.jsonl", b'{"age": 3}\n{"age": 1e999}\n', "line 2: inf in 'age'"),
        ("t.jsonl", b'{"age": ' + b"9" * 400 + b"}\n", "line 1: 9+...9+ in 'age'"),
        ("t.jsonl", b"[" * 100_000, "line 1"),
        ("t.jsonl", b'{"age": 3, "_origin": "synthetic"}', "line 1, is tagged as synthetic"),
        ("t.jsonl", b'{"age": 3, "_generator": "g"}', "line 1, is tagged as synthetic"),
        ("t.csv", b"age,_origin,_batch\n3,Synthetic,1\n", "line 2, is tagged as synthetic"),
        ("t.parquet", b"PAR1 but not really PAR1", "can't be read"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    schema = Schema(columns=(Column(name="age", kind="integer"),))
    with pytest.raises(TableError, match=said):
        list(source_at(path).records(schema))


def test_a_declared_column_that_a_file_with_a_header_lacks_is_named(tmp_path: Path) -> None:
    csv, jsonl, _ = written(tmp_path)
    schema = Schema(columns=(*SCHEMA.columns, Column(name="rank", kind="category")))
    with pytest.raises(TableError, match="no column 'rank', which the schema declares"):
        list(source_at(csv).records(schema))
    assert [row["rank"] for row in source_at(jsonl).records(schema)] == [None, None]


def test_a_line_longer_than_memory_should_hold_is_refused_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 1_000)
    for name, head in (("t.csv", "age\n"), ("t.jsonl", '{"age": 1}\n')):
        (tmp_path / name).write_text(head + "x" * 5_000)
        with pytest.raises(TableError, match="line 2, has more than 1,000 characters"):
            source_at(tmp_path / name).schema()


def test_tags_of_real_records_are_no_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,_origin,_generator,_batch\n3,real,,1\n")
    source = source_at(tmp_path / "t.csv")
    assert [column.name for column in source.schema().columns] == ["age"]
    assert list(source.records(source.schema())) == [{"age": 3}]


def test_images_come_from_folders_named_by_labels(tmp_path: Path) -> None:
    for shade, label in ((0, "zero"), (255, "one")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").write_bytes(png(shade))
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "one" / "b.JPG", "JPEG")
    (tmp_path / "one" / "notes.txt").write_text("no image")
    source = source_at(tmp_path)
    schema = source.schema()
    assert [(column.name, column.kind) for column in schema.columns] == [
        ("image", "image"),
        ("label", "category"),
    ]
    found = list(source.records(schema))
    assert [row["label"] for row in found] == ["one", "one", "zero"]
    assert (found[0]["image"], found[2]["image"]) == (png(255), png(0))
    assert found[1]["image"].startswith(b"\x89PNG")
    coding = RowCoding(schema.as_json())
    assert all(coding.coded(row, 1).images for row in found)


def test_images_come_with_what_a_list_says_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "labels.csv").write_text("file,digit,writer\na.png,7,Ann\n")
    found = list(source_at(tmp_path).records(source_at(tmp_path).schema()))
    assert found == [{"image": png(1), "digit": 7, "writer": "Ann"}]
    (tmp_path / "labels.csv").write_text("file,digit\n../secret.png,7\n")
    with pytest.raises(TableError, match="lies outside of"):
        source_at(tmp_path).schema()
    (tmp_path / "labels.csv").write_text("name,digit\na.png,7\n")
    with pytest.raises(TableError, match="no column 'file'"):
        source_at(tmp_path).schema()


def bomb() -> bytes:
    """A small file of an enormous image."""
    said = bytearray(png(0))
    said[16:24] = (60_000).to_bytes(4) + (60_000).to_bytes(4)
    return bytes(said)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG\r\n\x1a\n", png(3)[:-20], png(3)[:40] + b"\0" + png(3)[41:], b"GIF89a", bomb()],
)
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(TableError, match="odd.png can't be read as an image"):
        list(source_at(tmp_path).lines())


def test_an_image_too_large_to_keep_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_files, "LARGEST_FILE", 50)
    (tmp_path / "large.png").write_bytes(png(3, side=64))
    with pytest.raises(TableError, match="more than 50 bytes"):
        source_at(tmp_path).schema()


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no records"):
        source_at(tmp_path).schema()
    with pytest.raises(TableError, match="can't be read|is no table"):
        source_at(tmp_path / "missing.csv").schema()


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["1", "2.5", "true", "2020-01-31", "Ulm", "a b c d e f g h", "", " 7 ", "1_2"]),
    st.floats(-2, 2).map(lambda x: round(x, 3)),
    st.decimals(0, 1, places=2).map(Decimal),
    st.just(png(5)),
)


@settings(max_examples=150)
@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), VALUES, min_size=1), min_size=1, max_size=12),
    st.integers(1, 5),
)
def test_the_schema_and_the_table_are_the_same_however_the_records_are_cut(
    rows: list[dict[str, Any]], at_once: int
) -> None:
    try:
        whole = table_of(rows)
    except TableError:  # bytes beside names, which no column holds
        return
    before = table._ROWS_AT_ONCE
    table._ROWS_AT_ONCE = at_once
    try:
        assert schema_in(iter(rows)) == whole.schema
        assert table_in(iter(rows), whole.schema).records() == whole.records()
    finally:
        table._ROWS_AT_ONCE = before


@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "i": st.none() | st.integers(-(2**53), 2**53),
            "b": st.none() | st.booleans(),
            "t": st.none()
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            "p": st.none() | st.sampled_from([png(1), png(2)]),
        }
    )
)
def test_any_row_comes_back_from_its_coding(row: dict[str, Any]) -> None:
    kinds = {"n": "number", "i": "integer", "b": "boolean", "t": "text", "p": "image"}
    coding = RowCoding([{"name": name, "kind": kind} for name, kind in kinds.items()])
    coded = coding.coded(row, 1)
    assert coding.values(coded.content, coded.images) == row
    assert "\n" not in coded.content
    assert coding.coded(dict(reversed(row.items())), 1) == coded
