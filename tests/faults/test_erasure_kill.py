"""Kill -9 in the middle of an erasure: run again, it completes, and nothing is left."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from support.breaking_off import BrokenOffError, broken_off_until_done
from support.pipelines import word_pipeline

from rag_pipeline.pipeline import RagPipeline
from storage.errors import StorageError

PROGRAM = Path(__file__).parent / "erasing.py"
SECRET = "The zyxmarker lighthouse of Quorvania was built by Ermengarde Plinth in 1881."
OTHER = "A ferry leaves at noon for the islands."


def run(what: str, folder: Path, *options: str) -> str:
    tests = PROGRAM.parent.parent
    path = os.pathsep.join([str(tests.parent), str(tests), str(PROGRAM.parent)])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), what, str(folder), *options],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "home", database=database_url) as pipeline:
        records = [{"_id": "secret-memo", "text": SECRET}, {"_id": "ferry", "text": OTHER}]
        pipeline.ingest_records(records, source="shelf")
        pipeline.ask("Who built the lighthouse?", user="margaret.h", extractive=True)
        yield pipeline


@pytest.mark.parametrize("kind", ["document", pytest.param("user", marks=pytest.mark.slow)])
def test_broken_off_again_and_again_at_any_statement_it_is_completed(
    rag: RagPipeline, kind: str
) -> None:
    def work() -> None:
        if rag.forget.erasures():
            rag.forget.resume()
        elif kind == "document":
            rag.forget.document("secret-memo")
        else:
            rag.forget.user("margaret.h")

    broken = broken_off_until_done(work, range(9, 5_000, 13))
    (erasure,) = rag.forget.erasures()
    assert broken > 5
    assert erasure.certificate is not None
    assert erasure.certificate["scan"]["findings"] == {}
    assert rag.doctor().differences == ()
    assert [hit.chunk.text for hit in rag.search("ferry noon", limit=1).hits] == [OTHER]


def test_the_next_erasure_completes_the_one_before(tmp_path: Path) -> None:
    def stop(step: str) -> None:
        if step == "corpus":
            raise BrokenOffError

    with word_pipeline(tmp_path / "home") as rag:
        rag.ingest_records([{"_id": "secret-memo", "text": SECRET}], source="shelf")
        rag.ask("Who built the lighthouse?", user="margaret.h", extractive=True)
        with pytest.raises(BrokenOffError):
            replace(rag.forget, watch=stop).document("secret-memo")
        assert len(rag.doctor().differences) == 1
        rag.forget.user("margaret.h")
        assert all(one.certificate for one in rag.forget.erasures())
        assert rag.doctor().differences == ()


def test_an_erasure_killed_at_some_statements_and_files_leaves_nothing(tmp_path: Path) -> None:
    said = run("again", tmp_path, "--step", "200")
    assert int(said.split()[1]) > 1


@pytest.mark.slow
def test_an_erasure_killed_at_every_few_statements_and_files_leaves_nothing(tmp_path: Path) -> None:
    said = run("sweep", tmp_path, "--step", "5")
    assert int(said.split()[2]) > 40


@pytest.mark.slow
def test_an_erasure_on_either_database_outlives_many_kills(
    tmp_path: Path, database_url: str
) -> None:
    said = run("again", tmp_path, "--step", "3", "--database", database_url)
    assert int(said.split()[1]) > 40


@pytest.mark.slow
def test_a_full_disk_in_the_middle_leaves_it_to_be_completed(tmp_path: Path) -> None:
    run("starve", tmp_path)


def test_a_read_only_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "home") as rag:
        rag.ingest_records([{"_id": "secret-memo", "text": SECRET}], source="shelf")

        def query_only(connection: object, _record: object, _proxy: object = None) -> None:
            connection.execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]

        event.listen(rag.parts.database.engine, "checkout", query_only)
        with pytest.raises(StorageError, match="can't be written"):
            rag.forget.document("secret-memo")
        event.remove(rag.parts.database.engine, "checkout", query_only)
