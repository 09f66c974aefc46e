"""A remembered digest is never the wrong one, and forgetting costs only time."""

import hashlib
import os
from pathlib import Path

import pytest

from rag_pipeline.weights.digests import DigestCache, combined, sha256_of


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.json")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    return path


def test_a_digest_is_read_once_while_the_file_stays_as_it_is(
    cache: DigestCache, file: Path
) -> None:
    before = cache.digest(file)
    status = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    # The content was swapped behind its back: only a remembered digest can still be the old one.
    assert cache.digest(file) == before == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize(("content", "shift_ns"), [(b"longer", 0), (b"two", 1)])
def test_another_size_or_another_time_makes_it_read_again(
    cache: DigestCache, file: Path, content: bytes, shift_ns: int
) -> None:
    cache.digest(file)
    status = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + shift_ns))
    assert cache.digest(file) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}', '{"a": [1]}', "null", "\udc80"])
def test_a_damaged_cache_is_said_and_computed_anew(
    cache: DigestCache, file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.path.parent.mkdir()
    cache.path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert cache.digest(file) == sha256_of(file)
    assert str(cache.path) in caplog.text
    assert DigestCache(cache.path).digest(file) == sha256_of(file)


def test_a_cache_that_cannot_be_written_is_said_and_fails_nothing(
    tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    assert DigestCache(tmp_path / "occupied" / "digests.json").digest(file) == sha256_of(file)
    assert "can't be kept" in caplog.text


def test_the_digest_of_one_file_is_its_own_and_of_several_depends_on_names_not_on_order() -> None:
    assert combined({"a": "11"}) == "11"
    assert combined({"a": "11", "b": "22"}) == combined({"b": "22", "a": "11"})
    assert combined({"a": "11", "b": "22"}) != combined({"a": "22", "b": "11"})
    assert combined({"a": "11", "b": "22"}) == hashlib.sha256(b"11  a\n22  b\n").hexdigest()
