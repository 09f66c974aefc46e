"""Who is forgotten is named beside no record, and what records say is nobody's question."""

from pathlib import Path

from sqlalchemy import text
from support.pipelines import parts_of, word_pipeline
from support.record_sets import SCHEMA, drawing_model, drawn, people

NAME = "margaret.harkness"


def test_a_user_goes_from_what_they_loaded_and_drew_and_the_records_stay(
    database_url: str, tmp_path: Path
) -> None:
    with word_pipeline(tmp_path / "home", database=database_url) as rag:
        rag.ingest_records([{"_id": "a", "text": "The ferry leaves at noon."}], source="notes")
        rag.ask("When does the ferry leave?", extractive=True, user=NAME)
        sets, database = parts_of(rag).record_sets, parts_of(rag).database
        sets.create("people", schema=SCHEMA)
        home = f"/home/{NAME}/people.csv"
        sets.add_real("people", people(3), source=home, user=NAME)
        # Another's folder may well be called so: that is none of theirs.
        sets.add_real("people", people(3, prefix="q"), source=home, user="bob")
        model = drawing_model(database, tmp_path)
        sets.add_synthetic("people", people(2, prefix="s"), **drawn(model, user=NAME))
        done = rag.forget.user(NAME)
        first, second, third = sets.batches("people")
        assert (first.created_by, first.source) == ("[forgotten]", "/home/[forgotten]/people.csv")
        assert (second.created_by, second.source) == ("bob", home)
        assert third.created_by == "[forgotten]"
        assert done.certificate["counts"]["asker"]["record_batches"] == 2
        assert len(list(sets.rows("people", "both"))) == 8
        assert rag.doctor().differences == ()


def test_a_forgotten_document_leaves_a_record_that_says_the_same(
    database_url: str, tmp_path: Path
) -> None:
    said = "The zyxmarker lighthouse of Quorvania is forty metres high, and burns oil."
    with word_pipeline(tmp_path / "home", database=database_url) as rag:
        rag.ingest_records([{"_id": "a", "text": said}], source="notes")
        sets, database = parts_of(rag).record_sets, parts_of(rag).database
        schema = [{"name": "note", "kind": "text"}]
        sets.create_with("notes", [{"note": said}], source="x", schema=schema)
        rag.forget.document("a")
        assert [record.values["note"] for record in sets.rows("notes", "real")] == [said]
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM documents")).scalar_one() == 0


def test_deleted_records_are_cleared_out_of_the_file_by_the_next_erasure(tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "home") as rag:
        rag.ingest_records([{"_id": "a", "text": "The ferry leaves at noon."}], source="notes")
        sets, path = parts_of(rag).record_sets, parts_of(rag).database.sqlite_path
        sets.create("people", schema=SCHEMA)
        sets.add_real("people", [{"id": "zyxmarker", "town": "Quorvania"}] * 1, source="x")
        sets.delete("people")
        rag.forget.document("a")
        assert path is not None
        assert b"zyxmarker" not in path.read_bytes()
