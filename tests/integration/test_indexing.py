"""The indexes while ingestion goes on: brought along in a long run, left alone in a short one."""

import gc
from pathlib import Path

import pytest
from support.pipelines import parts_of, word_pipeline

from rag_pipeline import indexing
from rag_pipeline.pipeline import RagPipeline
from storage.records import Committed

TEXTS = 10


def folder_of_texts(folder: Path) -> Path:
    folder.mkdir()
    for number in range(TEXTS):
        (folder / f"{number}.txt").write_text(f"Text number {number}.", "utf-8")
    return folder


def stands_at(rag: RagPipeline) -> list[int]:
    """The generation of each index that is open."""
    opened = parts_of(rag).open_followers().values()
    return [follower.index.applied.generation for both in opened for follower in both]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return folder_of_texts(tmp_path / "docs")


def test_a_long_run_brings_the_indexes_along(
    tmp_path: Path, docs: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CHUNKS_BEHIND", 4)
    seen: list[list[int]] = []

    with word_pipeline(
        tmp_path / "kb", database=database_url, batching={"max_documents": 2}
    ) as rag:
        rag.ingest(docs, on_commit=lambda _: seen.append(stands_at(rag)))
        # Who is told of a commit is told before any index moves.
        assert seen == [[], [], [2, 2], [2, 2], [4, 4]]
        assert stands_at(rag) == [4, 4]
        assert len(rag.search("text", limit=100).hits) == TEXTS
        assert stands_at(rag) == [5, 5]
        assert rag.doctor().differences == ()


def test_what_a_run_removes_counts_as_well(
    tmp_path: Path, docs: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with word_pipeline(tmp_path / "kb", database=database_url) as rag:
        rag.ingest(docs)
        monkeypatch.setattr(indexing, "CHUNKS_BEHIND", TEXTS)
        for text in docs.iterdir():
            text.unlink()
        rag.ingest(docs, prune=True)
        assert stands_at(rag) == [2, 2]
        assert not rag.search("text").hits


def test_a_short_run_opens_no_index(tmp_path: Path, docs: Path, database_url: str) -> None:
    with word_pipeline(tmp_path / "kb", database=database_url) as rag:
        rag.ingest(docs)
        assert stands_at(rag) == []


def test_what_was_in_memory_before_a_run_is_left_alone_until_its_end(
    tmp_path: Path, docs: Path
) -> None:
    frozen: list[int] = []

    def look(_: Committed) -> None:
        frozen.append(gc.get_freeze_count())

    with word_pipeline(tmp_path / "kb") as rag:
        rag.ingest(docs, on_commit=look)
    assert frozen[0] > 0
    assert gc.get_freeze_count() == 0
