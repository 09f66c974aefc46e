"""Sources and clocks that don't hold still while they are read."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

import storage.corpus
import storage.generation
from ingest.report import IngestReport
from rag_pipeline.pipeline import RagPipeline

FILES = 12
"""More than are read ahead while the first is stored."""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"Note {number} in its first version.")
    return folder


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    batching = {"max_documents": 1}
    with word_pipeline(tmp_path / "kb", database=database_url, batching=batching) as opened:
        yield opened


def texts(rag: RagPipeline) -> dict[str, str]:
    hits = rag.search("note version", limit=100, mode="keyword").hits
    return {ref.external_id: hit.chunk.text for hit in hits for ref in hit.chunk.sources}


def once(happen: Callable[[], object]) -> Callable[[object], None]:
    """Something that happens at the first call, in the middle of a run."""
    waiting = [happen]

    def call(_event: object) -> None:
        if waiting:
            waiting.pop()()

    return call


def assert_healthy(rag: RagPipeline) -> None:
    assert rag.doctor().differences == ()


def test_a_file_that_goes_away_in_mid_run_stops_nothing_and_keeps_or_loses_only_itself(
    rag: RagPipeline, docs: Path
) -> None:
    rag.ingest(docs)
    for number in range(FILES):
        (docs / f"{number}.txt").write_text(f"Note {number} in its second version.")
    report = rag.ingest(docs, prune=True, on_commit=once((docs / "4.txt").unlink))
    assert report.documents.changed in (FILES - 1, FILES)  # it may have been read ahead
    said = texts(rag)
    assert all("second" in text for name, text in said.items() if name != "4.txt")
    rag.ingest(docs, prune=True)
    assert "4.txt" not in texts(rag)
    assert_healthy(rag)


def test_a_folder_that_goes_away_in_mid_run_stops_nothing(rag: RagPipeline, docs: Path) -> None:
    (docs / "inner").mkdir()
    (docs / "inner" / "a.txt").write_text("Note inner in its first version.")

    def remove() -> None:
        (docs / "inner" / "a.txt").unlink()
        (docs / "inner").rmdir()

    report = rag.ingest(docs, on_commit=once(remove))
    assert report.documents.new == FILES
    assert_healthy(rag)


def test_a_file_that_is_rewritten_in_mid_run_is_stored_in_one_of_its_versions_whole(
    rag: RagPipeline, docs: Path
) -> None:
    """And the next run finds that it changed, also where its size is the same."""
    later = "Note 0 in its third version."
    report = rag.ingest(docs, on_commit=once(lambda: (docs / "0.txt").write_text(later)))
    assert report.documents.new == FILES
    assert texts(rag)["0.txt"] in (later, "Note 0 in its first version.")
    rag.ingest(docs)
    assert texts(rag)["0.txt"] == later
    assert_healthy(rag)


def test_lines_that_are_appended_and_cut_off_in_mid_run_are_read_or_refused_and_then_made_good(
    rag: RagPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "lines.jsonl"
    lines = [json.dumps({"_id": str(n), "text": f"Note {n} in version one."}) for n in range(400)]
    path.write_text("\n".join(lines[:200]))

    def grow_with_half_a_line() -> None:
        path.write_text("\n".join(lines)[:-30])

    report = rag.ingest(path, on_commit=once(grow_with_half_a_line), prune=True)
    assert report.documents.failed <= 2  # the half line, and the file for having changed
    path.write_text("\n".join(lines[:20]))
    assert rag.ingest(path, prune=True).documents.failed == 0
    assert texts(rag).keys() == {str(n) for n in range(20)}
    assert_healthy(rag)


@pytest.mark.slow
def test_a_line_of_fifty_megabytes_is_read_and_the_lines_around_it_too(tmp_path: Path) -> None:
    # Of few, long words: it is the line that is on trial, not the embedder of words.
    words = (f"note{'x' * 60} " * 8 + "in one version. ") * 95_000
    path = tmp_path / "lines.jsonl"
    records = [{"_id": "a", "text": "A first note."}, {"_id": "long", "text": words}]
    records.append({"_id": "z", "text": "A last note."})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert path.stat().st_size > 50_000_000
    embedder = WordEmbedder(max_tokens=256)
    with word_pipeline(tmp_path / "kb", embedder=embedder) as rag:
        report = rag.ingest(path)
        assert (report.documents.new, report.documents.failed) == (3, 0)
        found = rag.search("last first", mode="keyword").hits
        assert {ref.external_id for hit in found for ref in hit.chunk.sources} >= {"a", "z"}
        assert_healthy(rag)


def test_a_clock_that_jumps_back_years_between_runs_changes_nothing(
    rag: RagPipeline, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ingest_in(year: int) -> IngestReport:
        for module in (storage.corpus, storage.generation):
            monkeypatch.setattr(module, "now", lambda: datetime(year, 1, 1, tzinfo=UTC))
        return rag.ingest(docs, prune=True)

    ingest_in(2040)
    (docs / "0.txt").unlink()
    (docs / "1.txt").write_text("Note 1 in its second version.")
    back = ingest_in(1999).documents
    assert (back.changed, back.deleted, back.unchanged) == (1, 1, FILES - 2)
    assert texts(rag)["1.txt"] == "Note 1 in its second version."
    assert texts(rag).keys() == {f"{number}.txt" for number in range(1, FILES)}
    assert ingest_in(2000).documents.unchanged == FILES - 1
    assert_healthy(rag)
