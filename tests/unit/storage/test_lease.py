"""One writer at a time, across processes, whatever becomes of the one before."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from support.corpora import place, writing

from storage import schema
from storage.engine import Database
from storage.errors import LeaseBusyError, LeaseLostError
from storage.lease import is_held, writer_lease

_HOLD = """
import sys, time
from storage.engine import Database
from storage.lease import writer_lease
with writer_lease(Database(sys.argv[1]), wait=False) as fence:
    print(fence, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(database_url: str, database: Database):
    """Another process that has the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, database_url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_told_at_once_that_the_corpus_is_busy(
    database: Database, holder: subprocess.Popen
) -> None:
    with pytest.raises(LeaseBusyError, match="another process") as raised:
        with writer_lease(database, wait=False):
            pytest.fail("two writers have the lease")
    assert raised.value.retryable


def test_a_writer_that_is_killed_frees_the_lease_for_one_that_waits(
    database: Database, holder: subprocess.Popen
) -> None:
    fences: list[int] = []

    def wait() -> None:
        with writer_lease(database) as fence:
            fences.append(fence)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.3)
    assert fences == []
    holder.kill()
    waiting.join(30)
    assert fences == [2]


def test_a_busy_lease_keeps_nobody_from_reading(
    database: Database, holder: subprocess.Popen
) -> None:
    with database.read() as connection:
        assert connection.execute(text("SELECT fence FROM corpus_state")).scalar_one() == 1


def test_a_writer_that_raises_gives_the_lease_back(database: Database) -> None:
    with pytest.raises(KeyError), writer_lease(database):
        raise KeyError
    with writer_lease(database, wait=False) as fence:
        assert fence == 2


def test_two_threads_of_one_process_never_have_it_at_once(database: Database) -> None:
    with writer_lease(database):
        refused: list[type[Exception]] = []

        def attempt() -> None:
            try:
                with writer_lease(database, wait=False):
                    pass
            except LeaseBusyError as error:
                refused.append(type(error))

        other = threading.Thread(target=attempt)
        other.start()
        other.join(30)
        assert refused == [LeaseBusyError]


def test_a_writer_that_lost_its_lock_unawares_cant_commit_over_the_next(database: Database) -> None:
    other = Database(database.engine.url.render_as_string(hide_password=False))
    with writing(database) as late:
        _break_lock(other)
        following = threading.Thread(target=_write, args=(other,))
        following.start()
        following.join(30)
        with pytest.raises(LeaseLostError, match="another writer took over"):
            late.commit([place("late", "Too late.")])
    with database.read() as connection:
        texts = connection.execute(text("SELECT text FROM documents")).scalars().all()
    assert texts == ["The next writer's text."]
    other.close()


def _write(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("new", "The next writer's text.")])


def _break_lock(database: Database) -> None:
    """Take the lock from whoever has it: what an administrator may do, or a failing network."""
    if database.sqlite_path:
        Path(f"{database.sqlite_path}.writer-lock").unlink()
        return
    terminate = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with database.write() as connection:
        connection.execute(terminate)


def test_a_link_to_the_database_leads_to_the_same_lease(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'rag.db'}")
    schema.prepare(database)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rag.db").symlink_to(tmp_path / "rag.db")
    linked = Database(f"sqlite:///{tmp_path / 'home' / 'rag.db'}")
    with writer_lease(database), pytest.raises(LeaseBusyError):
        with writer_lease(linked, wait=False):
            pytest.fail("two writers have the lease")
    database.close()
    linked.close()


def test_a_lease_is_free_the_moment_its_holder_is_done(database: Database) -> None:
    other = Database(database.engine.url.render_as_string(hide_password=False))
    for turn in range(1, 60, 2):
        for taker, expected in ((database, turn), (other, turn + 1)):
            with writer_lease(taker, wait=False) as fence:
                assert fence == expected
    other.close()


def test_whether_a_writer_is_at_work_is_known_to_others_and_to_itself(
    database: Database, holder: subprocess.Popen
) -> None:
    assert is_held(database)
    holder.kill()
    holder.wait()
    with writer_lease(database):
        assert is_held(database)
    assert not is_held(database)


def test_asking_for_a_writer_leaves_nothing_behind(database: Database) -> None:
    assert not is_held(database)
    if database.sqlite_path:
        assert not Path(f"{database.sqlite_path}.writer-lock").exists()


def test_a_writer_of_another_database_on_the_same_server_is_not_meant(
    database: Database, tmp_path: Path
) -> None:
    name = str(tmp_path / "other.db") if database.is_sqlite else "postgres"
    other = Database(database.engine.url.set(database=name))
    with writer_lease(database):
        assert not is_held(other)
    other.close()


def test_who_asks_keeps_no_writer_out(database: Database) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(database)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(20):
            with writer_lease(database, wait=False):
                pass
    finally:
        done.set()
        for thread in asking:
            thread.join(30)
