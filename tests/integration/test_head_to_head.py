"""What other libraries get wrong, measured: the same cases, in the same order, on ours."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.errors import EmbeddingError
from rag_pipeline.defaults import Mode
from rag_pipeline.pipeline import RagPipeline
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, GenerationRow, SourceRow
from storage.records import LOCAL_OWNER

INGESTING = Path(__file__).parent.parent / "faults" / "ingesting.py"
MODES: tuple[Mode, ...] = ("vector", "keyword", "hybrid")
INDEX_FILES = ("1.vectors", "1.keywords")


def reopened(tmp_path: Path, database_url: str) -> RagPipeline:
    """What another process would see: nothing is kept in memory."""
    return word_pipeline(tmp_path / "kb", database=database_url)


def write_lines(path: Path, count: int) -> Path:
    lines = ({"_id": f"d{n}", "text": f"Record {n} is about key{n}x."} for n in range(count))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def found(rag: RagPipeline, query: str, mode: Mode) -> list[str]:
    hits = rag.search(query, limit=1000, mode=mode).hits
    return sorted(ref.external_id for hit in hits for ref in hit.chunk.sources)


def rows(rag: RagPipeline) -> list[int]:
    """How many rows each table of the corpus has, dead ones too."""
    tables = (DocumentRow, ChunkRow, SourceRow, ChangeRow, GenerationRow)
    with parts_of(rag).database.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        ]


def assert_healthy(rag: RagPipeline) -> None:
    diagnosis = rag.doctor()
    assert diagnosis.differences == ()
    assert diagnosis.chunks == diagnosis.vectors == diagnosis.keywords


def test_1_three_hundred_unchanged_chunks_of_one_source_are_neither_embedded_nor_written_again(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    words = " ".join(f"Sentence {n} {'tells of a thing ' * 5}{n}." for n in range(300))
    (docs / "long.txt").write_text(words)
    write_lines(docs / "lines.jsonl", 300)
    first = rag.ingest(docs)
    assert first.chunks_added >= 600
    before = rows(rag)
    embedder.embedded.clear()
    for prune in (False, True):
        again = rag.ingest(docs, prune=prune)
        assert (again.embedded, again.generation) == (0, first.generation)
    assert embedder.embedded == []
    assert rows(rag) == before


@pytest.mark.parametrize("saved", INDEX_FILES)
def test_2_a_save_that_stops_between_its_two_files_costs_nothing(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str, saved: str
) -> None:
    indexes = tmp_path / "kb" / "indexes"
    write_lines(docs / "lines.jsonl", 10)
    rag.ingest(docs)
    assert_healthy(rag)
    old = {name: (indexes / name).read_bytes() for name in INDEX_FILES}
    write_lines(docs / "lines.jsonl", 20)
    rag.ingest(docs)
    collection = parts_of(rag).reader.collection("default", principal=LOCAL_OWNER)
    for follower in parts_of(rag).followers(collection):
        follower.rebuild()
    (other,) = {*INDEX_FILES} - {saved}
    assert (indexes / saved).read_bytes() != old[saved]
    (indexes / other).write_bytes(old[other])
    (indexes / f".{other}.tmp").write_bytes(old[other][:100])
    with reopened(tmp_path, database_url) as again:
        for mode in MODES:
            assert len(found(again, "record", mode)) == 20
        assert_healthy(again)


def test_3_an_embedder_that_fails_in_an_update_leaves_the_old_version_and_the_next_run_repairs(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str, embedder: WordEmbedder
) -> None:
    path = docs / "a.txt"
    path.write_text("The walrus swims.")
    rag.ingest(docs)
    path.write_text("The penguin walks.")
    embedder.fails = True
    for _ in range(2):
        with pytest.raises(EmbeddingError):
            rag.ingest(docs, prune=True)
        with reopened(tmp_path, database_url) as reader:
            for mode in MODES:
                assert found(reader, "walrus swims", mode) == ["a.txt"]
    embedder.fails = False
    path.write_text("The walrus swims.")
    assert rag.ingest(docs).documents.unchanged == 1
    path.write_text("The penguin walks.")
    assert rag.ingest(docs).documents.changed == 1
    assert found(rag, "penguin", "keyword") == ["a.txt"]
    assert found(rag, "walrus", "keyword") == []
    assert_healthy(rag)


def test_4_a_deleted_document_is_found_by_nobody_and_cited_by_no_answer_also_after_reopening(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    (docs / "secret.txt").write_text("The lighthouse of Ravenport is forty metres high.")
    (docs / "other.txt").write_text("Rye bread is baked from sourdough for two hours.")
    rag.ingest(docs)
    question = "How high is the lighthouse of Ravenport?"
    assert rag.ask(question).citations
    with reopened(tmp_path, database_url) as reader:
        assert found(reader, "lighthouse", "keyword") == ["secret.txt"]
        (docs / "secret.txt").unlink()
        rag.ingest(docs, prune=True)
        with reopened(tmp_path, database_url) as later:
            for each in (rag, reader, later):
                for mode in MODES:
                    assert "secret.txt" not in found(each, question, mode)
                answer = each.ask(question)
                assert (answer.state, answer.citations) == ("no_evidence", ())
                assert "forty" not in answer.text
                assert_healthy(each)


def test_5_the_same_text_with_another_modification_time_makes_no_second_copy(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    path = docs / "a.txt"
    path.write_text("The walrus swims.")
    rag.ingest(docs)
    before = rows(rag)
    for seconds in (0, 2_000_000_000, 1_000_000_000):
        os.utime(path, (seconds, seconds))
        assert rag.ingest(docs).documents.unchanged == 1
    assert rows(rag) == before
    assert len(embedder.embedded) == 1
    assert found(rag, "walrus", "hybrid") == ["a.txt"]


def test_6_the_same_bytes_from_two_sources_are_embedded_once_and_name_both(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    for name in ("a.txt", "b.txt"):
        (docs / name).write_text("The walrus swims.")
        rag.ingest(docs)
    assert embedder.embedded == ["The walrus swims."]
    for mode in MODES:
        assert found(rag, "walrus", mode) == ["a.txt", "b.txt"]
        assert len(rag.search("walrus", mode=mode).hits) == 1
    (docs / "a.txt").unlink()
    embedder.embedded.clear()
    rag.ingest(docs, prune=True)
    assert embedder.embedded == []
    assert found(rag, "walrus", "keyword") == ["b.txt"]
    assert_healthy(rag)


def test_7_killed_half_way_and_ingested_again_nothing_is_missing(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    source = write_lines(docs / "lines.jsonl", 300)
    given = (str(tmp_path / "kb"), database_url, "20", "0", str(source))
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, str(INGESTING), *given],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = len(found(rag, "record", "keyword"))
    assert 100 <= kept < 300
    again = rag.ingest(docs).documents
    assert (again.unchanged, again.new) == (kept, 300 - kept)
    with reopened(tmp_path, database_url) as reader:
        for mode in MODES:
            assert found(reader, "record", mode) == sorted(f"d{n}" for n in range(300))
        assert_healthy(reader)


@pytest.mark.parametrize("name", INDEX_FILES)
def test_8_an_index_file_with_a_flipped_bit_is_noticed_and_the_answers_stay_the_same(
    rag: RagPipeline,
    docs: Path,
    tmp_path: Path,
    database_url: str,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_lines(docs / "lines.jsonl", 40)
    rag.ingest(docs)
    right = [rag.search("record key7x", limit=50, mode=mode).hits for mode in MODES]
    rng = random.Random(8)
    for number in range(10):
        # Its manifest and its segment in turn; they are made anew each time.
        path = sorted((tmp_path / "kb" / "indexes").glob(f"{name}*"))[number % 2]
        damaged = bytearray(path.read_bytes())
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        caplog.clear()
        with reopened(tmp_path, database_url) as reader, caplog.at_level(logging.WARNING):
            assert [reader.search("record key7x", limit=50, mode=m).hits for m in MODES] == right
        assert [record.message for record in caplog.records if name in record.message]
