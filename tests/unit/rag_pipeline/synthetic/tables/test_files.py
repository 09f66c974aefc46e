"""Tables in files."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.files import read_table


def test_one_table_is_the_same_from_each_form_of_file(tmp_path: Path) -> None:
    records = [{"age": 39, "town": "Ulm"}, {"age": None, "town": "Bonn, Rhein"}]
    (tmp_path / "t.csv").write_text('\ufeffage,town\n39,Ulm\n,"Bonn, Rhein"\n', "utf-8")
    (tmp_path / "t.jsonl").write_text('{"age": 39, "town": "Ulm"}\n\n{"town": "Bonn, Rhein"}\n')
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "t.parquet")
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        assert read_table(tmp_path / name).records() == records, name


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"a,b\n1\n", "line 2, has not as many fields"),
        ("t.csv", b"a,b\n1,2,3\n", "line 2, has not as many fields"),
        ("t.csv", b"a\n\xff\n", "can't be read"),
        ("t.csv", b"a\n", "no records"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "line 2, is no JSON object"),
        ("t.jsonl", b"{\n", "line 1:"),
        ("t.parquet", b"PAR1 not", "can't be read"),
        ("t.xlsx", b"", "is no table"),
    ],
)
def test_a_file_that_is_no_table_says_where(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=said):
        read_table(path)
    with pytest.raises(TableError, match=r"can't be read|is no table"):
        read_table(tmp_path / f"missing{path.suffix}")
