"""Labels, splits, conflicts and files of data sets, from documents made by hand."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpora import sha256

from rag_pipeline.datasets import files
from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import format_of, kind_of, new_file, writer_for
from rag_pipeline.datasets.rows import COLUMNS, Label, Row, as_compared, label_of
from rag_pipeline.datasets.selection import Judged, Selection, judged
from rag_pipeline.datasets.splits import SplitPlan, parse_plan
from storage.export import ExportedDocument, ExportedSource
from storage.records import DocumentId, Origin

PLAN = SplitPlan(shares={"train": 80, "dev": 10, "test": 10})
HASHES = [sha256(str(n)) for n in range(5_000)]


def source(name: str, **metadata: Any) -> ExportedSource:
    return ExportedSource(
        uri="/c.jsonl",
        external_id=name,
        title="",
        metadata=metadata,
        origin=Origin.REAL,
        generator_id=None,
    )


def document(
    *sources: ExportedSource, text: str = "words", near: str | None = None
) -> ExportedDocument:
    return ExportedDocument(
        document_id=DocumentId(1),
        content_sha256=sha256(text),
        near_sha256=None if near is None else sha256(near),
        language="en",
        text=text,
        sources=sources,
    )


def row(label: Label | None = "a", **changed: Any) -> Row:
    given = {
        "id": "d",
        "source": "/c.jsonl",
        "title": "",
        "text": "words",
        "label": label,
        "split": None,
        "origin": Origin.REAL,
        "generator_id": None,
        "language": None,
        "metadata": {"label": label},
        "document_id": 1,
        "content_sha256": "0" * 64,
    }
    return Row(**{**given, **changed})


def ids(found: Judged) -> list[str]:
    return [row.id for row in found.rows]


class TestLabels:
    @pytest.mark.parametrize("value", ["pos", " pos ", 0, 1, -3, 0.5, True, False, 2**63 - 1])
    def test_a_string_a_number_and_a_truth_value_stay_what_they_are(self, value):
        assert label_of(value) == value
        assert type(label_of(value)) is type(value)

    def test_a_list_of_strings_is_the_classes_of_a_text_also_when_there_are_none(self):
        assert label_of(["b", "a"]) == ("b", "a")
        assert label_of([]) == ()

    @pytest.mark.parametrize("value", [None, "", " \n", {"a": 1}, [1], ["a", None], [["a"]], 2**63])
    def test_what_is_nothing_or_has_no_single_form_is_no_label(self, value):
        assert label_of(value) is None

    def test_the_order_of_classes_makes_no_other_label_but_a_number_is_not_its_digits(self):
        assert as_compared(("b", "a")) == as_compared(("a", "b"))
        assert len({as_compared(label) for label in (1, "1", True, ("1",))}) == 4

    def test_a_label_that_can_not_be_one_is_counted_and_is_not_just_missing(self):
        found = judged(document(source("x", label={"a": 1}), source("y", label=None)), Selection())
        assert (found.unlabelled, found.unusable, ids(found)) == (2, 1, [])


class TestChoosing:
    def test_each_source_is_a_row_with_its_own_label_split_and_metadata(self):
        given = document(
            source("x", label="a", split="train", year=1), source("y", label="a", split="train")
        )
        rows = judged(given, Selection()).rows
        assert [(row.id, row.label, row.split) for row in rows] == [
            ("x", "a", "train"),
            ("y", "a", "train"),
        ]
        assert rows[0].metadata == {"label": "a", "split": "train", "year": 1}
        assert judged(given, Selection()).conflict is None

    def test_rows_without_a_label_are_in_only_when_all_are_asked_for(self):
        given = document(source("x", label="a"), source("y"))
        assert ids(judged(given, Selection())) == ["x"]
        assert ids(judged(given, Selection(labelled_only=False))) == ["x", "y"]

    def test_fields_of_other_names_are_read(self):
        given = document(source("x", label="no", sentiment=3, part=7))
        (only,) = judged(given, Selection(label_field="sentiment", split_field="part")).rows
        assert (only.label, only.split) == (3, "7")

    def test_a_missing_label_contradicts_nothing(self):
        given = document(source("x", label="a"), source("y"))
        assert judged(given, Selection(labelled_only=False)).conflict is None

    def test_two_labels_of_one_text_are_a_conflict_and_dropping_it_drops_all_its_rows(self):
        given = document(source("x", label="a"), source("y", label="b"), source("z", label="a"))
        kept, dropped = (judged(given, Selection(on_conflict=how)) for how in ("keep", "drop"))
        assert kept.conflict is not None
        assert kept.conflict.labels == ('"a"', '"b"')
        assert (ids(kept), kept.dropped) == (["x", "y", "z"], 0)
        assert (ids(dropped), dropped.dropped) == ([], 3)

    def test_a_training_text_that_is_in_the_test_set_too_is_found_from_either_side(self):
        given = document(
            source("x", label="a", split="train"), source("y", label="a", split="test")
        )
        for wanted in ("train", "test"):
            found = judged(given, Selection(declared_splits=frozenset({wanted})))
            assert found.conflict is not None
            assert found.conflict.splits == ("test", "train")
            assert (len(found.rows), found.in_other_splits) == (1, 1)
        assert judged(given, Selection(declared_splits=frozenset({"dev"}))).conflict is None

    def test_declared_splits_do_not_count_when_all_are_replaced_but_do_when_one_is_divided(self):
        given = document(
            source("x", label="a", split="train"), source("y", label="a", split="test")
        )
        replaced = judged(given, Selection(plan=PLAN))
        assert replaced.conflict is None
        assert {row.split for row in replaced.rows} == {PLAN.split_of(given.content_sha256)}
        divided = judged(given, Selection(plan=PLAN, declared_splits=frozenset({"train"})))
        assert divided.conflict is not None
        assert ids(divided) == ["x"]


class TestAssignedSplits:
    def test_the_shares_are_kept_whatever_they_add_up_to(self):
        for scale in (1, 0.001, 7):
            plan = SplitPlan(shares={name: n * scale for name, n in PLAN.shares.items()})
            assert [plan.split_of(h) for h in HASHES] == [PLAN.split_of(h) for h in HASHES]
        counts = Counter(map(PLAN.split_of, HASHES))
        for name, share in PLAN.shares.items():
            assert counts[name] / len(HASHES) == pytest.approx(share / 100, abs=0.02)

    def test_the_cut_is_pinned_so_that_no_release_moves_a_text_to_another_split(self):
        names = list(PLAN.shares)
        first = [names.index(PLAN.split_of(content)) for content in HASHES[:12]]
        assert first == [1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]

    def test_another_seed_cuts_elsewhere(self):
        other = SplitPlan(shares=PLAN.shares, seed=1)
        moved = sum(other.split_of(h) != PLAN.split_of(h) for h in HASHES)
        assert 0.2 < moved / len(HASHES) < 0.5

    def test_what_is_nearly_the_same_goes_where_its_original_goes(self):
        for n in range(200):
            original = document(source("x", label="a"), text=f"text {n}")
            near = document(source("y", label="a"), text=f"Text {n}!", near=f"text {n}")
            (one,), (other,) = (
                judged(given, Selection(plan=PLAN)).rows for given in (original, near)
            )
            assert one.split == other.split

    @given(
        st.dictionaries(
            st.text(min_size=1).filter(str.strip), st.floats(1e-9, 1e9), min_size=1, max_size=5
        ),
        st.text(),
    )
    def test_every_text_has_a_split_of_the_plan(self, shares, group):
        assert SplitPlan(shares=shares).split_of(group) in shares

    def test_a_plan_is_read_with_its_blanks(self):
        plan = parse_plan(" train = 80, dev=10 ,test=.5", seed=3)
        assert (dict(plan.shares), plan.seed) == ({"train": 80, "dev": 10, "test": 0.5}, 3)

    @pytest.mark.parametrize(
        "text",
        ["", "train", "train=", "=1", "a=1,a=2", "a=x", "a=0", "a=-1", "a=nan", "a=inf", "a=1,,"],
    )
    def test_a_plan_that_is_none_is_refused_with_an_example(self, text):
        with pytest.raises(DatasetError, match=r"train=80|above 0"):
            parse_plan(text)


class TestFiles:
    @pytest.mark.parametrize("name", ["x.csv", "x", ".jsonl", "x.jsonl.gz"])
    def test_a_format_that_is_not_known_is_refused(self, name):
        with pytest.raises(DatasetError, match=r"\.jsonl or \.parquet"):
            format_of(Path(name))

    def test_each_line_is_one_object_whatever_the_text_holds(self):
        text = 'a\nb\u2028c\x85"\\\u0000 灯台 🚢'
        file = io.BytesIO()
        files.write_jsonl(file, [row(text=text), row(("x", "y"))])
        first, second, rest = file.getvalue().decode().split("\n")
        assert list(json.loads(first)) == list(COLUMNS)
        assert json.loads(first)["text"] == text
        assert json.loads(second)["label"] == ["x", "y"]
        assert rest == ""

    @pytest.mark.parametrize(
        ("labels", "kind", "kept"),
        [
            (["a", None], "string", ["a", None]),
            ([1, 2**62], "int64", [1, 2**62]),
            ([1, 0.5, 2**62], "double", [1.0, 0.5, 2.0**62]),
            ([True, False], "bool", [True, False]),
            (["a", ("b", "c"), (), None], "list<element: string>", [["a"], ["b", "c"], [], None]),
            ([None], "string", [None]),
        ],
    )
    def test_labels_of_one_kind_have_a_column_of_that_kind(self, tmp_path, labels, kind, kept):
        table = self.parquet(tmp_path, [row(label) for label in labels])
        assert table.column_names == list(COLUMNS)
        assert str(table.schema.field("label").type) == kind
        assert table["label"].to_pylist() == kept
        assert json.loads(table["metadata"][0].as_py()) is not None

    @pytest.mark.parametrize("labels", [["1", 1], [True, 1], [("a",), 1]])
    def test_labels_that_have_no_common_column_are_refused_by_parquet_alone(self, labels):
        kinds = frozenset(map(kind_of, labels))
        with pytest.raises(DatasetError, match="no Parquet column"):
            writer_for("parquet", kinds)
        assert writer_for("jsonl", kinds) is files.write_jsonl

    def test_parquet_is_written_in_portions_and_loses_no_row(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "_ROWS_A_GROUP", 4)
        monkeypatch.setattr(files, "_CHARACTERS_A_GROUP", 20)
        rows = [row(text="x" * (n % 9), document_id=n) for n in range(30)]
        assert self.parquet(tmp_path, rows)["document_id"].to_pylist() == list(range(30))
        assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups >= 8

    def test_without_its_package_parquet_is_refused_with_the_extra_to_install(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
        with pytest.raises(DatasetError, match=r"rag-pipeline-service\[parquet\]"):
            writer_for("parquet", frozenset())

    def parquet(self, folder: Path, rows: list[Row]) -> Any:
        kinds = frozenset(kind_of(row.label) for row in rows if row.label is not None)
        with (folder / "x.parquet").open("wb") as file:
            writer_for("parquet", kinds)(file, iter(rows))
        return pq.read_table(folder / "x.parquet")


class TestNewFile:
    def test_nothing_is_there_until_all_of_it_is(self, tmp_path):
        path = tmp_path / "x.jsonl"
        with new_file(path, overwrite=False) as file:
            file.write(b"x")
            assert not path.exists()
        assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]

    def test_a_failure_leaves_no_trace_and_what_was_there_before(self, tmp_path):
        path = tmp_path / "x.jsonl"
        path.write_text("before")
        with pytest.raises(ZeroDivisionError):
            with new_file(path, overwrite=True) as file:
                file.write(bytes(1 // 0))
        assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]

    def test_a_file_is_replaced_only_when_told_to(self, tmp_path):
        path = tmp_path / "x.jsonl"
        path.write_text("before")
        with pytest.raises(DatasetError, match="--force"):
            with new_file(path, overwrite=False):
                pytest.fail("it was opened")
        assert path.read_text() == "before"

    def test_a_file_that_came_in_between_is_not_replaced_either(self, tmp_path):
        path = tmp_path / "x.jsonl"
        with pytest.raises(DatasetError, match="there already"):
            with new_file(path, overwrite=False):
                path.write_text("another's")
        assert [p.read_text() for p in tmp_path.iterdir()] == ["another's"]

    @pytest.mark.parametrize("place", ["missing/x.jsonl", "file/x.jsonl", "x" * 300 + ".jsonl"])
    def test_a_place_that_can_not_be_written_is_named_in_one_line(self, tmp_path, place):
        (tmp_path / "file").touch()
        with pytest.raises(DatasetError, match="can't be written") as raised:
            with new_file(tmp_path / place, overwrite=False):
                pytest.fail("it was opened")
        assert "\n" not in str(raised.value)

    def test_a_folder_is_never_replaced(self, tmp_path):
        (tmp_path / "x.jsonl").mkdir()
        with pytest.raises(DatasetError, match="is a folder"):
            with new_file(tmp_path / "x.jsonl", overwrite=True):
                pytest.fail("it was opened")
