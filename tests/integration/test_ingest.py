"""Documents in, again, changed, shared, broken and gone: on both databases, with real indexes."""

import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import cursor
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.audience import Readership
from ingest.errors import EmbeddingError, PathError
from ingest.make import Draft
from ingest.pipeline import Ingestion, Observer
from ingest.read import SourceDefaults
from rag_pipeline.pipeline import RagPipeline
from storage.errors import SpaceMismatchError
from storage.records import LOCAL_OWNER, Committed, Origin, Outline, Principal, Vectors
from storage.runs import Runs


def write_jsonl(path: Path, *records: dict) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def found(rag: RagPipeline, query: str, **options: object) -> set[str]:
    """The external ids of everything that a search finds."""
    hits = rag.search(query, limit=100, **options).hits
    return {ref.external_id for hit in hits for ref in hit.chunk.sources}


def draft_of(text: str) -> Draft:
    return Draft(content_sha256="c" * 64, text=text, title="", outline=Outline(), language="en")


def counts(report) -> dict[str, int]:
    return {name: n for name, n in report.as_json()["documents"].items() if n}


def healthy(rag: RagPipeline) -> bool:
    return rag.doctor().differences == ()


def test_files_are_found_by_what_they_say(rag: RagPipeline, docs: Path) -> None:
    (docs / "bees.txt").write_text("Bees dance to show where the flowers are.")
    (docs / "tea.md").write_text("# Tea\n\nTea is made from leaves.")
    assert counts(rag.ingest(docs)) == {"new": 2}
    hit = rag.search("dance of the bees").hits[0]
    assert hit.chunk.sources[0].external_id == "bees.txt"
    assert hit.chunk.text == "Bees dance to show where the flowers are."
    assert (hit.vector_rank, hit.keyword_rank) == (1, 1)
    assert healthy(rag)


def test_unchanged_input_costs_no_forward_pass_and_makes_no_generation(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    for number in range(5):
        (docs / f"{number}.txt").write_text(f"Text number {number}.")
    first = rag.ingest(docs)
    embedder.embedded.clear()
    again = rag.ingest(docs)
    assert counts(again) == {"unchanged": 5}
    assert (again.embedded, embedder.embedded) == (0, [])
    assert again.generation == first.generation


def test_a_new_modification_time_alone_changes_nothing(rag: RagPipeline, docs: Path) -> None:
    path = docs / "a.txt"
    path.write_text("The same text.")
    rag.ingest(docs)
    path.write_text("The same text.")
    assert counts(rag.ingest(docs)) == {"unchanged": 1}
    assert len(rag.search("text").hits) == 1


def test_a_changed_file_is_replaced_and_only_what_differs_is_embedded(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    path = docs / "a.txt"
    sentences = [f"Sentence {n} tells of {' '.join(['thing'] * 20)} {n}." for n in range(6)]
    path.write_text(" ".join(sentences))
    first = rag.ingest(docs)
    sentences[-1] = "The end is quite another one."
    path.write_text(" ".join(sentences))
    changed = rag.ingest(docs)
    assert counts(changed) == {"changed": 1}
    assert 0 < changed.embedded < first.embedded
    assert found(rag, "another end", mode="keyword") == {"a.txt"}
    texts = [hit.chunk.text for hit in rag.search("thing", limit=100).hits]
    assert not any("thing 5" in text for text in texts)
    assert healthy(rag)


def test_one_text_from_many_places_is_embedded_once_and_found_under_each(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    for name in ("a", "b", "c"):
        (docs / f"{name}.txt").write_text("Shared by three files.")
    report = rag.ingest(docs)
    assert counts(report) == {"new": 1, "duplicate": 2}
    assert embedder.embedded == ["Shared by three files."]
    assert len(rag.search("shared").hits) == 1
    assert found(rag, "shared") == {"a.txt", "b.txt", "c.txt"}


def test_the_same_text_under_two_titles_is_embedded_once_and_keeps_both(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    path = write_jsonl(
        docs / "c.jsonl",
        {"_id": "1", "title": "First", "text": "One text."},
        {"_id": "2", "title": "Second", "text": "One text.", "metadata": {"year": 2}},
    )
    assert rag.ingest(path).embedded == 1
    (hit,) = rag.search("text").hits
    assert [(r.external_id, r.title) for r in hit.chunk.sources] == [
        ("1", "First"),
        ("2", "Second"),
    ]
    assert hit.chunk.sources[1].metadata == {"year": 2}


def test_a_text_lives_as_long_as_one_source_has_it(rag: RagPipeline, docs: Path) -> None:
    for name in ("a", "b"):
        (docs / f"{name}.txt").write_text("Shared by two files.")
    rag.ingest(docs)
    (docs / "a.txt").unlink()
    assert counts(rag.ingest(docs)) == {"unchanged": 1}
    assert found(rag, "shared") == {"a.txt", "b.txt"}
    assert counts(rag.ingest(docs, prune=True)) == {"unchanged": 1, "deleted": 1}
    assert found(rag, "shared") == {"b.txt"}
    (docs / "b.txt").unlink()
    rag.ingest(docs, prune=True)
    for mode in ("vector", "keyword", "hybrid"):
        assert found(rag, "shared", mode=mode) == set()
    assert healthy(rag)


def test_pruning_removes_lines_that_left_a_file_and_nothing_outside_it(
    rag: RagPipeline, docs: Path
) -> None:
    path = write_jsonl(docs / "c.jsonl", *({"_id": n, "text": f"Line {n}."} for n in "abc"))
    other = write_jsonl(docs / "c.jsonl.d.jsonl", {"_id": "x", "text": "Line x."})
    rag.ingest(path, other)
    write_jsonl(path, {"_id": "b", "text": "Line b."})
    assert counts(rag.ingest(path)) == {"unchanged": 1}
    assert counts(rag.ingest(path, prune=True)) == {"unchanged": 1, "deleted": 2}
    assert found(rag, "line") == {"b", "x"}


def test_pruning_keeps_what_is_there_but_cant_be_read_now(rag: RagPipeline, docs: Path) -> None:
    path = docs / "a.json"
    path.write_text('{"text": "Good."}')
    line = write_jsonl(docs / "c.jsonl", {"_id": "1", "text": "A line."})
    rag.ingest(docs)
    path.write_text('{"text": "Broken')
    line.write_text('{"_id": "1", "text": 5}\n')
    report = rag.ingest(docs, prune=True)
    assert counts(report) == {"failed": 2}
    assert found(rag, "good line") == {"a.json", "1"}


def test_pruning_keeps_what_is_in_a_folder_that_cant_be_opened_now(
    rag: RagPipeline, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "locked").mkdir()
    (docs / "locked" / "a.txt").write_text("Locked text.")
    (docs / "gone.txt").write_text("Gone text.")
    rag.ingest(docs)
    (docs / "gone.txt").unlink()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert counts(rag.ingest(docs, prune=True)) == {"failed": 1, "deleted": 1}
    assert found(rag, "text") == {"locked/a.txt"}


def test_a_title_that_changes_is_found_and_the_old_one_is_not(rag: RagPipeline, docs: Path) -> None:
    path = write_jsonl(docs / "c.jsonl", {"_id": "1", "title": "Walrus", "text": "It swims."})
    rag.ingest(path)
    assert found(rag, "walrus", mode="keyword") == {"1"}
    write_jsonl(path, {"_id": "1", "title": "Penguin", "text": "It swims."})
    assert counts(rag.ingest(path)) == {"changed": 1}
    assert found(rag, "penguin", mode="keyword") == {"1"}
    assert found(rag, "walrus", mode="keyword") == set()
    assert healthy(rag)


@pytest.mark.parametrize("way", ["changed", "pruned"])
def test_a_title_leaves_with_the_last_source_that_gives_it(
    rag: RagPipeline, docs: Path, way: str
) -> None:
    records = [
        {"_id": "1", "title": "Secret merger", "text": "It swims."},
        {"_id": "2", "title": "Penguin", "text": "It swims."},
    ]
    path = write_jsonl(docs / "c.jsonl", *records)
    rag.ingest(path)
    replacement = [{"_id": "1", "title": "Secret merger", "text": "Other."}]
    write_jsonl(path, *(replacement if way == "changed" else []), records[1])
    rag.ingest(path, prune=way == "pruned")
    assert found(rag, "swims", mode="keyword") == {"2"}
    assert "2" not in found(rag, "merger", mode="keyword")
    assert found(rag, "penguin", mode="keyword") == {"2"}
    assert healthy(rag)


def test_a_bad_document_is_named_and_the_rest_goes_on(rag: RagPipeline, docs: Path) -> None:
    (docs / "good.txt").write_text("Good.")
    (docs / "empty.txt").write_text("")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    (docs / "song.xyz").write_bytes(bytes(range(256)))
    report = rag.ingest(docs)
    assert counts(report) == {"new": 1, "failed": 1, "skipped": 2}
    reasons = {Path(f.source).name: f.reason for f in report.failures}
    assert set(reasons) == {"empty.txt", "broken.pdf", "song.xyz"}
    assert all(reasons.values())


def test_a_document_that_breaks_keeps_the_version_that_was_read(
    rag: RagPipeline, docs: Path
) -> None:
    path = docs / "a.json"
    path.write_text('{"fact": "Good."}')
    rag.ingest(docs)
    path.write_text('{"fact": ')
    assert counts(rag.ingest(docs)) == {"failed": 1}
    assert found(rag, "good") == {"a.json"}


def test_an_embedder_that_fails_in_an_update_loses_nothing_and_the_next_run_makes_up_for_it(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    path = docs / "a.txt"
    path.write_text("The old text.")
    rag.ingest(docs)
    path.write_text("The new text.")
    embedder.fails = True
    with pytest.raises(EmbeddingError):
        rag.ingest(docs)
    assert [hit.chunk.text for hit in rag.search("old", mode="keyword").hits] == ["The old text."]
    embedder.fails = False
    assert counts(rag.ingest(docs)) == {"changed": 1}
    assert [hit.chunk.text for hit in rag.search("new", mode="keyword").hits] == ["The new text."]
    assert healthy(rag)


def test_a_missing_path_stops_the_run_before_anything_is_done(rag: RagPipeline, docs: Path) -> None:
    (docs / "a.txt").write_text("Text.")
    with pytest.raises(PathError, match="nowhere"):
        rag.ingest(docs, docs / "nowhere")
    assert rag.ingest(docs).documents.new == 1


def test_each_batch_is_committed_and_told(tmp_path: Path, docs: Path, database_url: str) -> None:
    path = write_jsonl(
        docs / "c.jsonl", *({"_id": f"d{n}", "text": f"Line {n}."} for n in range(7))
    )
    told: list[Committed] = []
    batching = {"max_documents": 3}
    with word_pipeline(tmp_path / "kb", database=database_url, batching=batching) as rag:
        rag.ingest(path, on_commit=told.append)
        assert [commit.position.generation for commit in told] == [1, 2, 3]
        assert [i for commit in told for i in commit.external_ids] == [f"d{n}" for n in range(7)]


def test_another_embedder_is_refused_before_anything_is_embedded(
    rag: RagPipeline, tmp_path: Path, docs: Path, database_url: str
) -> None:
    (docs / "a.txt").write_text("Text.")
    rag.ingest(docs)
    other = WordEmbedder(version="2")
    with word_pipeline(tmp_path / "kb", database=database_url, embedder=other) as second:
        for attempt in (lambda: second.ingest(docs), lambda: second.search("text")):
            with pytest.raises(SpaceMismatchError, match="another collection"):
                attempt()
        assert other.embedded == []
        assert second.ingest(docs, collection="two").documents.new == 1


def test_what_one_process_commits_another_finds_at_its_next_search(
    rag: RagPipeline, tmp_path: Path, docs: Path, database_url: str
) -> None:
    (docs / "a.txt").write_text("First text.")
    rag.ingest(docs)
    with word_pipeline(tmp_path / "kb2", database=database_url) as reader:
        assert found(reader, "text") == {"a.txt"}
        (docs / "b.txt").write_text("Second text.")
        (docs / "a.txt").unlink()
        rag.ingest(docs, prune=True)
        assert found(reader, "text") == {"b.txt"}


def test_settings_of_the_chunker_cut_anew_what_is_ingested_next(
    rag: RagPipeline, tmp_path: Path, docs: Path, database_url: str
) -> None:
    (docs / "a.txt").write_text("One short sentence. Another short sentence. A third one here.")
    assert rag.ingest(docs).chunks_added == 1
    smaller = {"max_tokens": 16, "overlap_tokens": 0}
    embedder = WordEmbedder(max_tokens=4)
    embedder.space = WordEmbedder().space
    home = tmp_path / "kb"
    with word_pipeline(home, database=database_url, embedder=embedder, chunking=smaller) as rag2:
        report = rag2.ingest(docs)
        assert (counts(report), report.chunks_added, report.chunks_removed) == (
            {"changed": 1},
            3,
            1,
        )
        assert healthy(rag2)


def test_a_text_whose_headings_were_not_seen_before_is_indexed_anew(
    rag: RagPipeline, docs: Path, embedder: WordEmbedder
) -> None:
    """The keyword index knows headings: it has to be told, even if every chunk stays as it is."""
    (docs / "tea.md").write_text("# Tea\n\nGrown in hills.\n\n# Coffee\n\nTea is no coffee.")
    (docs / "tin.md").write_text("# Tin\n\nTea is kept in tins of tin.")
    rag.ingest(docs)
    parts = parts_of(rag)
    with parts.database.write() as connection:
        for table in ("documents", "sources", "resources"):
            connection.execute(text(f"UPDATE {table} SET fingerprint = 'of before'"))
        connection.execute(text("UPDATE documents SET outline = NULL, language = NULL"))
    _, keywords = parts.followers(parts.reader.collection("default", principal=LOCAL_OWNER))
    keywords.rebuild()
    before = len(embedder.embedded)
    rag.ingest(docs)
    assert len(embedder.embedded) == before
    with parts.database.read() as connection:
        live = "SELECT outline FROM documents WHERE to_generation IS NULL"
        assert all(outline for (outline,) in connection.execute(text(live)))
    replayed = rag.search("coffee tea", mode="keyword").hits
    keywords.rebuild()
    assert rag.search("coffee tea", mode="keyword").hits == replayed


def test_a_text_that_is_under_way_is_embedded_once_however_often_it_comes(
    rag: RagPipeline, embedder: WordEmbedder
) -> None:
    """Two threads make texts: what one has embedded is not in the database yet for the other."""
    about = {"defaults": SourceDefaults(), "observer": Observer()}
    draft = draft_of("A text that comes again and again.")
    with parts_of(rag).ingestion("default", **about) as ingestion:
        maker = ingestion.placer.maker
        for _ in range(20):
            readers = Readership(writer=maker.writer)
            maker.embed_ahead(maker.cut_ahead({draft.content_sha256: draft}, readers))
    assert embedder.embedded == [draft.text]


@pytest.mark.parametrize("fault", [None, "raises", "gives too few"])
def test_who_waits_for_what_another_embeds_gets_it_or_its_error(
    rag: RagPipeline, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    begun, go_on = Event(), Event()
    plain = embedder.embed

    def slowly(texts: Sequence[str]) -> Vectors:
        begun.set()
        assert go_on.wait(timeout=20)
        if fault == "raises":
            raise EmbeddingError("no vector")
        return plain(texts)[1 if fault else 0 :]

    draft = draft_of("A text that two have.")
    with (
        parts_of(rag).ingestion(
            "default", defaults=SourceDefaults(), observer=Observer()
        ) as ingestion,
        ThreadPoolExecutor(2) as pool,
    ):
        maker = ingestion.placer.maker
        cut = maker.cut_ahead({draft.content_sha256: draft}, Readership(writer=maker.writer))
        monkeypatch.setattr(embedder, "embed", slowly)
        first = pool.submit(maker.embed_ahead, cut)
        assert begun.wait(timeout=20)
        second = pool.submit(maker.embed_ahead, cut)
        go_on.set()
        errors = [one.exception(timeout=20) for one in (first, second)]
        assert all(error is None for error in errors) == (fault is None)
        monkeypatch.setattr(embedder, "embed", plain)
        assert len(maker.embed_ahead(cut).vectors) == 1
    if fault is None:
        assert embedder.embedded == [draft.text]


def test_synthetic_documents_are_found_only_when_asked_for(rag: RagPipeline, docs: Path) -> None:
    (docs / "real.txt").write_text("A text about rain.")
    rag.ingest(docs / "real.txt")
    (docs / "made.txt").write_text("A made-up text about rain.")
    rag.ingest(docs / "made.txt", generator_id="vae-3")
    assert found(rag, "rain") == {"real.txt"}
    assert found(rag, "rain", origins="synthetic") == {"made.txt"}
    assert found(rag, "rain", origins="both") == {"real.txt", "made.txt"}
    assert found(rag, "rain", where="origin = 'synthetic'") == {"made.txt"}
    assert found(rag, "rain", where="origin != 'synthetic'") == {"real.txt"}
    assert found(rag, "rain", where="source like '%.txt'") == {"real.txt"}
    assert found(rag, "rain", where="origin = 'synthetic'", origins="real") == set()


def test_an_answer_rests_on_synthetic_documents_only_when_asked_to_and_says_so(
    rag: RagPipeline, docs: Path
) -> None:
    (docs / "made.txt").write_text("The lighthouse of Hollow Point is 43 metres high.")
    rag.ingest(docs / "made.txt", generator_id="vae-3")
    question = "How high is the lighthouse of Hollow Point?"
    assert rag.ask(question, extractive=True).citations == ()
    told = rag.ask(question, extractive=True, origins="both")
    assert {citation.origin for citation in told.citations} == {Origin.SYNTHETIC}
    assert rag.history.show(told.prompt_id).citations == told.citations
    (again,) = rag.history.replay([told.prompt_id])
    assert again.difference is not None
    assert not again.difference.is_changed


def test_a_title_that_not_every_reader_may_know_is_no_search_word_for_them(
    rag: RagPipeline, tmp_path: Path, docs: Path, database_url: str
) -> None:
    """The text is shared; the title that only the board may see must not lead others to it."""
    secret = write_jsonl(docs / "s.jsonl", {"_id": "s", "title": "Merger", "text": "It swims."})
    public = write_jsonl(docs / "p.jsonl", {"_id": "p", "title": "Penguin", "text": "It swims."})
    made = write_jsonl(docs / "m.jsonl", {"_id": "m", "title": "Made-up", "text": "It swims."})
    rag.ingest(made, generator_id="vae-3")
    rag.ingest(secret, read_labels=frozenset({"board"}))
    guest = Principal(name="guest")
    board = Principal(name="eve", labels=frozenset({"board"}))

    def found_by(principal: Principal, query: str) -> set[str]:
        with word_pipeline(tmp_path / "kb3", database=database_url, principal=principal) as hers:
            return found(hers, query, mode="keyword")

    assert found_by(guest, "merger swims") == set()
    assert found_by(board, "made-up") == set()
    assert found_by(board, "swims") == {"s"}
    rag.ingest(public)
    assert found_by(guest, "merger") == set()
    assert found_by(guest, "penguin") == {"p"}
    assert healthy(rag)


def test_an_emptied_file_leaves_when_it_is_pruned(rag: RagPipeline, docs: Path) -> None:
    (docs / "a.txt").write_text("Some text.")
    rag.ingest(docs)
    (docs / "a.txt").write_text("")
    assert counts(rag.ingest(docs)) == {"skipped": 1}
    assert found(rag, "text") == {"a.txt"}
    assert counts(rag.ingest(docs, prune=True)) == {"skipped": 1, "deleted": 1}
    assert found(rag, "text") == set()


@pytest.mark.parametrize("name", ["what?", "100%20", "a b#c&d", "ключ 🔑"])
def test_a_home_may_have_any_name(tmp_path: Path, docs: Path, name: str) -> None:
    (docs / "a.txt").write_text("Some text.")
    with word_pipeline(tmp_path / name) as rag:
        rag.ingest(docs)
        assert found(rag, "text") == {"a.txt"}
    assert (tmp_path / name / "rag.db").is_file()


def test_labels_decide_who_finds_what_and_can_change(
    rag: RagPipeline, tmp_path: Path, docs: Path, database_url: str, embedder: WordEmbedder
) -> None:
    (docs / "a.txt").write_text("Salaries of the board.")
    rag.ingest(docs, read_labels=frozenset({"hr"}))
    embedder.embedded.clear()
    eve = Principal(name="eve", labels=frozenset({"staff"}))
    with word_pipeline(tmp_path / "kb3", database=database_url, principal=eve) as hers:
        assert found(hers, "salaries") == set()
        assert found(rag, "salaries") == {"a.txt"}
        report = rag.ingest(docs, read_labels=frozenset({"staff"}))
        assert (counts(report), report.embedded) == ({"changed": 1}, 0)
        assert found(hers, "salaries") == {"a.txt"}


def test_a_run_is_on_record_whole(rag: RagPipeline, docs: Path) -> None:
    (docs / "a.txt").write_text("Text.")
    report = rag.ingest(docs)
    with parts_of(rag).database.read() as connection:
        row = connection.execute(text("SELECT run_id, ended_at FROM ingest_runs")).one()
    assert row.run_id == report.run_id
    assert row.ended_at is not None


@pytest.mark.parametrize("share", [number / 8 for number in range(8)])
def test_a_signal_at_any_step_of_a_commit_leaves_the_end_on_record_and_no_lock(
    rag: RagPipeline, docs: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, signalled_at = 0, -1

    def step(frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal steps
        # Where a statement's result is taken from the driver: what is broken off there stays open.
        steps += frame.f_code.co_filename == cursor.__file__
        if steps == signalled_at:
            signal.raise_signal(signal.SIGINT)
        return step

    def commit_traced(*arguments: Any) -> None:
        sys.settrace(step)
        try:
            commit(*arguments)
        finally:
            sys.settrace(None)

    commit = Ingestion._commit
    monkeypatch.setattr(Ingestion, "_commit", commit_traced)
    (docs / "a.txt").write_text("The first text.")
    rag.ingest(docs)
    (docs / "a.txt").write_text("The second text.")
    signalled_at, steps = int(share * steps) + 1, 0
    with pytest.raises(KeyboardInterrupt):
        rag.ingest(docs)
    record, _ = Runs(parts_of(rag).database).latest()
    assert (record.status, record.report["error"]) == ("failed", "it was interrupted")
    monkeypatch.undo()
    assert counts(rag.ingest(docs)) in ({"changed": 1}, {"unchanged": 1})
    assert healthy(rag)


def test_what_was_in_memory_before_a_run_is_left_alone_until_its_end(
    rag: RagPipeline, docs: Path
) -> None:
    (docs / "a.txt").write_text("Text.")
    at_rest: list[int] = []
    rag.ingest(docs, on_commit=lambda _: at_rest.append(gc.get_freeze_count()))
    assert at_rest[0] > 0
    assert gc.get_freeze_count() == 0
