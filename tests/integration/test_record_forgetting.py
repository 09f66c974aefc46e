"""One person's records are taken out of a set: whole, provably, and with a word on who learnt."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.breaking_off import BrokenOffError, broken_off_until_done
from support.people import LOOSE, QUICK, write_people
from support.pipelines import parts_of, word_pipeline
from support.record_sets import SCHEMA, drawing_model, drawn, filled, people, png

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.fitting_report import FitWanted
from rag_pipeline.synthetic.record_loading import LoadWanted
from rag_pipeline.synthetic.sampling_report import SampleWanted
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.workplace import alone
from storage import consistency
from storage.engine import Database
from storage.erasing.ledger import Ledger
from storage.errors import (
    ErasureError,
    FilterError,
    InvalidRecordError,
    NotFoundError,
    StorageError,
)
from storage.record_sets.sets import RecordSets
from storage.records import Principal
from storage.versions.registry import Versions

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOTE = "Ermengarde Plinth of Quorvania was seen by Dr Wug in March"
NOTED = [
    {"name": "id", "kind": "category", "is_key": True},
    {"name": "note", "kind": "text"},
    {"name": "trade", "kind": "category"},
]

FIT = FitWanted(name="people", settings=QUICK)


def gone(sets: RecordSets, name: str, where: str) -> int:
    found = sets.matching(name, where, salt="s")
    return sets.take_out(name, found.marks, salt="s").records


def ids(sets: RecordSets, origin: Any = "real") -> list[str]:
    return [record.values["id"] for record in sets.rows("people", origin)]


def test_what_stays_is_as_it_was_on_its_side_of_the_split_under_all_guards(
    database: Database, tmp_path: Path
) -> None:
    sets = filled(database, 40)
    sets.add_real("people", people(5, prefix="q"), source="more.csv", user="bob")
    model = drawing_model(database, tmp_path)
    sets.add_synthetic("people", people(3, prefix="s"), **drawn(model))
    before = {one.values["id"]: (one.values, one.split) for one in sets.rows("people", "both")}
    first, second, third = sets.batches("people")

    assert gone(sets, "people", "id in ('p3', 'p39')") == 2

    after = {one.values["id"]: (one.values, one.split) for one in sets.rows("people", "both")}
    assert after == {name: said for name, said in before.items() if name not in ("p3", "p39")}
    kept, drawn_there, anew = sets.batches("people")
    assert (kept, drawn_there) == (second, third)
    assert anew.batch_id > third.batch_id
    for field in ("source", "created_by", "created_at", "code_version", "origin"):
        assert getattr(anew, field) == getattr(first, field)
    assert (anew.records, anew.dataset, sets.get("people").real) == (38, "people@3", 43)
    assert [one.position for one in sets.rows("people", "real", batch_id=anew.batch_id)] == [
        *range(38)
    ]
    assert consistency.database_differences(database, 0) == []
    with pytest.raises(NotFoundError):
        sets.batch(first.batch_id)
    for statement in ("UPDATE records SET content = '[]'", "UPDATE record_batches SET records = 1"):
        with pytest.raises(StorageError, match="never changed"), database.write() as connection:
            connection.execute(text(statement))
    with pytest.raises(InvalidRecordError, match="same key"):
        sets.add_real("people", people(1), source="again.csv")
    assert sets.add_real("people", [*people(4)][3:], source="p3 himself").records == 1


CONDITIONS = {
    "id = 'p3'": 1,
    "age between 22 and 24": 3,
    "age > 55 or pay < 0.5": 6,
    "since >= '2020-01-27' and since < '2020-01-29'": 2,
    "since = '2020-01-05'": 2,
    "member = true and town like 'U%'": 6,
    "member is null": 6,
    "not (member = true)": 23,
    "town is null": 13,
    "town != 'Ulm'": 26,
    "town in ('Bonn', 'Köln')": 13,
    "pay = 9.75": 1,
}


def test_a_condition_means_the_same_on_both_databases(database: Database) -> None:
    sets = filled(database, 40)
    assert {where: sets.matching("people", where).records for where in CONDITIONS} == CONDITIONS
    assert gone(sets, "people", "age > 55 or pay < 0.5") == 6
    assert [one.values["id"] for one in sets.rows("people", "real")] == [
        f"p{n}" for n in range(2, 36)
    ]


UNCLEAR: dict[str, tuple[type[Exception], str]] = {
    "wage = 3": (FilterError, "no column wage"),
    "age = '3'": (FilterError, "age holds numbers"),
    "id = 3": (FilterError, "in quotes"),
    "member > true": (FilterError, "true or false"),
    "since = 'soon'": (FilterError, "since holds times"),
    "age >> 3": (FilterError, "at character"),
    "": (FilterError, "empty"),
    "id = 'nobody'": (NotFoundError, "no real record"),
    "age > 0": (InvalidRecordError, "rag synth delete people"),
}


def test_what_says_nothing_clear_takes_nothing_out(database: Database) -> None:
    sets = filled(database, 20)
    for where, (error, said) in UNCLEAR.items():
        with pytest.raises(error, match=".") as raised:
            sets.matching("people", where)
        assert said in str(raised.value)
    assert len(ids(sets)) == 20


def test_columns_with_strange_names_and_values_are_asked_for(database: Database) -> None:
    sets = RecordSets(database)
    schema = [{"name": name, "kind": "category"} for name in ("a.b", "the 'name'", "not")]
    rows = [{"a.b": one, "the 'name'": f'"{one}"', "not": "%_"} for one in ("x\n", "y", "ß")]
    sets.create_with("odd", rows, source="x", schema=schema)
    assert sets.matching("odd", "`the 'name'` = '\"ß\"'").records == 1
    assert sets.matching("odd", "a.b = 'x\n'").records == 1
    assert sets.matching("odd", "a.b != 'y'").records == 2
    with pytest.raises(InvalidRecordError):
        sets.matching("odd", r"`not` like '\%\_'")


def test_a_batch_that_is_all_of_theirs_goes_and_images_with_the_last_that_shows_them(
    database: Database,
) -> None:
    sets = RecordSets(database)
    schema = [{"name": "who", "kind": "category"}, {"name": "image", "kind": "image"}]
    rows = [{"who": who, "image": png(at)} for at, who in enumerate("aab")]
    sets.create_with("faces", rows, source="x", schema=schema)
    sets.add_real("faces", [{"who": "b", "image": png(0)}], source="y")
    sets.add_real("faces", [{"who": "a", "image": png(9)}], source="z")
    assert gone(sets, "faces", "who = 'a'") == 3
    assert [batch.source for batch in sets.batches("faces")] == ["y", "x"]
    shown = [record.values["image"] for record in sets.rows("faces", "real")]
    assert shown == [png(0), png(2)]
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM record_images")).scalar_one() == 2
    assert consistency.database_differences(database, 0) == []
    with pytest.raises(FilterError, match="images"):
        sets.matching("faces", "image is not null")


def test_what_is_left_of_a_load_and_is_another_load_is_there_once(database: Database) -> None:
    sets = RecordSets(database)
    schema = [{"name": "who", "kind": "category"}]
    sets.create_with("names", [{"who": who} for who in "abc"], source="all", schema=schema)
    sets.add_real("names", [{"who": who} for who in "ac"], source="without b")
    sets.add_real("names", [{"who": who} for who in "abbc"], source="b twice")
    found = sets.matching("names", "who = 'b'", salt="s")
    taken = sets.take_out("names", found.marks, salt="s")
    assert (taken.records, taken.repeated) == (3, 4)
    (left,) = sets.batches("names")
    assert (left.source, left.records) == ("without b", 2)
    assert sets.add_real("names", [{"who": who} for who in "ac"], source="again").was_there


def test_a_plan_finds_its_records_in_whatever_batch_they_are_by_then(database: Database) -> None:
    sets = filled(database, 20)
    first = sets.matching("people", "id = 'p3'", salt="a")
    second = sets.matching("people", "id = 'p5'", salt="b")
    assert sets.take_out("people", second.marks, salt="b").records == 1
    assert sets.take_out("people", first.marks, salt="a").records == 1
    assert sets.take_out("people", first.marks, salt="a").records == 0
    assert not {"p3", "p5"} & {*ids(sets)}


def test_a_set_that_is_read_meanwhile_is_no_mixture(database: Database) -> None:
    sets = filled(database, 3_000)
    rows = sets.rows("people", "real")
    next(rows)
    gone(sets, "people", "id = 'p2'")
    with pytest.raises(NotFoundError, match="read anew"):
        list(rows)


@SQLITE
@pytest.mark.slow
def test_memory_does_not_grow_with_what_stays(database: Database) -> None:
    import tracemalloc

    sets = filled(database, 6_000)
    found = sets.matching("people", "id = 'p7'", salt="s")
    tracemalloc.start()
    sets.take_out("people", found.marks, salt="s")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(ids(sets)) == 5_999
    assert peak < 6 << 20


def test_versions_that_held_them_say_so_also_of_what_went_before(
    database: Database, tmp_path: Path
) -> None:
    sets, versions = filled(database, 20), Versions(database)
    sets.add_real("people", people(2, prefix="q"), source="more")
    assert sets.matching("people", "id = 'q1'").datasets == ("people@2",)
    gone(sets, "people", "id = 'p3'")
    assert {*sets.matching("people", "id = 'p5'").datasets} == {"people@3", "people@2", "people@1"}
    assert {*sets.matching("people", "id = 'q1'").datasets} == {"people@3", "people@2"}
    gone(sets, "people", "id = 'p5'")
    erased = [versions.dataset(f"people@{n}").metadata.get("erased") for n in (1, 2, 3, 4)]
    assert erased == [2, 2, 1, None]
    # Another set of that name that is loaded like it is another matter.
    sets.create_with("others", people(20), source="x", schema=SCHEMA)
    assert sets.matching("others", "id = 'p7'").datasets == ("others@1",)


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    """With people of whom one has a note that stands nowhere else."""
    with word_pipeline(tmp_path / "home", database=database_url) as rag:
        rows = [
            {"id": f"p{n}", "note": f"nothing to say of {n * 7919}", "trade": "clerk"}
            for n in range(30)
        ]
        rows[7]["note"] = NOTE
        parts_of(rag).record_sets.create_with("people", rows, source="people.csv", schema=NOTED)
        yield rag


def registered(rag: RagPipeline, folder: Path) -> int:
    """A model that learnt the people, and three records that it drew."""
    parts = parts_of(rag)
    model = drawing_model(parts.database, folder)
    rows = [{"id": f"s{n}", "note": "drawn", "trade": "smith"} for n in range(3)]
    parts.record_sets.add_synthetic("people", rows, **drawn(model))
    return model


def test_it_is_proved_and_the_certificate_does_not_hold_it(
    rag: RagPipeline, tmp_path: Path
) -> None:
    registered(rag, tmp_path)
    found = rag.forget.preview_records("people", "id = 'p7'")
    assert found.as_json() == {
        "records": 1,
        "batches": [1],
        "datasets": ["people@1"],
        "models": ["people@1"],
        "drawn_batches": [2],
    }
    done = rag.forget.records("people", "id = 'p7'")
    said = done.certificate
    assert (said["kind"], said["counts"]["records"]["records"]) == ("record", 1)
    assert said["scan"]["needles"] > 10
    assert said["scan"]["findings"] == {}
    assert said["models_trained_on_it"] == ["people@1"]
    assert said["batches_drawn_by_them"] == [2]
    assert "models_deleted" not in said
    written = json.dumps(said)
    assert done.path is not None
    for secret in ("p7", "Plinth", "Quorvania"):
        assert secret not in written.replace(said["sha256"], "").replace(said["salt"], "").replace(
            said["subject_sha256"], ""
        )
    database = parts_of(rag).database
    if database.sqlite_path is not None:
        assert b"Quorvania" not in database.sqlite_path.read_bytes()
    assert len([*rag.synthetic.rows("people", "synthetic")]) == 3
    assert rag.models.show("people@1").state == "kept"
    assert rag.doctor().differences == ()
    with pytest.raises(NotFoundError, match="no real record"):
        rag.forget.records("people", "id = 'p7'")
    assert len(rag.forget.erasures()) == 1


def test_what_learnt_them_goes_too_if_wanted(rag: RagPipeline, tmp_path: Path) -> None:
    registered(rag, tmp_path)
    model = rag.models.show("people@1")
    folder = parts_of(rag).versions.folders.of(model)
    said = rag.forget.records("people", "id = 'p7'", with_models=True).certificate
    assert said["models_deleted"] == ["people@1"]
    assert said["counts"]["models"] == {"models": 1, "batches": 1, "records_drawn": 3}
    assert "models_trained_on_it" not in said
    assert rag.models.show("people@1").state == "retired"
    assert not folder.exists()
    assert [batch.origin for batch in rag.synthetic.batches("people")] == ["real"]
    # What is discarded has no weights that could know of anybody.
    assert rag.forget.preview_records("people", "id = 'p8'").models == ()


def test_a_version_that_learnt_those_who_are_left_stays(rag: RagPipeline, tmp_path: Path) -> None:
    sets = parts_of(rag).record_sets
    registered(rag, tmp_path)
    sets.add_real("people", [{"id": "later", "note": "came later", "trade": "clerk"}], source="l")
    said = rag.forget.records("people", "id = 'later'", with_models=True).certificate
    assert "models_deleted" not in said
    assert rag.models.show("people@1").state == "kept"


def test_nobody_but_an_owner_forgets(rag: RagPipeline) -> None:
    forgetting = replace(rag.forget, principal=Principal(name="guest"))
    for call in (forgetting.records, forgetting.preview_records):
        with pytest.raises(ErasureError, match="only an owner"):
            call("people", "id = 'p7'")
    with pytest.raises(NotFoundError, match="nobody"):
        rag.forget.records("nobody", "id = 'p7'")


def test_broken_off_at_any_statement_it_is_completed(rag: RagPipeline, tmp_path: Path) -> None:
    registered(rag, tmp_path)

    def work() -> None:
        if rag.forget.erasures():
            rag.forget.resume()
        else:
            rag.forget.records("people", "id = 'p7'", with_models=True)

    broken = broken_off_until_done(work, range(30, 5_000, 17))
    (erasure,) = rag.forget.erasures()
    assert broken > 3
    assert erasure.certificate is not None
    assert erasure.certificate["counts"]["records"]["records"] == 1
    assert erasure.certificate["scan"]["findings"] == {}
    assert rag.doctor().differences == ()
    assert rag.synthetic.get("people").real == 29


@SQLITE
def test_what_is_unfinished_is_said_and_completed_by_the_next(rag: RagPipeline) -> None:
    def stop(step: str) -> None:
        if step == "records":
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        replace(rag.forget, watch=stop).records("people", "id = 'p7'")
    assert rag.synthetic.get("people").real == 30
    assert "a record was broken off" in rag.doctor().differences[0]
    (plan,) = (one.plan for one in rag.forget.erasures())
    assert "p7" not in json.dumps({**plan, "marks": [], "needles": {}})
    rag.forget.records("people", "id = 'p9'")
    assert rag.synthetic.get("people").real == 28
    assert all(one.certificate for one in rag.forget.erasures())


@SQLITE
@pytest.mark.parametrize("meanwhile", ["deleted", "made anew", "loaded again"])
def test_what_becomes_of_the_set_meanwhile_stands_in_no_way(
    rag: RagPipeline, meanwhile: str
) -> None:
    sets = parts_of(rag).record_sets

    def stop(step: str) -> None:
        if step == "records":
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        replace(rag.forget, watch=stop).records("people", "id = 'p7'")
    rows = [{"id": f"x{n}", "note": NOTE, "trade": "clerk"} for n in range(2)]
    if meanwhile == "loaded again":
        sets.add_real("people", rows, source="again.csv")
    else:
        sets.delete("people")
        if meanwhile == "made anew":
            rows = [{"id": f"p{n}", "note": NOTE, "trade": "clerk"} for n in (7, 8)]
            sets.create_with("people", rows, source="x", schema=NOTED)
    if meanwhile == "loaded again":
        # What somebody else wrote says the same: it is not ours to remove, and is named.
        with pytest.raises(ErasureError, match=r"records\.content"):
            rag.forget.resume()
        (again,) = (one for one in sets.batches("people") if one.source == "again.csv")
        sets.delete_batch(again.batch_id)
    elif meanwhile == "made anew":
        with pytest.raises(ErasureError, match=r"records\.content"):
            rag.forget.resume()
        sets.delete("people")
    (done,) = rag.forget.resume()
    assert done.certificate["scan"]["findings"] == {}
    out_of_reach = done.certificate["not_reached"]
    assert len(out_of_reach) == len({*out_of_reach})


@pytest.fixture
def fitted(tmp_path: Path) -> Iterator[RagPipeline]:
    with RagPipeline.open(tmp_path / "home", generator="echo") as rag:
        rag.synthetic.load(LoadWanted(name="people", path=write_people(tmp_path / "people.csv")))
        rag.synthetic.fit(FIT)
        yield rag


def test_what_learnt_somebody_who_is_forgotten_draws_no_more(
    fitted: RagPipeline, tmp_path: Path
) -> None:
    draw = SampleWanted(name="people", count=100, thresholds=LOOSE, dry_run=True)
    more = write_people(tmp_path / "more.csv", 300, seed=1)
    more.write_text(more.read_text().replace("\np", "\nq"))
    fitted.synthetic.load(LoadWanted(name="people", path=more))
    fitted.synthetic.sample(draw)
    second = fitted.synthetic.fit(FIT).model
    learnt, held_out = (_of_split(fitted, split) for split in ("train", "holdout"))
    fitted.forget.records("people", f"id = '{learnt}'")
    # The first version never learnt them.
    fitted.synthetic.sample(replace(draw, model="people@1"))
    with pytest.raises(SyntheticError, match="has not any more"):
        fitted.synthetic.sample(replace(draw, model=second.reference))
    third = fitted.synthetic.fit(FIT).model
    assert third.datasets == (("trained_on", "people@3"),)
    assert fitted.synthetic.sample(replace(draw, dry_run=False)).stored == 100

    # Who was held out was learnt by nobody: the same comes of what is left.
    fitted.forget.records("people", f"id = '{held_out}'")
    with pytest.raises(SyntheticError, match="has not any more"):
        fitted.synthetic.sample(replace(draw, model=third.reference))
    again = fitted.synthetic.fit(FIT).model
    assert again.datasets == (("trained_on", "people@4"), ("trained_on", "people@3"))
    assert again.reference == third.reference
    assert fitted.synthetic.sample(replace(draw, dry_run=False)).stored == 100
    assert [batch.learnt_from for batch in fitted.synthetic.batches("people")[1:]] == [
        "people@3",
        None,
        "people@4",
    ]
    other = _of_split(fitted, "train")
    found = fitted.forget.preview_records("people", f"id = '{other}'")
    assert {*found.models} == {"people@2", "people@3"}


def _of_split(rag: RagPipeline, split: str) -> str:
    """Somebody of the second file."""
    rows = rag.synthetic.rows("people", "real")
    names = [row.values["id"] for row in rows if row.split == split]
    return str(next(name for name in names if name.startswith("q")))


def test_a_fit_after_a_batch_was_deleted_says_what_it_learnt(
    fitted: RagPipeline, tmp_path: Path
) -> None:
    more = write_people(tmp_path / "more.csv", 600, seed=1)
    more.write_text(more.read_text().replace("\np", "\nq"))
    fitted.synthetic.load(LoadWanted(name="people", path=more))
    fitted.synthetic.delete_batch("people", 1)
    model = fitted.synthetic.fit(FIT).model
    ((_, dataset),) = model.datasets
    assert fitted.datasets.show(dataset).manifest["records"] == 600
    assert fitted.synthetic.sample(
        SampleWanted(name="people", count=100, thresholds=LOOSE, model=model.reference)
    ).stored


def test_what_a_broken_off_fit_has_learnt_goes_too_and_one_under_way_is_waited_for(
    fitted: RagPipeline,
) -> None:
    home = fitted.settings.home
    with alone(home, "people") as folder:
        (folder / "synthetic.safetensors").write_bytes(b"half-learnt weights")
        with pytest.raises(TrainingError, match="another program is training"):
            fitted.forget.records("people", "id = 'p5'")
    assert fitted.synthetic.get("people").real == 700
    (done,) = fitted.forget.resume()
    assert done.certificate["counts"]["fits"] == {"checkpoints": 1}
    assert not (folder / "synthetic.safetensors").exists()
    assert fitted.synthetic.get("people").real == 699


def test_a_pruning_that_was_killed_as_it_was_noted_is_closed(rag: RagPipeline) -> None:
    Ledger(parts_of(rag).database).begin("prune", "", requested_by="owner", plan={})
    (done,) = rag.forget.resume()
    assert done.certificate["kind"] == "prune"
    assert rag.doctor().differences == ()


def test_those_who_forget_at_once_take_turns_and_each_is_certified(rag: RagPipeline) -> None:
    wanted = [f"id = 'p{n}'" for n in range(4)]
    with ThreadPoolExecutor(len(wanted)) as apart:
        done = [*apart.map(lambda where: rag.forget.records("people", where), wanted)]
    assert len({one.certificate["erasure_id"] for one in done}) == len(wanted)
    assert all(one.certificate["counts"]["records"]["records"] == 1 for one in done)
    assert rag.synthetic.get("people").real == 26
    assert rag.doctor().differences == ()
