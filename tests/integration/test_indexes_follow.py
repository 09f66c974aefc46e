"""Derived indexes: whatever becomes of their files, searches answer the same."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.entries import text_entries, vector_entries
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER

WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord", "glade", "heath", "islet", "jetty")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(40):
        words = [WORDS[(number * k) % len(WORDS)] for k in (1, 3, 5, 7)]
        (folder / f"{number}.txt").write_text(f"Note {number}: {' '.join(words)}.")
    return folder


@pytest.fixture
def rag(tmp_path: Path, database_url: str, docs: Path) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "kb", database=database_url) as opened:
        opened.ingest(docs)
        yield opened


def answers(rag: RagPipeline) -> list[list[tuple[int, float]]]:
    """Every hit with its score, for some queries in all modes."""
    return [
        [(hit.chunk.chunk_id, hit.score) for hit in rag.search(query, mode=mode, limit=15).hits]
        for query in ("amber fjord", "the lagoon", "note 7", "jetty")
        for mode in ("vector", "keyword", "hybrid")
    ]


def sealed_files(home: Path) -> list[Path]:
    return sorted((home / "indexes").glob("1.*"))


def delete(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    """Another file under this one's name."""
    others = [other for other in sealed_files(path.parent.parent) if other != path]
    path.write_bytes(others[0].read_bytes())


@pytest.mark.parametrize(
    "which", range(4), ids=["keywords", "their segment", "vectors", "their segment"]
)
@pytest.mark.parametrize("damage", [delete, truncate, empty, flip, swap])
@pytest.mark.filterwarnings("default")
def test_a_damaged_index_file_is_noticed_and_the_answers_are_the_same(
    rag: RagPipeline,
    tmp_path: Path,
    database_url: str,
    damage: Callable[[Path], None],
    which: int,
) -> None:
    before = answers(rag)
    files = sealed_files(tmp_path / "kb")
    assert len(files) == 4
    damage(files[which])
    with word_pipeline(tmp_path / "kb", database=database_url) as reopened:
        assert answers(reopened) == before
        assert reopened.doctor().differences == ()
    with word_pipeline(tmp_path / "kb", database=database_url) as again:
        assert answers(again) == before


def test_an_index_that_followed_answers_like_one_that_was_filled_anew(
    rag: RagPipeline, tmp_path: Path, database_url: str, docs: Path
) -> None:
    answers(rag)
    for number in range(0, 40, 3):
        (docs / f"{number}.txt").write_text(f"Rewritten {number} with amber and lagoon.")
    for number in range(1, 40, 5):
        (docs / f"{number}.txt").unlink()
    rag.ingest(docs, prune=True)
    followed = answers(rag)
    with word_pipeline(tmp_path / "fresh", database=database_url) as fresh:
        assert answers(fresh) == followed


def test_the_indexes_of_another_database_are_not_taken_for_ours(
    rag: RagPipeline, tmp_path: Path, docs: Path
) -> None:
    """The same home, the same generation number, another history."""
    answers(rag)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.txt").write_text("Something else about amber.")
    url = f"sqlite:///{tmp_path / 'other.db'}"
    with word_pipeline(tmp_path / "kb", database=url) as other:
        other.ingest(tmp_path / "other")
        assert other.search("amber").generation == rag.search("amber").generation
        assert [hit.chunk.text for hit in other.search("amber").hits] == [
            "Something else about amber."
        ]


def test_a_database_restored_from_a_backup_is_followed_back(tmp_path: Path, docs: Path) -> None:
    home = tmp_path / "home"
    with word_pipeline(home) as rag:
        rag.ingest(docs)
        before = answers(rag)
    shutil.copy(home / "rag.db", tmp_path / "backup.db")
    (docs / "new.txt").write_text("A note about amber that the backup lacks.")
    with word_pipeline(home) as rag:
        rag.ingest(docs)
        assert answers(rag) != before
    for leftover in home.glob("rag.db-*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup.db", home / "rag.db")
    with word_pipeline(home) as rag:
        assert answers(rag) == before
    (docs / "new.txt").write_text("Another note after the restore: jetty.")
    with word_pipeline(home) as rag:
        rag.ingest(docs)
        assert rag.doctor().differences == ()
        assert rag.search("restore", mode="keyword").hits


def test_a_generation_that_is_held_back_is_not_searched_until_it_is_released(
    rag: RagPipeline, docs: Path
) -> None:
    before = answers(rag)
    (docs / "new.txt").write_text("amber amber amber")
    rag.ingest(docs)
    after = answers(rag)
    set_held = text("UPDATE corpus_state SET held_at = :at")
    for held, expected in ((1, before), (None, after)):
        with parts_of(rag).database.write() as connection:
            connection.execute(set_held, {"at": held})
        assert answers(rag) == expected


def test_what_was_changed_in_an_index_is_found_and_repaired(rag: RagPipeline) -> None:
    before = answers(rag)
    collection = parts_of(rag).reader.collection("default", principal=LOCAL_OWNER)
    vectors, keywords = parts_of(rag).followers(collection)
    keys = keywords.index.keys()
    empty_entries = text_entries({})
    keywords.index.apply(removed=keys[:2], added=empty_entries, position=keywords.index.applied)
    found = rag.doctor().differences
    assert len(found) == 1
    assert "keyword index" in found[0]
    assert "lacks chunks 1, 2" in found[0]
    (vector,) = vectors.index.vectors(keys[1:2])
    other = vector_entries({keys[0]: vector}, vector.size)
    vectors.index.apply(removed=keys[:1], added=other, position=vectors.index.applied)
    assert any("other vectors for chunks 1" in found for found in rag.doctor().differences)
    assert rag.doctor(repair=True).differences == ()
    assert answers(rag) == before


def test_searches_go_on_while_another_process_writes(
    rag: RagPipeline, tmp_path: Path, database_url: str, docs: Path
) -> None:
    """Every search sees one whole generation: a text is there exactly when its twin is."""
    stop = threading.Event()
    wrong: list[object] = []

    def search() -> None:
        while not stop.is_set():
            texts = {hit.chunk.text for hit in rag.search("twin", mode="keyword", limit=50).hits}
            if len(texts) % 2:
                wrong.append(texts)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    with word_pipeline(tmp_path / "kb2", database=database_url) as writer:
        for number in range(6):
            for side in "ab":
                (docs / f"twin-{side}.txt").write_text(f"A twin {side} of round {number}.")
            writer.ingest(docs, prune=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert rag.doctor().differences == ()
