"""What an index keeps on disk: a manifest, and a file for each segment, written once."""

import errno
import itertools
import logging
import multiprocessing
import os
import signal
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entries import ids

from storage import sealed as sealed_files
from storage.errors import SealError
from storage.records import BEGINNING, Position
from storage.segment_files import SegmentFiles
from storage.segments import Part, SegmentStore

NOTHING = ids()


@dataclass(frozen=True)
class Rows:
    ids: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class RowsFormat:
    kind: str = "rows"
    meta: ClassVar = {"form": 1}

    def merge(self, parts):
        keys = np.concatenate([part.live_ids() for part in parts])
        values = np.concatenate([part.segment.values[part.live] for part in parts])
        order = np.argsort(keys)
        return Rows(keys[order], values[order])

    def arrays(self, segment):
        return {"ids": segment.ids, "values": segment.values}

    def segment(self, arrays):
        return Rows(arrays["ids"], arrays["values"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "1.rows"


def opened(path, **options):
    return SegmentStore(path, RowsFormat(), **{"publish_after": 0, **options})


def put(store, keys, *, value=0, removed=NOTHING, generation=1):
    added = Rows(ids(*keys), np.full(len(keys), value, np.int64))
    store.apply(removed=removed, added=added, position=Position(generation, f"{generation}"))


def contents(store):
    return {
        key: value
        for part in store.state.parts
        for key, value in zip(
            part.live_ids().tolist(), part.segment.values[part.live].tolist(), strict=True
        )
    }


def segments_of(path):
    return set(path.parent.glob(f"1.rows.{'[0-9a-f]' * 16}"))


def stamps(files):
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def filled(path):
    """Two segments on disk, dead rows in the larger."""
    put(store := opened(path), range(100), value=1)
    put(store, range(100, 110), value=2, removed=ids(3, 4), generation=2)
    store.publish()
    assert len(segments_of(path)) == 2
    return store


def test_what_was_published_is_there_when_it_is_opened_again(path):
    store = filled(path)
    again = opened(path)
    assert again.state.position == Position(2, "2")
    assert contents(again) == contents(store)
    assert contents(again).keys() == {*range(3), *range(5, 110)}


def test_an_index_of_nothing_is_published_too(path):
    put(store := opened(path), [], generation=7)
    store.publish()
    assert opened(path).state.position == Position(7, "7")


def test_publishing_a_change_leaves_the_files_of_other_segments_untouched(path):
    put(store := opened(path), range(10_000))
    store.publish()
    (large,) = segments_of(path)
    before = stamps([large])
    put(store, range(10_000, 10_020), removed=ids(5, 6), generation=2)
    store.publish()
    assert stamps([large]) == before
    (new,) = segments_of(path) - {large}
    assert new.stat().st_size + path.stat().st_size < large.stat().st_size / 20
    assert contents(opened(path)) == contents(store)


def test_a_change_that_only_removes_writes_no_segment(path):
    put(store := opened(path), range(100))
    store.publish()
    before = stamps(segments_of(path))
    put(store, [], removed=ids(1, 2, 3), generation=2)
    store.publish()
    assert stamps(segments_of(path)) == before
    assert contents(opened(path)).keys() == {0, *range(4, 100)}


def test_files_that_no_segment_is_in_any_more_are_removed(path):
    store = opened(path)
    for generation in range(1, 60):
        put(store, range(10 * generation, 10 * generation + 10), generation=generation)
        store.publish()
        assert len(segments_of(path)) == len(store.state.parts) <= 8
    assert contents(opened(path)) == contents(store)


def test_files_of_others_are_left_alone(path):
    token = "0123456789abcdef"
    names = ["11.rows", "1.rows.note", f"11.rows.{token}", f"1.rows.{token}.bak", f"1_rows.{token}"]
    for name in names:
        (path.parent / name).write_text("mine")
    filled(path).publish()
    assert all((path.parent / name).read_text() == "mine" for name in names)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


HARMS = {
    "flip": flip,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("not an index at all"),
    "delete": lambda file: file.unlink(),
    "folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("mapped", [False, True], ids=["copied", "mapped"])
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "one segment", "another"])
def test_damage_of_any_file_is_noticed_reported_and_mended(
    path, caplog, monkeypatch, mapped, harm, which
):
    if mapped:
        monkeypatch.setattr(sealed_files, "_MAPPED_FROM", 0)
    filled(path)
    harmed = [path, *sorted(segments_of(path))][which]
    HARMS[harm](harmed)
    again = opened(path)
    assert (again.state.position, contents(again)) == (BEGINNING, {})
    if harmed.exists() or which:
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert harmed.name in caplog.text
    if harmed.is_dir():
        harmed.rmdir()
    put(again, range(20), value=5, generation=3)
    again.publish()
    assert contents(opened(path)) == dict.fromkeys(range(20), 5)
    assert len(segments_of(path)) == 1


def test_a_segment_in_the_place_of_another_is_noticed(path, caplog):
    filled(path)
    one, other = sorted(segments_of(path))
    one.write_bytes(other.read_bytes())
    assert contents(opened(path)) == {}
    assert "not the file that its index lists" in caplog.text


def test_a_segment_in_the_place_of_the_manifest_is_noticed(path, caplog):
    filled(path)
    path.write_bytes(min(segments_of(path)).read_bytes())
    assert contents(opened(path)) == {}
    assert "holds ('rows', 1)" in caplog.text


def test_an_old_manifest_over_new_segments_counts_as_empty(path):
    put(store := opened(path), range(10))
    store.publish()
    old = path.read_bytes()
    put(store, range(10, 20), generation=2)
    store.publish()
    path.write_bytes(old)
    assert opened(path).state.position == BEGINNING


def test_files_made_with_other_settings_are_not_used(path, caplog, monkeypatch):
    filled(path)
    monkeypatch.setattr(RowsFormat, "meta", {"form": 2})
    assert contents(opened(path)) == {}
    assert "other settings" in caplog.text


def test_a_reader_whose_segment_is_replaced_under_it_reads_what_replaced_it(path, monkeypatch):
    store, read = filled(path), SegmentFiles.read
    rounds = iter(range(3))

    def overtaken(files, listed):
        for number in itertools.islice(rounds, files is not store._files):
            gone = ids(*range(110))
            put(store, range(200, 300), value=number, removed=gone, generation=3 + number)
            store.publish()
        return read(files, listed)

    monkeypatch.setattr(SegmentFiles, "read", overtaken)
    reader = opened(path)
    assert reader.state.position == Position(5, "5")
    assert contents(reader) == contents(store)


def test_programs_that_publish_in_turn_never_leave_a_file_missing(path, caplog):
    stores = [opened(path), opened(path)]
    for generation in range(1, 30):
        store = stores[generation % 2]
        put(store, range(generation * 20, generation * 20 + 20), generation=generation)
        store.publish()
        again = opened(path)
        assert again.state.position.generation == generation
        assert contents(again) == contents(store)
        assert len(segments_of(path)) == len(store.state.parts)
    assert caplog.records == []


def test_who_has_an_index_open_goes_on_when_its_files_are_gone(path, monkeypatch):
    monkeypatch.setattr(sealed_files, "_MAPPED_FROM", 0)
    filled(path)
    reader = opened(path)
    before = contents(reader)
    put(writer := opened(path), range(1000, 2000), removed=ids(*range(110)), generation=3)
    writer.publish()
    assert contents(reader) == before
    for file in [path, *segments_of(path)]:
        file.unlink()
    assert contents(reader) == before
    put(reader, [5000], generation=3)
    reader.publish()
    assert contents(opened(path)).keys() == before.keys() | {5000}


def test_a_file_that_is_cut_short_under_who_has_it_open_is_not_read_any_more(
    path, monkeypatch, caplog
):
    monkeypatch.setattr(sealed_files, "_MAPPED_FROM", 0)
    filled(path)
    reader = opened(path)
    for file in segments_of(path):
        os.truncate(file, 100)
    assert (reader.state.position, contents(reader)) == (BEGINNING, {})
    assert "cut short" in caplog.text
    reader.reset()
    put(reader, range(30), generation=3)
    reader.publish()
    assert contents(opened(path)).keys() == {*range(30)}


def test_what_was_published_is_from_then_on_read_from_its_file(path, monkeypatch):
    monkeypatch.setattr(sealed_files, "_MAPPED_FROM", 0)
    store = filled(path)
    assert all(not part.segment.values.flags.writeable for part in store.state.parts)


def test_a_fork_and_its_origin_do_not_see_each_others_changes(path):
    store = filled(path)
    fork = store.fork()
    put(fork, [500], removed=ids(0), generation=1)
    put(store, [600], removed=ids(1), generation=3)
    assert contents(fork).keys() == {*range(1, 3), *range(5, 110), 500}
    assert contents(store).keys() == {0, 2, *range(5, 110), 600}
    assert fork.state.position == Position(1, "1")
    fork.fork().reset()
    assert contents(fork)


def test_a_fork_never_writes_a_file(path):
    store = filled(path)
    before = stamps([path, *segments_of(path)])
    fork = store.fork()
    put(fork, range(1000, 3000), generation=9)
    fork.publish()
    fork.reset()
    fork.publish()
    assert stamps([path, *segments_of(path)]) == before


def test_small_changes_wait_until_they_are_worth_a_new_file(path):
    put(store := opened(path, publish_after=10), range(1000))
    store.publish()
    for generation in range(2, 13):
        put(store, [5000 + generation], generation=generation)
        store.publish()
        assert opened(path).state.position.generation == (1 if generation < 12 else 12)


def test_a_full_disk_leaves_what_was_published_before(path, monkeypatch, caplog):
    for refused in range(6):
        store = filled(path)
        before, calls = contents(opened(path)), itertools.count()

        def full(descriptor, real=os.fsync, calls=calls, refused=refused):
            if next(calls) == refused:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        put(store, range(500, 520), generation=3)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            store.publish()
        found = contents(opened(path))
        assert found in (before, contents(store))
        assert not list(path.parent.glob(".*.tmp"))
        if found == before:
            assert "No space left" in caplog.text
        for file in [path, *segments_of(path)]:
            file.unlink()


def publish_and_die(path, call):
    """Die of SIGKILL before the call of that number that changes the disk."""
    store, calls = opened(path), itertools.count()

    def dying(real):
        def step(*arguments, **named):
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return step

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
    put(store, range(1000, 1150), value=3, removed=ids(7), generation=3)
    store.publish()


def test_a_writer_killed_anywhere_leaves_the_old_index_or_the_new_and_no_litter(path):
    fork, old, new, seen = multiprocessing.get_context("fork"), {}, {}, []
    for call in range(40):
        for file in path.parent.iterdir():
            file.unlink()
        old = contents(filled(path))
        new = {key: value for key, value in old.items() if key != 7}
        new |= dict.fromkeys(range(1000, 1150), 3)
        writer = fork.Process(target=publish_and_die, args=(path, call))
        writer.start()
        writer.join()
        found = contents(survivor := opened(path))
        assert found in (old, new)
        seen.append(found == new)
        put(survivor, [5000], value=4, generation=9)
        survivor.publish()
        assert contents(opened(path)) == {**found, 5000: 4}
        assert len(segments_of(path)) == len(survivor.state.parts)
        assert not list(path.parent.glob(".*.tmp"))
        if writer.exitcode == 0:
            break
        assert writer.exitcode == -signal.SIGKILL
    assert call >= 7
    assert seen == sorted(seen)
    assert {*seen} == {False, True}


def publish_often(path, first):
    store = opened(path)
    for number in range(15):
        start = first + 20 * number
        put(store, range(start, start + 20), value=first, generation=first + number)
        store.publish()


def test_readers_meet_whole_indexes_while_other_programs_publish(path):
    put(store := opened(path), [0])
    store.publish()
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=publish_often, args=(path, first)) for first in (1000, 2000)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        reader = opened(path)
        assert reader.state.position != BEGINNING
        assert len(contents(reader)) % 20 == 1
    assert [writer.exitcode for writer in writers] == [0, 0]


keys = st.sets(st.integers(-(2**40), 2**40) | st.integers(0, 300), min_size=1)


@given(keys, st.sets(st.integers(0, 300)), keys | st.sets(st.integers(0, 300)))
def test_the_rows_of_keys_are_where_the_keys_are(held, dead, wanted):
    sorted_keys = ids(*held)
    live = ~np.isin(sorted_keys, ids(*dead))
    part = Part(Rows(sorted_keys, sorted_keys), live, int(live.sum()))
    mask = part.rows_allowed(ids(*wanted))
    assert sorted_keys[mask].tolist() == sorted((held & wanted) - dead)
    asked = np.array(list(wanted), np.int64)
    rows, is_held = part.rows_of(asked)
    assert asked[is_held].tolist() == sorted_keys[rows].tolist()
    assert {*asked[is_held].tolist()} == (held & wanted) - dead


def test_a_few_keys_among_many_rows_are_found_without_a_table():
    every = np.arange(0, 3000, 3)
    live = np.ones(every.size, np.bool_)
    live[2] = False
    mask = Part(Rows(every, every), live, every.size - 1).rows_allowed(ids(0, 1, 6, 9, 2997, 9000))
    assert every[mask].tolist() == [0, 9, 2997]


def test_a_manifest_that_miscounts_is_refused_even_under_a_right_hash(path):
    store = filled(path)
    files = SegmentFiles(path, "rows", RowsFormat.meta)
    manifest = files.manifest()
    with files.sole_writer():
        sealed_files.seal(
            path,
            kind="rows: manifest",
            position=store.state.position,
            count=4711,
            arrays=sealed_files.unseal(path, kind="rows: manifest").arrays,
            meta=RowsFormat.meta,
        )
    assert manifest.position == Position(2, "2")
    with pytest.raises(SealError, match="more rows or fewer"):
        files.manifest()
