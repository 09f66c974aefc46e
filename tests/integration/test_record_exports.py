"""Exports of records: whoever finds the file finds out what is real in it."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from support.pipelines import parts_of, word_pipeline
from support.record_sets import SCHEMA, drawing_model, drawn, filled, people, png

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import sha256_of
from rag_pipeline.synthetic import data_card
from rag_pipeline.synthetic.errors import SyntheticError, TableError
from rag_pipeline.synthetic.exporting import ExportWanted, export
from rag_pipeline.synthetic.record_sources import source_at
from rag_pipeline.synthetic.tables.table import Schema
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.record_sets.sets import RecordSets

FORMS = ("csv", "jsonl", "parquet")


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A file: what is written does not depend on where it was read."""
    shutil.copy(migrated_sqlite, tmp_path / "truth.db")
    opened = Database.in_file(tmp_path / "truth.db")
    yield opened
    opened.close()


@pytest.fixture
def sets(database: Database, tmp_path: Path) -> RecordSets:
    """300 real and 200 synthetic records of people; the latter are hardly ever of Bonn."""
    found = filled(database, 300)
    rows = ({**row, "town": row["town"] if n % 4 else "Ulm"} for n, row in enumerate(people(200)))
    renamed = ({**row, "id": f"s{row['id']}"} for row in rows)
    found.add_synthetic("people", renamed, **drawn(drawing_model(database, tmp_path)))
    return found


def read(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".csv":
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
    return list(parquet.read_table(path).to_pylist())


def wanted(path: Path, origin: Any = "both", **more: Any) -> ExportWanted:
    return ExportWanted(name="people", path=path, origin=origin, **more)


def test_each_record_of_each_form_of_file_says_what_it_is(sets: RecordSets, tmp_path: Path) -> None:
    for form in FORMS:
        made = export(sets, wanted(tmp_path / f"people.{form}"))
        rows = read(made.path)
        assert (made.real, made.synthetic, len(rows)) == (300, 200, 500)
        assert [row["_origin"] for row in rows] == ["real"] * 300 + ["synthetic"] * 200
        assert {row["_generator"] for row in rows[:300]} <= {None, ""}
        assert {row["_generator"] for row in rows[300:]} == {"version:people@1"}
        assert [str(row["_batch"]) for row in (rows[0], rows[-1])] == ["1", "2"]
        assert made.sha256 == sha256_of(made.path)


def test_what_was_exported_comes_back_only_where_it_is_real(
    sets: RecordSets, tmp_path: Path
) -> None:
    schema = Schema.from_json(sets.get("people").schema)
    stored = [record.values for record in sets.rows("people", "real")]
    for form in FORMS:
        real = export(sets, wanted(tmp_path / f"real.{form}", "real"))
        assert list(source_at(real.path).records(schema)) == stored
        again = sets.add_real("people", source_at(real.path).records(schema), source="again")
        assert again.was_there
        both = export(sets, wanted(tmp_path / f"both.{form}"))
        with pytest.raises(TableError, match="tagged as synthetic"):
            sets.add_real("people", source_at(both.path).records(schema), source="laundered")


def test_a_card_beside_the_file_says_where_from_how_good_and_how_private(
    sets: RecordSets, tmp_path: Path
) -> None:
    made = export(sets, wanted(tmp_path / "people.csv", slices=("town", "age")))
    card = json.loads((tmp_path / "people.csv.card.json").read_text())
    assert card["sha256"] == made.sha256
    assert card["records"] == {"real": 300, "synthetic": 200}
    real, synthetic = card["batches"]
    assert (real["source"], real["dataset"]) == ("people.csv", "people@1")
    assert synthetic["model"] == "version:people@1"
    assert len(synthetic["weights_sha256"]) == len(synthetic["source_sha256"]) == 64
    assert (synthetic["seed"], synthetic["verdict"]) == (7, "passed")
    assert "created_by" not in str(card)
    assert card["missing"]["member"]["real"] == pytest.approx(43 / 300)
    towns = {one["value"]: one for one in card["slices"] if one["column"] == "town"}
    assert towns["Ulm"]["real_share"] == pytest.approx(1 / 3)
    assert towns["Ulm"]["synthetic_share"] > 0.4
    assert {one["column"] for one in card["slices"]} == {"town", "age"}
    said = made.card.read_text()
    for words in ("200 synthetic", "no observations", "membership", "0.51", "By slice", "Ulm"):
        assert words in said, words


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/home/ann/secret plans/people.csv", "people.csv"),
        ("C:\\Users\\ann\\people.csv", "people.csv"),
        ("sqlite:////home/ann/people.db: SELECT * FROM t", "people.db: SELECT * FROM t"),
        ("postgresql://db.intern:5432/hr: SELECT 'a: b/c'", "hr: SELECT 'a: b/c'"),
    ],
)
def test_a_card_names_the_file_and_no_folder_or_server(
    database: Database, tmp_path: Path, source: str, shown: str
) -> None:
    sets = RecordSets(database)
    sets.create_with("people", people(3), source=source, schema=SCHEMA)
    made = export(sets, wanted(tmp_path / "out.csv", "real"))
    said = (tmp_path / "out.csv.card.json").read_text()
    (batch,) = json.loads(said)["batches"]
    assert batch["source"] == shown
    for secret in ("ann", "secret", "db.intern"):
        assert secret not in said + made.card.read_text()


FORMULAS = ("=1+1", "+49 30 1", "-2+3", "@SUM(A1)", "\tx", "\rx")


def test_no_spreadsheet_runs_what_an_export_says(database: Database, tmp_path: Path) -> None:
    sets = RecordSets(database)
    schema = [
        {"name": "who", "kind": "text"},
        {"name": "@pay", "kind": "number"},
        {"name": "level", "kind": "category"},
    ]
    plain = ("-5", "+3.5e2", "a=b", "'=1", "1-2", "")
    rows = [{"who": one, "@pay": -5.5, "level": "-5"} for one in (*FORMULAS, *plain)]
    sets.create_with("people", rows, source="x", schema=schema)
    made = export(sets, wanted(tmp_path / "people.csv", "real"))
    cells = read(made.path)
    assert made.defused == len(FORMULAS) + 1
    assert [row["who"] for row in cells] == [*(f"'{one}" for one in FORMULAS), *plain]
    assert {(row["'@pay"], row["level"]) for row in cells} == {("-5.5", "-5")}
    assert "7 cells an apostrophe" in made.card.read_text()
    assert json.loads((tmp_path / "people.csv.card.json").read_text())["defused"] == 7

    raw = export(sets, wanted(tmp_path / "raw.csv", "real", raw=True))
    assert raw.defused == 0
    assert [row["who"] for row in read(raw.path)] == [*FORMULAS, *plain]
    for form in ("jsonl", "parquet"):
        other = export(sets, wanted(tmp_path / f"people.{form}", "real"))
        assert [row["who"] for row in read(other.path)] == [*FORMULAS, *plain]
        assert other.defused == 0


def test_a_card_of_real_records_warns_of_nothing_synthetic(
    sets: RecordSets, tmp_path: Path
) -> None:
    made = export(sets, wanted(tmp_path / "people.csv", "real", slices=("town",), split="holdout"))
    card = json.loads((tmp_path / "people.csv.card.json").read_text())
    assert (made.synthetic, card["records"]["synthetic"]) == (0, 0)
    assert 0 < made.real < 300
    assert "no observations" not in made.card.read_text()
    assert {key for one in card["slices"] for key in one} == {
        "column",
        "value",
        "real",
        "real_share",
    }


def test_slices_of_many_records_are_measured_on_some(
    sets: RecordSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_card, "_SAMPLED", 100)
    export(sets, wanted(tmp_path / "people.csv", slices=("town",)))
    card = json.loads((tmp_path / "people.csv.card.json").read_text())
    assert sum(one["real"] for one in card["slices"]) == card["slices_measured_on"] == 100
    assert card["records"]["real"] == 300


def test_words_in_a_card_are_no_markup(database: Database, tmp_path: Path) -> None:
    sets = RecordSets(database)
    schema = [{"name": "a|b\n# <script>", "kind": "category"}]
    sets.create_with("odd", [{"a|b\n# <script>": "x"}], source="*x*", schema=schema)
    made = export(sets, ExportWanted(name="odd", path=tmp_path / "o.csv", origin="real"))
    said = made.card.read_text()
    assert "<script>" not in said.replace("\\<script\\>", "")
    assert r"| a\|b # \<script\> | category |" in said


def test_images_stand_in_parquet_and_beside_files_of_text(
    database: Database, tmp_path: Path
) -> None:
    sets = RecordSets(database)
    schema = Schema.from_json(
        [{"name": "image", "kind": "image"}, {"name": "n", "kind": "integer"}]
    )
    rows = [{"image": png(n % 2), "n": n} for n in range(4)] + [{"image": None, "n": 4}]
    sets.create_with("digits", rows, source="x", schema=schema.as_json())
    for form in FORMS:
        path = tmp_path / form / f"digits.{form}"
        path.parent.mkdir()
        made = export(sets, ExportWanted(name="digits", path=path, origin="real"))
        assert made.images == 4
        assert list(source_at(path).records(schema)) == rows
    assert len(list((tmp_path / "csv" / "digits_images").iterdir())) == 2
    assert not (tmp_path / "parquet" / "digits_images").exists()


def test_what_is_in_the_way_stays_and_nothing_is_written_beside_it(
    sets: RecordSets, tmp_path: Path
) -> None:
    for name in ("people.csv", "people.csv.card.md", "people.csv.card.json"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(DatasetError, match="there already"):
            export(sets, wanted(folder / "people.csv"))
        assert [path.name for path in folder.iterdir()] == [name]
        assert (folder / name).read_text() == "mine"
        export(sets, wanted(folder / "people.csv", overwrite=True))
        assert len(read(folder / "people.csv")) == 500


def test_what_cant_be_exported_leaves_no_file(sets: RecordSets, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "people.csv"
    for asked, error, said in (
        (wanted(folder / "people.xlsx"), DatasetError, "known form"),
        (wanted(path, slices=("town", "wage")), TableError, "no column 'wage'"),
        (wanted(path, slices=("id",)), SyntheticError, "no values to divide by"),
        (wanted(path, "all"), InvalidRecordError, "no origin"),
        (wanted(path, batch_id=99), NotFoundError, "no batch of records 99"),
        (ExportWanted(name="nobody", path=path, origin="real"), NotFoundError, "no set of records"),
        (wanted(tmp_path / "nowhere" / "people.csv"), DatasetError, "can't be written"),
    ):
        with pytest.raises(error, match=said):
            export(sets, asked)
        assert list(folder.iterdir()) == []


def test_an_export_of_nothing_is_an_empty_table_with_its_header(
    database: Database, tmp_path: Path
) -> None:
    sets = RecordSets(database)
    sets.create("people", schema=SCHEMA)
    for form in FORMS:
        made = export(sets, wanted(tmp_path / f"none.{form}", slices=("town",)))
        assert (made.real, made.synthetic, read(made.path)) == (0, 0, [])
    assert (tmp_path / "none.csv").read_text().strip().endswith("_origin,_generator,_batch")


def test_what_a_model_learnt_leads_back_to_the_set_and_is_missed_when_it_is_deleted(
    tmp_path: Path,
) -> None:
    with word_pipeline(tmp_path / "home") as rag:
        sets, database = parts_of(rag).record_sets, parts_of(rag).database
        sets.create("people", schema=SCHEMA)
        batch = sets.add_real("people", people(5), source="people.csv")
        drawing_model(database, tmp_path)
        tree = "\n".join(rag.models.lineage("people@1").lines())
        assert "people@1 (records" in tree
        assert "taken from: record set people (5 real records)" in tree
        assert rag.datasets.verify("people@1").is_whole
        sets.delete_batch(batch.batch_id)
        assert rag.datasets.verify("people@1").difference.gone == (batch.sha256,)
        sets.delete("people")
        assert not rag.datasets.verify("people@1").is_whole
