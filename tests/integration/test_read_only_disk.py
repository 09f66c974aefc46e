"""A home on a disk that can't be written: what can be read is read, and nothing is overlooked.

Real disks: mounting them takes the rights of root.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from support.corpora import place, writing
from support.pipelines import word_pipeline

from storage import schema
from storage.engine import Database
from storage.errors import StorageError
from storage.lease import is_held, writer_lease
from storage.mounts import _is_frozen_mount, is_frozen, is_read_only

TEXTS = text("SELECT text FROM documents ORDER BY document_id")


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    root: Path

    def freeze(self) -> None:
        mount("-o", "remount,ro", self.root)

    def thaw(self) -> None:
        mount("-o", "remount,rw", self.root)

    @contextmanager
    def read_only_elsewhere(self, at: Path) -> Iterator[Path]:
        """The same folder a second time, where it can't be written."""
        at.mkdir()
        mount("--bind", self.root, at)
        try:
            mount("-o", "remount,bind,ro", at)
            yield at
        finally:
            subprocess.run(["umount", "--lazy", at], check=True)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    root = tmp_path / "disk #1 ä%41"
    root.mkdir()
    try:
        mount("-t", "tmpfs", "none", root)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this account may not mount a disk")
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)


def stored_at(path: Path, *texts: str) -> Database:
    """An open database with these documents."""
    database = Database.in_file(path)
    schema.prepare(database)
    with writing(database) as writer:
        writer.commit([place(said, said) for said in texts])
    return database


def texts_in(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(TEXTS).scalars())


def test_a_home_is_searched_and_examined_but_takes_no_question_and_no_document(disk: Disk) -> None:
    home, bees = disk.root / "kb", disk.root / "bees.txt"
    bees.write_text("Bees dance to tell where the flowers are.")
    with word_pipeline(home) as rag:
        rag.ingest(bees)
        found = rag.search("dance of bees").hits
        rag.ask("Where do bees dance?")
    disk.freeze()
    with word_pipeline(home) as rag:
        assert rag.search("dance of bees").hits == found
        assert [prompt.question for prompt in rag.history.list()] == ["Where do bees dance?"]
        assert rag.doctor().differences == ()
        with pytest.raises(StorageError, match=r"the disk is read-only; copy its folder"):
            rag.ask("Where do bees dance?")
        with pytest.raises(StorageError, match="Read-only"):
            rag.ingest(bees)


def test_indexes_that_cant_be_sealed_are_made_anew_with_one_warning(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    home, bees = disk.root / "kb", disk.root / "bees.txt"
    bees.write_text("Bees dance.")
    with word_pipeline(home) as rag:
        rag.ingest(bees)
    shutil.rmtree(home / "indexes", ignore_errors=True)
    disk.freeze()
    for _ in range(2):
        with word_pipeline(home) as rag:
            assert len(rag.search("bees").hits) == 1
    assert len(caplog.messages) == 1
    assert "read-only" in caplog.messages[0]


def test_what_only_the_log_holds_is_not_overlooked(disk: Disk) -> None:
    """A machine that lost power left a log behind, and its disk is mounted for reading."""
    killed = disk.root / "killed"
    killed.mkdir()
    database = stored_at(disk.root / "rag.db", "In the log.")
    for file in disk.root.glob("rag.db*"):
        shutil.copy(file, killed)
    assert (killed / "rag.db-wal").stat().st_size
    database.close()
    disk.freeze()
    left = Database.in_file(killed / "rag.db")
    assert texts_in(left) == ["In the log."]
    left.close()
    disk.thaw()
    (killed / "rag.db-shm").unlink()
    disk.freeze()
    left = Database.in_file(killed / "rag.db")
    with pytest.raises(StorageError, match="was not closed, or may be written elsewhere; copy"):
        texts_in(left)
    left.close()


def test_a_folder_that_is_read_only_here_and_written_elsewhere_is_never_stale(
    disk: Disk, tmp_path: Path
) -> None:
    here = stored_at(disk.root / "rag.db", "One.")
    with disk.read_only_elsewhere(tmp_path / "volume") as volume:
        assert is_read_only(volume)
        assert not is_frozen(volume)
        there = Database.in_file(volume / "rag.db")
        assert texts_in(there) == ["One."]
        with writing(here) as writer:
            assert is_held(there)
            writer.commit([place("2", "Two.")])
        assert not is_held(there)
        assert texts_in(there) == ["One.", "Two."]
        there.close()
        here.close()
        with pytest.raises(StorageError, match="may be written elsewhere"):
            texts_in(there)
        there.close()


def test_a_disk_that_is_made_writable_again_is_read_anew(disk: Disk) -> None:
    stored_at(disk.root / "rag.db", "One.").close()
    disk.freeze()
    reader = Database.in_file(disk.root / "rag.db")
    assert texts_in(reader) == ["One."]
    assert not is_held(reader)
    with pytest.raises(StorageError, match="Read-only"), writer_lease(reader):
        pass
    disk.thaw()
    other = stored_at(disk.root / "rag.db", "Two.")
    assert texts_in(reader) == ["One.", "Two."]
    with writing(reader) as writer:
        writer.commit([place("3", "Three.")])
    assert texts_in(other) == ["One.", "Two.", "Three."]
    other.close()
    reader.close()


def test_a_link_into_a_read_only_disk_is_followed(disk: Disk, tmp_path: Path) -> None:
    stored_at(disk.root / "rag.db", "One.").close()
    disk.freeze()
    link = tmp_path / "linked.db"
    link.symlink_to(disk.root / "rag.db")
    linked = Database.in_file(link)
    assert texts_in(linked) == ["One."]
    linked.close()


def test_a_read_only_disk_without_a_database_is_named(disk: Disk) -> None:
    disk.freeze()
    with pytest.raises(StorageError, match="the database is not there"):
        texts_in(Database.in_file(disk.root / "rag.db"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_that_only_this_account_may_not_write_is_not_taken_for_frozen() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = stored_at(folder / "rag.db", "One.")
        assert not is_read_only(folder)
        stranger = Database.in_file(folder / "rag.db")
        os.seteuid(65534)
        try:
            assert texts_in(stranger) == ["One."]  # beside a writer whose log is there
            stranger.close()
            os.seteuid(0)
            database.close()
            os.seteuid(65534)
            with pytest.raises(StorageError, match="give your account the right to"):
                texts_in(stranger)
            assert not is_held(stranger)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("line", "frozen"),
    [
        ("36 35 8:1 / /mnt ro,noatime master:1 - ext4 /dev/sda1 ro,errors=continue", True),
        ("36 35 0:9 / /mnt ro - tmpfs  ro", True),
        ("36 35 8:1 / /mnt ro,noatime - ext4 /dev/sda1 rw", False),
        ("36 35 0:40 / /mnt ro - nfs4 server:/ro ro,vers=4.2", False),
        ("36 35 0:41 / /mnt ro - overlay overlay rw,lowerdir=/ro", False),
    ],
)
def test_only_a_disk_of_this_machine_mounted_read_only_as_a_whole_is_frozen(
    line: str, frozen: bool
) -> None:
    assert _is_frozen_mount(line) is frozen


def test_a_folder_that_is_not_there_is_not_frozen(tmp_path: Path) -> None:
    assert not is_frozen(tmp_path / "missing")
