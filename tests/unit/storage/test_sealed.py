import hashlib
import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from storage import sealed as sealed_files
from storage.errors import SealError
from storage.records import Position
from storage.sealed import seal, sole_writer, unseal

POSITION = Position(7, "ab")
ARRAYS = {
    "ids": np.array([3, 5, 8], np.int64),
    "weights": np.array([[0.5, 1.5], [2.5, -3.5]], np.float32),
    "nothing": np.empty((0, 4), np.int32),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.sealed"


@pytest.fixture(params=["copied", "mapped"])
def way(request, monkeypatch):
    """Files as small as these are copied; here they are also mapped, as large ones are."""
    if request.param == "mapped":
        monkeypatch.setattr(sealed_files, "_MAPPED_FROM", 0)
    return request.param


def seal_it(path, arrays=ARRAYS, **changed):
    given = {"kind": "test", "position": POSITION, "count": 3, "meta": {"dimension": 2}, **changed}
    with sole_writer(path):
        return seal(path, arrays=arrays, **given)


def refuses(path):
    with pytest.raises(SealError, match="rebuild it") as caught:
        unseal(path, kind="test")
    return str(caught.value)


def test_what_was_sealed_comes_back(path, way):
    digest = seal_it(path)
    sealed = unseal(path, kind="test")
    assert sealed.sha256 == digest
    assert (sealed.position, sealed.count, sealed.meta) == (POSITION, 3, {"dimension": 2})
    assert list(sealed.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert sealed.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(sealed.arrays[name], array)


def test_a_file_of_no_arrays_is_a_file(path):
    seal_it(path, {})
    assert unseal(path, kind="test").arrays == {}


def test_every_flipped_byte_is_noticed(path, way):
    seal_it(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for flip in (0x01, 0x20, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            refuses(path)


def test_every_truncation_is_noticed(path, way):
    seal_it(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refuses(path)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 64, b"x" * 1000])
def test_an_extension_is_noticed(path, way, tail):
    seal_it(path)
    path.write_bytes(path.read_bytes() + tail)
    assert "damaged" in refuses(path)


def test_two_halves_of_different_files_are_noticed(path):
    seal_it(path)
    one = path.read_bytes()
    seal_it(path, {**ARRAYS, "ids": np.array([3, 5, 9], np.int64)})
    other = path.read_bytes()
    path.write_bytes(one[: len(one) // 2] + other[len(one) // 2 :])
    assert "damaged" in refuses(path)


def test_another_kind_is_refused_by_name(path):
    seal_it(path, kind="other")
    assert "'other'" in refuses(path)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None], ids=["folder", "missing"])
def test_what_is_no_file_is_refused(path, way, make):
    make(path)
    assert "can't be read" in refuses(path)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"kind":"test","version":1}',
        b'{"kind":"test","version":1,"position":{},"count":0,"arrays":[],"meta":{}}',
    ],
)
def test_a_header_of_another_making_is_refused_even_under_a_right_hash(path, header):
    rest = len(header).to_bytes(8, "little") + header
    path.write_bytes(b"RAGSEAL\n" + hashlib.sha256(rest).digest() + rest)
    refuses(path)


@pytest.mark.parametrize(
    "array", [["a", "|O", [1], 0], ["a", "<i8", [9], 0], ["a", "<i8", [1], 512], ["a", "x", [1], 0]]
)
def test_arrays_that_lie_about_themselves_are_refused_even_under_a_right_hash(path, array):
    about = {"kind": "test", "version": 1, "position": {"generation": 1, "token": ""}}
    header = json.dumps({**about, "count": 0, "arrays": [array], "meta": {}}).encode()
    rest = len(header).to_bytes(8, "little") + header + bytes(16)
    path.write_bytes(b"RAGSEAL\n" + hashlib.sha256(rest).digest() + rest)
    refuses(path)


@pytest.mark.parametrize("values", [["text"], [object()], [b"bytes"]])
def test_only_numbers_can_be_sealed(path, values):
    with pytest.raises(SealError, match="only numbers"):
        seal_it(path, {"values": np.array(values)})
    assert not path.exists()


def test_arrays_are_read_only_and_aligned(path, way):
    seal_it(path)
    for array in unseal(path, kind="test").arrays.values():
        assert not array.flags.writeable
        assert array.ctypes.data % 64 == 0 or array.size == 0


def test_big_endian_and_strided_arrays_come_back_equal(path):
    table = np.arange(24, dtype=">i4").reshape(4, 6)
    seal_it(path, {"table": table[::2, ::3]})
    np.testing.assert_array_equal(unseal(path, kind="test").arrays["table"], [[0, 3], [12, 15]])


def test_damage_done_in_place_does_not_reach_who_has_a_small_file_open(path):
    seal_it(path)
    sealed = unseal(path, kind="test")
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
        file.truncate(10)
    np.testing.assert_array_equal(sealed.arrays["ids"], [3, 5, 8])


def test_a_file_that_is_replaced_or_removed_stays_as_it_was_for_who_has_it_open(path, way):
    seal_it(path)
    sealed = unseal(path, kind="test")
    seal_it(path, {**ARRAYS, "ids": np.array([4, 5, 6], np.int64)})
    path.unlink()
    np.testing.assert_array_equal(sealed.arrays["ids"], [3, 5, 8])


def resident_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_a_large_file_takes_no_memory_until_it_is_looked_at(path):
    seal_it(path, {"all": np.zeros(8 << 20)})
    before = resident_kilobytes()
    sealed = unseal(path, kind="test")
    assert resident_kilobytes() - before < 8 << 10
    assert not sealed.arrays["all"][::4096].any()


def test_a_seal_that_fails_leaves_the_old_file_and_no_draft(path, monkeypatch):
    seal_it(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            seal_it(path, count=4)
    assert unseal(path, kind="test").count == 3
    assert not list(path.parent.glob("*.tmp"))


def die_in_seal(path):
    def die(descriptor):
        os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = die
    seal_it(path, count=4)


def test_what_a_killed_writer_left_is_gone_after_the_next_seal(path):
    seal_it(path)
    writer = multiprocessing.get_context("fork").Process(target=die_in_seal, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert list(path.parent.glob("*.tmp"))
    assert unseal(path, kind="test").count == 3
    seal_it(path, count=5)
    assert unseal(path, kind="test").count == 5
    assert not list(path.parent.glob("*.tmp"))


def seal_often(path, count):
    for _ in range(10):
        seal_it(path, {"all": np.full(1000, count)}, count=count)


def test_writers_and_readers_in_other_processes_meet_whole_files_only(path):
    seal_it(path, {"all": np.zeros(1000, np.int64)}, count=0)
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=seal_often, args=(path, count)) for count in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        sealed = unseal(path, kind="test")
        assert (sealed.arrays["all"] == sealed.count).all()
    assert [writer.exitcode for writer in writers] == [0, 0]
