"""Registered models: whole or not at all, once each, and one of a name active at any moment."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import text
from support.versions import damage, write_model

from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError, SealError, StorageError
from storage.versions.files import new_folder
from storage.versions.registry import Versions
from storage.versions.values import ModelVersion

THREADS = 6
PICKLE = b"\x80\x04}\x94\x8c\x07weights\x94]\x94G?\xf0\x00\x00\x00\x00\x00\x00as."
FOREIGN = (
    "pytorch_model.bin",
    "model.pt",
    "model.safetensors",
    "model.gguf",
    "config.json",
    "vocab.txt",
    "spiece.model",
    "modeling.py",
    "weights",
)
NO_NAMES = ("", "a/b", "../a", ".", "a\nb", "a@1", "version:a", "ä", "x" * 101, "a b", "\x00")
NO_REFERENCES = ("m@0", "m@x", "m@", "m@-1", "m@1@2", "m@" + "9" * 40)


@pytest.fixture
def versions(database: Database, tmp_path: Path) -> Versions:
    return Versions(database, tmp_path / "home")


@pytest.fixture
def three(versions: Versions, tmp_path: Path) -> list[ModelVersion]:
    return [
        versions.add_model("m", kind="embedder", folder=write_model(tmp_path / str(n), str(n)))
        for n in (1, 2, 3)
    ]


def active_number(versions: Versions) -> int | None:
    found = versions.active("m")
    return None if found is None else found.version


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_was_registered_is_found_with_all_that_was_said_of_it(
    versions: Versions, tmp_path: Path
) -> None:
    trained = versions.add_dataset("d", kind="triples", manifest={"n": 2}, sha256="a" * 64)
    tested = versions.add_dataset("t", kind="triples", manifest={}, sha256="b" * 64)
    base = versions.add_model("m", kind="embedder", folder=write_model(tmp_path / "base", "base"))
    versions.activate("m", 1)
    added = versions.add_model(
        "m",
        kind="embedder",
        folder=write_model(tmp_path / "tuned"),
        base="version:m",
        dataset=trained,
        evaluated_on=tested,
        parameters={"rate": 2e-5},
        metrics={"ndcg": {"before": 0.5, "after": 0.6}},
        seed=7,
    )
    assert added == versions.model("m@2") == versions.model("version:m@2")
    assert added.base == base.reference == "version:m@1"
    assert added.datasets == (("trained_on", "d@1"), ("evaluated_on", "t@1"))
    assert (added.parameters, added.seed) == ({"rate": 2e-5}, 7)
    assert added.metrics == {"ndcg": {"before": 0.5, "after": 0.6}}
    assert added.state == "kept"
    assert sorted(added.files) == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    assert added.weights_sha256 == added.files["model.safetensors"].sha256


@pytest.mark.parametrize("keep", ["file", "blob"])
def test_the_files_come_back_byte_for_byte_wherever_they_are_kept(
    versions: Versions, database: Database, tmp_path: Path, keep: str
) -> None:
    source = write_model(tmp_path / "source")
    (source / "vocab.txt").write_bytes(b"")
    added = versions.add_model("m", kind="embedder", folder=source, keep=keep)  # type: ignore[arg-type]
    elsewhere = Versions(database, tmp_path / "elsewhere")
    where = versions if keep == "file" else elsewhere
    folder = where.folders.checked(added)
    assert files_below(folder) == files_below(source)
    for name in files_below(source):
        assert (folder / name).read_bytes() == (source / name).read_bytes()
    if keep == "file":
        with pytest.raises(SealError, match="is not there"):
            elsewhere.folders.checked(added)


def test_the_same_files_are_one_version_and_others_are_the_next(
    versions: Versions, three: list[ModelVersion], tmp_path: Path
) -> None:
    again = versions.add_model("m", kind="embedder", folder=write_model(tmp_path / "again", "2"))
    assert again == three[1]
    assert [model.version for model in versions.models()] == [3, 2, 1]
    assert files_below(tmp_path / "home" / "models")[0] == "m/1/1_Pooling/config.json"
    other = versions.add_model("n", kind="generator", folder=tmp_path / "again")
    assert (other.version, other.sha256) == (1, again.sha256)
    with pytest.raises(InvalidRecordError, match="'m' names versions of a embedder"):
        versions.add_model("m", kind="generator", folder=write_model(tmp_path / "g", "g"))


def test_a_pickle_is_refused_under_whatever_name(versions: Versions, tmp_path: Path) -> None:
    for number, name in enumerate(FOREIGN):
        source = write_model(tmp_path / str(number))
        (source / name).write_bytes(PICKLE)
        with pytest.raises(InvalidRecordError, match="convert it or take it out"):
            versions.add_model("m", kind="embedder", folder=source)
    assert versions.models() == []
    assert files_below(tmp_path / "home") == []


def test_a_symbolic_link_is_copied_as_the_file_it_leads_to_and_refused_if_it_leads_nowhere(
    versions: Versions, tmp_path: Path
) -> None:
    # As in the cache of a model hub.
    source = write_model(tmp_path / "source")
    (tmp_path / "blob").write_text("words")
    (source / "vocab.txt").symlink_to(tmp_path / "blob")
    added = versions.add_model("m", kind="embedder", folder=source)
    kept = versions.folders.checked(added) / "vocab.txt"
    assert (kept.read_text(), kept.is_symlink()) == ("words", False)
    (tmp_path / "blob").unlink()
    with pytest.raises(InvalidRecordError, match="is no file"):
        versions.add_model("m", kind="embedder", folder=source)


def test_a_name_that_could_be_a_path_or_no_reference_is_refused(
    versions: Versions, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "m")
    for name in NO_NAMES:
        with pytest.raises(InvalidRecordError, match="can't name versions"):
            versions.add_model(name, kind="embedder", folder=source)
        with pytest.raises(InvalidRecordError, match="can't name versions"):
            versions.add_dataset(name, kind="triples", manifest={}, sha256="a" * 64)
    for reference in NO_REFERENCES:
        with pytest.raises(InvalidRecordError, match="names no version"):
            versions.model(reference)


def test_what_is_unknown_is_said_to_be(versions: Versions, three: list[ModelVersion]) -> None:
    for unknown in ("n", "n@1", "m@4"):
        with pytest.raises(NotFoundError, match="rag models versions"):
            versions.model(unknown)
    with pytest.raises(NotFoundError, match="no version of 'm' is active"):
        versions.model("m")
    with pytest.raises(NotFoundError, match="rag datasets list"):
        versions.dataset("d")
    with pytest.raises(NotFoundError, match="there is no model at"):
        versions.add_model("m", kind="embedder", folder=Path("/nonexistent"))


def test_weights_of_another_hash_than_was_said_are_not_registered(
    versions: Versions, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "source")
    with pytest.raises(InvalidRecordError, match="fetch them again"):
        versions.add_model("m", kind="embedder", folder=source, sha256="0" * 64)
    added = versions.add_model("m", kind="embedder", folder=source)
    assert added == versions.add_model(
        "m", kind="embedder", folder=source, sha256=added.weights_sha256
    )


@pytest.mark.parametrize(
    "given",
    [
        {"metrics": {"loss": float("nan")}},
        {"metrics": {"loss": float("inf")}},
        {"parameters": {"a": {1, 2}}},
        {"parameters": {"a": "nul \x00"}},
        {"parameters": {"half": "\ud800"}},
        {"base": "\x00"},
        {"link": "http://x/\x00"},
        {"seed": 2**63},
    ],
    ids=str,
)
def test_what_no_database_keeps_is_refused_in_words(
    versions: Versions, tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRecordError, match="can't be stored|out of range|NUL"):
        versions.add_model("m", kind="embedder", folder=write_model(tmp_path / "m"), **given)
    assert versions.models() == []


def test_a_rollback_goes_back_step_by_step_and_never_in_a_circle(
    versions: Versions, three: list[ModelVersion]
) -> None:
    for number in (1, 2, 1, 3):
        versions.activate("m", number)
    assert [versions.rollback("m").version for _ in range(3)] == [1, 2, 1]
    with pytest.raises(NotFoundError, match="active before"):
        versions.rollback("m")
    assert active_number(versions) == 1
    versions.activate("m", 3, reason="again", user="ana")
    assert versions.rollback("m", reason="worse", user="bo").version == 1
    newest, before = versions.activations("m")[:2]
    assert (newest.action, newest.version, newest.user, newest.reason) == (
        "rollback",
        1,
        "bo",
        "worse",
    )
    assert (before.action, before.version, before.user, before.reason) == (
        "activate",
        3,
        "ana",
        "again",
    )


def test_to_activate_what_is_active_leaves_the_way_back_as_it_was(
    versions: Versions, three: list[ModelVersion]
) -> None:
    for number in (1, 2, 2, 2):
        versions.activate("m", number)
    assert versions.rollback("m").version == 1


def test_a_retired_version_is_never_active_again_and_is_passed_over(
    versions: Versions, three: list[ModelVersion]
) -> None:
    for number in (1, 2, 3):
        versions.activate("m", number)
    assert versions.retire("m", 2).state == "retired"
    assert versions.rollback("m").version == 1
    with pytest.raises(InvalidRecordError, match="retired"):
        versions.activate("m", 2)
    versions.activate("m", 3)
    versions.retire("m", 3)
    assert active_number(versions) is None
    assert versions.rollback("m").version == 1


def test_a_damaged_version_is_not_activated_and_the_old_one_stays(
    versions: Versions, three: list[ModelVersion]
) -> None:
    versions.activate("m", 1)
    damage(versions.folders.of(three[1]) / "model.safetensors")
    (versions.folders.of(three[2]) / "config.json").unlink()
    with pytest.raises(SealError, match=r"model\.safetensors is damaged"):
        versions.activate("m", 2)
    with pytest.raises(SealError, match=r"config\.json is missing"):
        versions.activate("m", 3)
    assert active_number(versions) == 1


def test_a_version_that_was_damaged_since_is_not_rolled_back_to(
    versions: Versions, three: list[ModelVersion]
) -> None:
    versions.activate("m", 1)
    versions.activate("m", 2)
    damage(versions.folders.of(three[0]) / "config.json")
    with pytest.raises(SealError):
        versions.rollback("m")
    assert active_number(versions) == 2


def test_a_file_that_was_slipped_in_makes_a_version_damaged(
    versions: Versions, three: list[ModelVersion]
) -> None:
    (versions.folders.of(three[0]) / "pytorch_model.bin").write_bytes(PICKLE)
    with pytest.raises(SealError, match=r"pytorch_model\.bin is not one of the model's"):
        versions.activate("m", 1)


def test_a_blob_that_is_damaged_on_disk_is_written_anew_and_in_the_database_refused(
    versions: Versions, database: Database, tmp_path: Path
) -> None:
    added = versions.add_model(
        "m", kind="embedder", folder=write_model(tmp_path / "m"), keep="blob"
    )
    folder = versions.folders.checked(added)
    damage(folder / "model.safetensors")
    assert versions.folders.checked(added) == folder
    with database.write() as connection:
        connection.execute(text("UPDATE blob_pieces SET content = :c"), {"c": b"other"})
    assert versions.folders.checked(added) == folder
    damage(folder / "model.safetensors")
    with pytest.raises(SealError, match="in the database are missing or were changed"):
        versions.activate("m", 1)
    assert active_number(versions) is None


def test_blobs_that_two_versions_share_are_stored_once(
    versions: Versions, database: Database, tmp_path: Path
) -> None:
    for content in ("one", "two"):
        versions.add_model(
            "m", kind="embedder", folder=write_model(tmp_path / content, content), keep="blob"
        )
    with database.read() as connection:
        stored = connection.execute(text("SELECT count(DISTINCT sha256) FROM blob_pieces"))
        assert stored.scalar_one() == 4


def test_when_the_disk_is_full_nothing_is_registered(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    source = write_model(tmp_path / "m")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="no space is left for a model"):
            versions.add_model("m", kind="embedder", folder=source)
    assert versions.models() == []
    assert files_below(tmp_path / "home") == []
    assert versions.add_model("m", kind="embedder", folder=source).version == 1


def test_when_the_database_is_full_nothing_is_registered(tmp_path: Path) -> None:
    from storage import schema

    database = Database.in_file(tmp_path / "small.db")
    schema.prepare(database)
    versions = Versions(database, tmp_path / "home")
    source = write_model(tmp_path / "m")
    (source / "notes.md").write_text("word " * 400_000)
    with database.engine.connect() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {used + 100}")
    with pytest.raises(StorageError, match="no space is left"):
        versions.add_model("m", kind="embedder", folder=source, keep="blob")
    assert versions.models() == []
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM blob_pieces")).scalar_one() == 0
    database.close()


def test_what_a_registration_that_was_killed_left_makes_room(
    versions: Versions, tmp_path: Path
) -> None:
    left = tmp_path / "home" / "models" / "m" / "1"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    added = versions.add_model("m", kind="embedder", folder=write_model(tmp_path / "m"))
    assert versions.activate("m", 1).sha256 == added.sha256


def test_what_was_left_half_copied_is_cleared_away_once_nobody_can_be_at_it(
    versions: Versions, tmp_path: Path
) -> None:
    models = tmp_path / "home" / "models"
    for name, age_s in ((".partial-old", 100_000), (".partial-new", 100)):
        (models / name).mkdir(parents=True)
        os.utime(models / name, (time.time() - age_s,) * 2)
    versions.add_model("m", kind="embedder", folder=write_model(tmp_path / "m"))
    assert sorted(path.name for path in models.iterdir()) == [".partial-new", "m"]


@pytest.fixture
def many(database_url: str, tmp_path: Path) -> Iterator[list[Versions]]:
    """The same registry, opened by as many programs."""
    databases = [Database(database_url) for _ in range(THREADS)]
    yield [Versions(database, tmp_path / "home") for database in databases]
    for database in databases:
        database.close()


def test_folders_that_others_finish_with_are_nobody_else_s_trouble(tmp_path: Path) -> None:
    def make_and_leave(_: int) -> None:
        for _ in range(200):
            with new_folder(tmp_path):
                pass

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(make_and_leave, range(THREADS)))
    assert not any(tmp_path.iterdir())


def test_registrations_at_once_get_a_number_each_and_the_same_files_one(
    many: list[Versions], tmp_path: Path
) -> None:
    barrier = Barrier(THREADS)

    def register(n: int) -> int:
        barrier.wait()
        # Two by two the same.
        folder = write_model(tmp_path / f"m{n}", str(n // 2))
        return many[n].add_model("m", kind="embedder", folder=folder).version

    with ThreadPoolExecutor(THREADS) as pool:
        numbers = list(pool.map(register, range(THREADS)))
    assert sorted(numbers) == [1, 1, 2, 2, 3, 3]
    assert [model.version for model in many[0].models()] == [3, 2, 1]
    for model in many[0].models():
        many[0].folders.checked(model)


def test_activations_at_once_leave_one_active_at_every_moment(
    many: list[Versions], three: list[ModelVersion]
) -> None:
    many[0].activate("m", 1)
    done, counts = Event(), []

    def activate(n: int) -> None:
        for turn in range(8):
            if turn % 4 == 3:
                try:
                    many[n].rollback("m")
                except (NotFoundError, InvalidRecordError):
                    continue
            else:
                many[n].activate("m", 1 + (n + turn) % 3)

    def watch() -> None:
        while not done.is_set():
            counts.append([model.state for model in many[-1].models()].count("active"))

    with ThreadPoolExecutor(THREADS) as pool:
        watching = pool.submit(watch)
        list(pool.map(activate, range(THREADS - 1)))
        done.set()
        watching.result()
    assert set(counts) == {1}
    log = many[0].activations("m")
    assert log[0].version == active_number(many[0])
    assert all(one.version != before.version for one, before in pairwise(log))


def test_the_database_itself_refuses_a_second_active_version(
    versions: Versions, database: Database, three: list[ModelVersion]
) -> None:
    versions.activate("m", 1)
    with pytest.raises(StorageError), database.write() as connection:
        connection.execute(text("UPDATE model_versions SET state = 'active' WHERE version = 2"))
