"""Artifacts in the database, in files and behind links, on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import text

from storage.artifacts import Artifacts
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError, SealError


def test_a_blob_comes_back_byte_for_byte_and_each_put_is_a_version(database: Database) -> None:
    artifacts = Artifacts(database)
    first = artifacts.put_blob("plot", bytes(range(256)), media_type="image/png")
    second = artifacts.put_blob("plot", b"", media_type="image/png")
    assert (first.version, second.version) == (1, 2)
    assert artifacts.read("plot", version=1) == bytes(range(256))
    assert artifacts.read("plot") == b""
    assert artifacts.find("plot", version=1) == first
    assert (first.storage, first.location, first.size_bytes) == ("blob", None, 256)


def test_a_file_stays_where_it_is_and_a_changed_one_is_not_handed_out(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    artifacts = Artifacts(database)
    put = artifacts.put_file("weights", path, media_type="application/octet-stream")
    assert (put.storage, put.location) == ("file", str(path))
    assert artifacts.read("weights") == b"weights"
    path.write_bytes(b"weightz")
    with pytest.raises(SealError, match="weights.bin was changed"):
        artifacts.read("weights")
    path.unlink()
    with pytest.raises(NotFoundError, match="weights.bin"):
        artifacts.read("weights")


def test_a_blob_that_was_tampered_with_is_not_handed_out(database: Database) -> None:
    artifacts = Artifacts(database)
    artifacts.put_blob("model", b"genuine", media_type="application/octet-stream")
    with database.write() as connection:
        connection.execute(text("UPDATE artifacts SET sha256 = :sha"), {"sha": "0" * 64})
    with pytest.raises(SealError, match="model"):
        artifacts.read("model")


def test_a_link_is_recorded_with_the_hash_it_must_have(database: Database) -> None:
    artifacts = Artifacts(database)
    put = artifacts.put_link(
        "model",
        "https://registry.example/model/3",
        sha256="c" * 64,
        size_bytes=5,
        media_type="application/octet-stream",
    )
    assert (put.storage, put.location) == ("link", "https://registry.example/model/3")
    with pytest.raises(NotFoundError, match="registry.example"):
        artifacts.read("model")
    with pytest.raises(InvalidRecordError, match="SHA-256"):
        artifacts.put_link("model", "x", sha256="C" * 64, size_bytes=5, media_type="x")


def test_what_is_missing_is_named(database: Database, tmp_path: Path) -> None:
    artifacts = Artifacts(database)
    with pytest.raises(NotFoundError, match="'nothing'"):
        artifacts.find("nothing")
    with pytest.raises(NotFoundError, match="'nothing version 3'"):
        artifacts.read("nothing", version=3)
    with pytest.raises(NotFoundError, match="gone.bin"):
        artifacts.put_file("x", tmp_path / "gone.bin", media_type="x")
    with pytest.raises(InvalidRecordError, match="name"):
        artifacts.put_blob(" ", b"", media_type="x")
