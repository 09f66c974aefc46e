"""Sets of records: real and synthetic side by side, and never one for the other."""

import tracemalloc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.record_sets import SCHEMA, drawing_model, drawn, filled, people, png

from storage import consistency
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError, StorageError
from storage.record_sets.sets import RecordSets
from storage.versions.registry import Versions

IMAGES = [{"name": "image", "kind": "image"}, {"name": "label", "kind": "category"}]


def counts(database: Database) -> dict[str, int]:
    tables = ("record_sets", "record_batches", "records", "record_images", "record_batch_images")
    with database.read() as connection:
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in tables
        }


def differences(database: Database) -> list[str]:
    return consistency.database_differences(database, 0)


def test_records_come_back_as_they_were_in_their_order(database: Database) -> None:
    sets = filled(database, 30)
    found = list(sets.rows("people", "real"))
    assert [record.position for record in found] == [*range(30)]
    assert [record.values["id"] for record in found] == [row["id"] for row in people(30)]
    assert found[8].values == {
        "id": "p8",
        "age": 28,
        "pay": 2.0,
        "member": True,
        "since": "2020-01-09T00:00:00+00:00",
        "town": None,
    }
    assert {(one.origin, one.generator_id, one.seed) for one in found} == {("real", None, None)}
    assert (sets.get("people").real, sets.get("people").synthetic) == (30, 0)


def test_who_reads_names_the_origin_and_gets_no_other(database: Database, tmp_path: Path) -> None:
    sets = filled(database, 6)
    model = drawing_model(database, tmp_path)
    batch = sets.add_synthetic("people", people(4, prefix="s"), **drawn(model))
    names = {
        origin: [record.values["id"] for record in sets.rows("people", origin)]
        for origin in ("real", "synthetic", "both")
    }
    assert names["real"] == [f"p{n}" for n in range(6)]
    assert names["synthetic"] == [f"s{n}" for n in range(4)]
    assert names["both"] == names["real"] + names["synthetic"]
    for record in sets.rows("people", "synthetic", batch_id=batch.batch_id):
        assert (record.generator_id, record.seed) == ("version:people@1", 7)
    assert list(sets.rows("people", "real", batch_id=batch.batch_id)) == []
    for odd in ("all", "", "Real"):
        with pytest.raises(InvalidRecordError, match="name real, synthetic or both"):
            sets.rows("people", odd)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        sets.rows("people")  # type: ignore[call-arg]


def test_a_synthetic_batch_says_where_it_is_from(database: Database, tmp_path: Path) -> None:
    sets = filled(database)
    model = drawing_model(database, tmp_path)
    said = drawn(model, conditions={"town": ["Ulm"]}, sampling={"steps": 20}, user="alice")
    batch = sets.add_synthetic("people", people(3, prefix="s"), **said)
    versions = Versions(database)
    registered = versions.model("people@1")
    assert batch == sets.batch(batch.batch_id) == sets.batches("people")[-1]
    assert batch.model == "version:people@1"
    assert batch.weights_sha256 == registered.weights_sha256
    assert batch.learnt_from == "people@1"
    assert batch.source_sha256 == versions.dataset("people@1").sha256
    assert (batch.seed, batch.conditions, batch.sampling) == (7, {"town": ["Ulm"]}, {"steps": 20})
    assert (batch.verdict, batch.thresholds) == ("passed", {"shape_error": 0.05})
    assert batch.report["judgement"]["measures"]["membership"] == 0.51
    assert (batch.created_by, batch.records) == ("alice", 3)


def test_a_refused_batch_keeps_its_report_and_no_record(database: Database, tmp_path: Path) -> None:
    sets = filled(database)
    refused = sets.add_refused("people", **drawn(drawing_model(database, tmp_path)))
    assert (refused.verdict, refused.records) == ("refused", 0)
    assert refused.report["judgement"]["measures"]["shape_error"] == 0.02
    assert list(sets.rows("people", "synthetic")) == []
    with pytest.raises(InvalidRecordError, match="add_refused"):
        sets.add_synthetic("people", people(1), **drawn(refused.model_id or 0, verdict="refused"))
    assert differences(database) == []


_CHANGES = (
    "UPDATE records SET origin = 'synthetic', generator_id = 'g', seed = 1",
    "UPDATE records SET content = '[]' WHERE position = 0",
    "UPDATE records SET drawer = 0",
    "UPDATE record_sets SET columns = '[]'",
    "UPDATE record_sets SET holdout = 10000",
    "UPDATE record_images SET content = NULL",
    "UPDATE record_batches SET origin = 'real'",
    "UPDATE record_batches SET generator_id = 'another'",
    "UPDATE record_batches SET verdict = 'passed'",
    "UPDATE record_batches SET report = NULL",
)


def test_nothing_that_is_stored_is_ever_changed(database: Database, tmp_path: Path) -> None:
    sets = filled(database, 3)
    sets.add_synthetic("people", people(3, prefix="s"), **drawn(drawing_model(database, tmp_path)))
    sets.create_with("digits", [{"image": png(3)}], source="x", schema=IMAGES)
    before = list(sets.rows("people", "both"))
    for change in _CHANGES:
        with pytest.raises(StorageError, match="never changed"), database.write() as connection:
            connection.execute(text(change))
    assert list(sets.rows("people", "both")) == before


_RECORD = (
    "INSERT INTO records"
    " (batch_id, position, set_id, origin, generator_id, seed, drawer, content) VALUES"
)
_BATCH = (
    "INSERT INTO record_batches"
    " (set_id, origin, generator_id, records, sha256, code_version, created_by, created_at"
)


_FALSE_ORIGINS = (
    f"{_RECORD} (1, 99, 1, 'real', 'g', NULL, 0, '[]')",
    f"{_RECORD} (1, 99, 1, 'synthetic', NULL, 1, 0, '[]')",
    f"{_RECORD} (1, 99, 1, 'synthetic', '', 1, 0, '[]')",
    f"{_RECORD} (1, 99, 1, 'synthetic', 'g', 1, 0, '[]')",  # in a batch of real ones
    f"{_RECORD} (2, 99, 1, 'real', NULL, NULL, 0, '[]')",  # in a batch of synthetic ones
    f"{_RECORD} (2, 99, 1, 'synthetic', 'g', NULL, 0, '[]')",
    f"{_RECORD} (1, 0, 1, 'real', NULL, NULL, 0, '[]')",  # in the place of another
    f"{_BATCH}) VALUES (1, 'synthetic', 'g', 0, 'x', 'v', 'u', '2026-01-01')",
    f"{_BATCH}) VALUES (1, 'real', 'g', 0, 'x', 'v', 'u', '2026-01-01')",
    f"{_BATCH}, verdict) VALUES (1, 'real', NULL, 0, 'x', 'v', 'u', '2026-01-01', 'passed')",
)


def test_the_database_itself_refuses_a_false_origin(database: Database, tmp_path: Path) -> None:
    sets = filled(database, 2)
    sets.add_synthetic("people", people(2, prefix="s"), **drawn(drawing_model(database, tmp_path)))
    for insertion in _FALSE_ORIGINS:
        with pytest.raises(StorageError), database.write() as connection:
            connection.execute(text(insertion))
    assert Counter(record.origin for record in sets.rows("people", "both")) == {
        "real": 2,
        "synthetic": 2,
    }


def test_the_same_load_again_adds_nothing(database: Database) -> None:
    sets = filled(database, 12)
    again = sets.add_real("people", people(12), source="a copy.csv")
    assert again.was_there
    assert (again.source, again.records) == ("people.csv", 12)
    assert len(sets.batches("people")) == 1
    assert sets.get("people").real == 12
    assert Versions(database).dataset("people").version == 1


def test_each_load_is_a_version_of_a_data_set_of_all_that_is_real(
    database: Database, tmp_path: Path
) -> None:
    sets, versions = filled(database, 5), Versions(database)
    second = sets.add_real("people", people(3, prefix="q"), source="more.csv")
    assert second.dataset == "people@2"
    found = versions.dataset("people@2")
    assert (found.kind, found.manifest["records"], found.manifest["loads"]) == ("records", 8, 2)
    sets.add_synthetic("people", people(3, prefix="s"), **drawn(drawing_model(database, tmp_path)))
    assert versions.dataset("people").version == 2
    sets.delete_batch(second.batch_id)
    assert sets.add_real("people", people(3, prefix="q"), source="x").dataset == "people@2"


def sides(sets: RecordSets, name: str) -> dict[str, list[Any]]:
    """The first value of each real record, by its split."""
    return {
        split: [next(iter(row.values.values())) for row in sets.rows(name, "real", split=split)]
        for split in ("train", "holdout")
    }


def test_a_growing_set_keeps_its_splits(database: Database) -> None:
    sets = RecordSets(database)
    schema = [{"name": "n", "kind": "integer"}, {"name": "x", "kind": "integer", "is_key": True}]
    sets.create("numbers", schema=schema, holdout=0.25)
    sets.add_real("numbers", ({"n": n, "x": n} for n in range(1_000)), source="first")
    first = sides(sets, "numbers")
    assert 0.2 < len(first["holdout"]) / 1_000 < 0.3
    assert sorted(first["holdout"] + first["train"]) == [*range(1_000)]
    sets.add_real("numbers", ({"n": n, "x": n} for n in range(1_000, 2_000)), source="second")
    then = sides(sets, "numbers")
    assert [n for n in then["holdout"] if n < 1_000] == first["holdout"]
    sets.create("anew", schema=schema, holdout=0.25)
    rows = ({"n": -n, "x": n} for n in reversed(range(2_000)))
    sets.add_real("anew", rows, source="other values of the same records, in another order")
    assert sorted(-n for n in sides(sets, "anew")["holdout"]) == then["holdout"]


def test_equal_rows_without_a_key_are_on_both_sides_the_same_each_time(database: Database) -> None:
    sets = RecordSets(database)
    for name in ("one", "two"):
        sets.create(name, schema=[{"name": "n", "kind": "integer"}], holdout=0.5)
        sets.add_real(name, [{"n": n % 2} for n in range(400)], source="x")
    found = sides(sets, "one")
    assert {*found["train"]} == {*found["holdout"]} == {0, 1}
    assert sides(sets, "two") == found
    with pytest.raises(InvalidRecordError, match="train or holdout"):
        sets.rows("one", "real", split="test")  # type: ignore[arg-type]


_UNFIT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"id": "a", "age": 1.5}, r"record 3: 1\.5 in 'age' is no integer"),
    ({"id": "a", "age": True}, "True in 'age' is no integer"),
    ({"id": "a", "age": 2**60}, "is no integer"),
    ({"id": "a", "pay": float("nan")}, "nan in 'pay' is no number"),
    ({"id": "a", "pay": float("-inf")}, "-inf in 'pay' is no number"),
    ({"id": "a", "pay": 10**400}, "in 'pay' is no number"),
    ({"id": "a", "pay": "3"}, "'3' in 'pay' is no number"),
    ({"id": "a", "member": 1}, "1 in 'member' is no boolean"),
    ({"id": "a", "since": "yesterday"}, "'yesterday' in 'since' is no datetime"),
    ({"id": "a", "town": "U\0lm"}, "in 'town' is no category"),
    ({"id": "a", "town": "\ud800"}, "in 'town' is no category"),
    ({"id": "a", "town": ["Ulm"]}, "in 'town' is no category"),
    ({"id": "a", "colour": "red"}, "record 3: the schema has no column 'colour'"),
    ({"age": 3}, "record 3: there is no 'id', which is a key"),
    ({"id": "p1"}, "record 3 has the same key as record 2"),
)


def test_a_row_that_does_not_fit_is_named_and_nothing_is_stored(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("people", schema=SCHEMA)
    before = counts(database)
    for row, said in _UNFIT:
        with pytest.raises(InvalidRecordError, match=said):
            sets.add_real("people", [*people(2), row, *people(2, prefix="q")], source="x")
    assert counts(database) == before
    assert Versions(database).datasets() == []


def test_a_key_that_the_set_has_already_is_refused_also_for_synthetic_records(
    database: Database, tmp_path: Path
) -> None:
    sets = filled(database, 4)
    said = "record 1 has the same key as a record that was there before"
    with pytest.raises(InvalidRecordError, match=said):
        sets.add_real("people", [{"id": "p3"}], source="x")
    with pytest.raises(InvalidRecordError, match=said):
        sets.add_synthetic("people", [{"id": "p3"}], **drawn(drawing_model(database, tmp_path)))
    assert sets.get("people").synthetic == 0


def test_keys_together_tell_records_apart(database: Database) -> None:
    sets = RecordSets(database)
    keys = [{"name": name, "kind": "category", "is_key": True} for name in ("street", "house")]
    sets.create("homes", schema=keys)
    homes = [{"street": "a", "house": "1"}, {"street": "a", "house": "2"}]
    assert sets.add_real("homes", homes, source="x").records == 2
    with pytest.raises(InvalidRecordError, match="same key"):
        sets.add_real("homes", [*homes[:1], {"street": "b", "house": "1"}], source="y")


_NO_SCHEMAS: tuple[tuple[Any, str], ...] = (
    ([], "at least one column"),
    ("age", "at least one column"),
    ([{"name": "a", "kind": "colour"}], "of the kind 'colour'; there are number"),
    ([{"name": "", "kind": "text"}], "can't name a column"),
    ([{"kind": "text"}], "can't name a column"),
    ([{"name": "a", "kind": "text"}] * 2, "2 columns are called 'a'"),
    ([{"name": "_origin", "kind": "text"}], "no column can be called '_origin'"),
    ([{"name": "a", "kind": "text", "odd": float("nan")}], "can't be stored as JSON"),
    ([{"name": f"c{n}", "kind": "text"} for n in range(3_000)], "3,000 columns are too many"),
)


def test_what_is_no_schema_makes_no_set(database: Database) -> None:
    for schema, said in _NO_SCHEMAS:
        with pytest.raises(InvalidRecordError, match=said):
            RecordSets(database).create("people", schema=schema)
    assert counts(database)["record_sets"] == 0


def test_a_name_that_is_taken_is_refused(database: Database) -> None:
    sets = filled(database, 1)
    with pytest.raises(InvalidRecordError, match="already"):
        sets.create("people", schema=SCHEMA)
    Versions(database).add_dataset("triples", kind="triples", manifest={}, sha256="a" * 64)
    with pytest.raises(InvalidRecordError, match="is a data set of the kind triples"):
        sets.create("triples", schema=SCHEMA)
    for name in ("", "../x", "a b", "x" * 101):
        with pytest.raises(InvalidRecordError, match="can't name"):
            sets.create(name, schema=SCHEMA)
    with pytest.raises(InvalidRecordError, match="share from 0 to 1"):
        sets.create("others", schema=SCHEMA, holdout=1.5)


def test_a_set_comes_with_its_records_or_not_at_all(database: Database) -> None:
    sets = RecordSets(database)
    odd = [*people(2), {"id": "x", "age": "old"}]
    with pytest.raises(InvalidRecordError, match="record 3"):
        sets.create_with("people", odd, source="x", schema=SCHEMA)
    with pytest.raises(InvalidRecordError, match="no records"):
        sets.create_with("people", [], source="x", schema=SCHEMA)
    assert sets.sets() == []
    batch = sets.create_with(
        "people", people(3), source="x", schema=SCHEMA, constraints=["age >= 18"], about={"a": 1}
    )
    found = sets.get("people")
    assert (batch.records, found.real, found.constraints) == (3, 3, ["age >= 18"])
    assert sets.add_real("people", people(3), source="x").was_there


def test_a_model_that_draws_no_records_or_is_unknown_stores_nothing(
    database: Database, tmp_path: Path
) -> None:
    sets, versions = filled(database), Versions(database, tmp_path / "home")
    drawing_model(database, tmp_path)
    embedder = versions.add_model("e", kind="embedder", folder=tmp_path / "model")
    orphan = versions.add_model("o", kind="synthetic", folder=tmp_path / "model")
    for model_id, error, said in (
        (99, NotFoundError, "no model version with the key 99"),
        (embedder.model_id, InvalidRecordError, "of the kind embedder, which draws no records"),
        (orphan.model_id, InvalidRecordError, "nothing says what .* learnt from"),
    ):
        with pytest.raises(error, match=said):
            sets.add_synthetic("people", people(1, prefix="s"), **drawn(model_id))
        with pytest.raises(error, match=said):
            sets.add_refused("people", **drawn(model_id))
    for name in ("", " ", "a\nb", "x" * 201):
        with pytest.raises(InvalidRecordError, match="can't name a generator"):
            sets.add_synthetic("people", people(1), **drawn(1, generator_id=name))
    with pytest.raises(InvalidRecordError, match="64 bits"):
        sets.add_synthetic("people", people(1), **drawn(1, seed=2**64))
    assert len(sets.batches("people")) == 1


def test_images_are_kept_once_and_go_with_the_last_that_shows_them(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("digits", schema=IMAGES)
    black, white = png(0), png(255)
    rows = [
        {"image": black, "label": "0"},
        {"image": white, "label": "1"},
        {"image": black, "label": "0"},
        {"label": "2"},
    ]
    first = sets.add_real("digits", rows, source="a")
    second = sets.add_real("digits", rows[:1], source="b")
    assert counts(database)["record_images"] == 2
    found = [record.values["image"] for record in sets.rows("digits", "real")]
    assert found == [black, white, black, None, black]
    assert sets.delete_batch(first.batch_id) == 4
    assert counts(database)["record_images"] == 1
    assert [row.values["image"] for row in sets.rows("digits", "real")] == [black]
    assert differences(database) == []
    sets.delete_batch(second.batch_id)
    assert counts(database)["record_images"] == 0


def test_what_is_no_png_is_refused(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("digits", schema=IMAGES)
    for content in (b"", b"GIF89a", png(3)[:-1], png(3)[8:], "image.png", memoryview(png(3))):
        with pytest.raises(InvalidRecordError, match="record 1: 'image' holds no whole PNG"):
            sets.add_real("digits", [{"image": content}], source="x")


def test_deleting_takes_records_and_leaves_the_sets_beside_it(
    database: Database, tmp_path: Path
) -> None:
    sets = filled(database, 5)
    sets.create("others", schema=SCHEMA)
    sets.add_real("others", people(2), source="x")
    model = drawing_model(database, tmp_path)
    batch = sets.add_synthetic("people", people(3, prefix="s"), **drawn(model))
    sets.add_refused("people", **drawn(model))
    assert sets.delete_batch(batch.batch_id) == 3
    assert sets.delete("people") == 5
    assert [found.name for found in sets.sets()] == ["others"]
    assert counts(database)["records"] == 2
    missing: list[Callable[[], object]] = [
        lambda: sets.get("people"),
        lambda: sets.rows("people", "real"),
        lambda: sets.batches("people"),
        lambda: sets.delete("people"),
        lambda: sets.delete_batch(batch.batch_id),
        lambda: sets.batch(2**40),
        lambda: sets.add_real("people", people(1), source="x"),
    ]
    for call in missing:
        with pytest.raises(NotFoundError):
            call()


def test_the_number_of_a_deleted_batch_is_never_given_again(database: Database) -> None:
    sets = filled(database, 1)
    last = sets.add_real("people", people(2, prefix="q"), source="x")
    sets.delete_batch(last.batch_id)
    again = sets.add_real("people", people(2, prefix="q"), source="x")
    assert again.batch_id > last.batch_id


def test_a_batch_that_is_deleted_while_it_is_read_is_no_shorter_batch(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("people", schema=SCHEMA)
    batch = sets.add_real("people", people(2_500), source="x")
    reading = sets.rows("people", "real")
    next(reading)
    sets.delete_batch(batch.batch_id)
    with pytest.raises(NotFoundError, match="deleted while it was read"):
        list(reading)


def test_two_that_load_the_same_at_once_add_it_once(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("people", schema=SCHEMA)
    with ThreadPoolExecutor(4) as pool:
        loads = [
            pool.submit(sets.add_real, "people", list(people(50)), source="x") for _ in range(4)
        ]
        found = [load.result() for load in loads]
    assert sorted(batch.was_there for batch in found) == [False, True, True, True]
    assert sets.get("people").real == 50


_DAMAGE = {
    "UPDATE records SET content = '[1]' WHERE position = 2": "records: they are not what came",
    "DELETE FROM records WHERE position = 2": "batch 1 of records: 4 are there, not 5",
    "UPDATE record_images SET content = :other": "it was changed",
    "DELETE FROM record_batch_images": "1 images of records: no record shows them",
}


def test_the_doctor_finds_what_was_done_behind_our_back(database: Database) -> None:
    sets = RecordSets(database)
    sets.create("people", schema=[*SCHEMA, IMAGES[0]])
    rows = ({**row, "image": png(9)} for row in people(5))
    sets.add_real("people", rows, source="x")
    assert differences(database) == []
    with database.write() as connection:
        for table in ("records", "record_images"):
            where = "" if database.is_sqlite else f" ON {table}"
            connection.execute(text(f"DROP TRIGGER {table}_stay{where}"))
    for damage, said in _DAMAGE.items():
        with database.write() as connection:
            connection.execute(text(damage), {"other": b"x"} if ":other" in damage else {})
        assert any(said in found for found in differences(database)), damage


@pytest.mark.slow
def test_memory_does_not_grow_with_the_records(database: Database) -> None:
    sets = RecordSets(database)
    notes = ({"id": str(number), "note": f"{number:04}" * 500} for number in range(40_000))
    schema = [
        {"name": "id", "kind": "category", "is_key": True},
        {"name": "note", "kind": "text"},
    ]
    tracemalloc.start()
    try:
        batch = sets.create_with("notes", notes, source="x", schema=schema)
        read = sum(len(record.values["note"]) for record in sets.rows("notes", "real"))
        assert sets.delete_batch(batch.batch_id) == 40_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read > 80_000_000
    assert peak < 40_000_000
