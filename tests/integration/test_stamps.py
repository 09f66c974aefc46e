"""What the stamps of real files save, and when they are not believed: on both databases."""

import email.message
import json
import os
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import select
from support.embedding import WordEmbedder
from support.pipelines import parts_of

from ingest import load
from ingest.load import FileFeed
from ingest.pipeline import Observer
from ingest.read import SourceDefaults
from ingest.records import Part, RawDocument
from ingest.sandbox.readers import InProcessReader
from rag_pipeline.pipeline import RagPipeline
from storage.models.tables import METADATA

LONG_AGO_S = -1.0
"""How old a file must be to be trusted: any is."""


class CountingReader:
    """The real parsers, and what they were asked for."""

    def __init__(self, rag: RagPipeline) -> None:
        self.reader = InProcessReader(rag.settings.parsing)
        self.asked: list[str] = []

    def parts(self, raw: RawDocument) -> list[Part]:
        self.asked.append(raw.external_id)
        return self.reader.parts(raw)

    def interrupt(self) -> None:
        self.reader.interrupt()


class Opened(list[str]):
    """The names of the files that were opened."""


@pytest.fixture
def parsed(rag: RagPipeline) -> list[str]:
    reader = CountingReader(rag)
    parts_of(rag).parser = reader  # type: ignore[misc, assignment]
    return reader.asked


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Files count as settled at once, and each that is opened is noted."""
    names = Opened()
    open_file = load._opened

    def noting(path: Path) -> BinaryIO:
        names.append(path.name)
        return open_file(path)

    monkeypatch.setattr(load, "_SETTLED_S", LONG_AGO_S)
    monkeypatch.setattr(load, "_opened", noting)
    return names


def counts(report) -> dict[str, int]:
    return {name: n for name, n in report.as_json()["documents"].items() if n}


def found(rag: RagPipeline) -> set[str]:
    """The external ids of all; every text has the word `said`."""
    assert rag.doctor().differences == ()
    hits = rag.search("said", limit=100).hits
    return {ref.external_id for hit in hits for ref in hit.chunk.sources}


def dump(rag: RagPipeline) -> dict[str, list[str]]:
    """All rows of all tables."""
    with parts_of(rag).database.read() as connection:
        return {
            table.name: sorted(str(row) for row in connection.execute(select(table)))
            for table in METADATA.sorted_tables
        }


def write_mail(path: Path, attachment: str) -> None:
    message = email.message.EmailMessage()
    message["Subject"] = "News"
    message.set_content("said the mail")
    message.add_attachment("said one", filename="one.txt")
    message.add_attachment(attachment, filename="two.txt")
    message.set_boundary("same")
    path.write_bytes(message.as_bytes().replace(b"\n", b"\r\n"))


def write_zip(path: Path, second: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (("one.txt", "said first"), ("two.txt", second)):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)


def test_a_file_that_was_not_touched_is_not_opened(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    (docs / "a.txt").write_text("said a")
    rag.ingest(docs)
    opened.clear()
    report = rag.ingest(docs)
    assert (counts(report), report.bytes_read, opened) == ({"unchanged": 1}, 0, [])


def test_other_bytes_of_the_same_size_under_the_old_times_are_read(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    path = docs / "a.txt"
    path.write_text("said a")
    before = path.stat()
    rag.ingest(docs)
    time.sleep(0.02)
    path.write_text("said b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert counts(rag.ingest(docs)) == {"changed": 1}
    assert [hit.chunk.text for hit in rag.search("said").hits] == ["said b"]


def test_a_touched_file_with_equal_bytes_is_neither_parsed_nor_embedded_and_read_once(
    rag: RagPipeline, docs: Path, opened: Opened, parsed: list[str], embedder: WordEmbedder
) -> None:
    path = docs / "a.txt"
    path.write_text("said a")
    rag.ingest(docs)
    for seen in (opened, parsed, embedder.embedded):
        seen.clear()
    os.utime(path)
    assert counts(rag.ingest(docs)) == {"unchanged": 1}
    assert (opened, parsed, embedder.embedded) == (["a.txt"], [], [])
    rag.ingest(docs)
    assert opened == ["a.txt"]


def test_a_file_that_was_written_just_now_is_not_trusted(
    rag: RagPipeline, docs: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_SETTLED_S", 2.0)
    (docs / "a.txt").write_text("said a")
    for _ in range(2):
        rag.ingest(docs)
    assert opened == ["a.txt"] * 2


def test_a_file_is_not_trusted_for_the_time_that_its_run_took(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = docs / "a.jsonl"
    path.write_text('{"_id": "1", "text": "said one"}\n')
    (resource,) = FileFeed([docs]).resources()
    items = resource.read(None)  # type: ignore[union-attr]
    next(items)
    now = time.time()
    monkeypatch.setattr(load.time, "time", lambda: now + 60)
    assert next(items).stamp is None  # type: ignore[union-attr]


@pytest.mark.parametrize("write", [write_mail, write_zip])
def test_a_touched_container_is_not_parsed_and_one_changed_member_is_one_change(
    rag: RagPipeline, docs: Path, opened: Opened, parsed: list[str], write
) -> None:
    path = docs / ("a.eml" if write is write_mail else "a.zip")
    write(path, "said two")
    first = counts(rag.ingest(docs))
    documents = first["new"]
    names = found(rag)
    parsed.clear()
    write(path, "said two")
    assert counts(rag.ingest(docs)) == {"unchanged": documents}
    assert parsed == []
    write(path, "said quite another thing")
    report = rag.ingest(docs, prune=True)
    assert parsed == [path.name]
    assert report.embedded == 1
    assert report.documents.deleted == 0
    assert found(rag) == names
    opened.clear()
    assert counts(rag.ingest(docs)) == {"unchanged": documents}
    assert opened == []


def test_a_torn_line_is_reported_at_each_run_until_it_is_mended(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    path = docs / "a.jsonl"
    path.write_text('{"_id": "1", "text": "said one"}\n{"_id": "2", "te\n')
    assert counts(rag.ingest(docs)) == {"new": 1, "failed": 1}
    assert counts(rag.ingest(docs)) == {"unchanged": 1, "failed": 1}
    path.write_text('{"_id": "1", "text": "said one"}\n{"_id": "2", "text": "said two"}\n')
    assert counts(rag.ingest(docs)) == {"unchanged": 1, "new": 1}
    opened.clear()
    assert counts(rag.ingest(docs, prune=True)) == {"unchanged": 2}
    assert opened == []


def test_other_labels_metadata_or_generator_have_the_files_read_again(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    (docs / "a.txt").write_text("said a")
    for options in (
        {},
        {"metadata": {"team": "blue"}},
        {"read_labels": frozenset({"staff"})},
        {"generator_id": "g"},
    ):
        opened.clear()
        rag.ingest(docs, **options)
        assert opened == ["a.txt"]
        assert counts(rag.ingest(docs, **options)) == {"unchanged": 1}
        assert opened == ["a.txt"]


def test_a_file_that_grows_while_it_is_read_keeps_its_old_version(
    rag: RagPipeline, docs: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = docs / "a.txt"
    path.write_text("said a")
    rag.ingest(docs)
    path.write_text("said b")
    documents = load.documents

    def growing(*arguments):
        for item in documents(*arguments):
            with path.open("a") as file:
                file.write(" and more")
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(load, "documents", growing)
        report = rag.ingest(docs, prune=True)
    assert counts(report) == {"failed": 1}
    assert "changed while it was read" in report.failures[0].reason
    assert [hit.chunk.text for hit in rag.search("said").hits] == ["said a"]
    assert counts(rag.ingest(docs)) == {"changed": 1}


def test_a_file_that_went_and_came_back_is_there_again(
    rag: RagPipeline, docs: Path, opened: Opened, tmp_path: Path
) -> None:
    path = docs / "a.txt"
    path.write_text("said a")
    rag.ingest(docs)
    path.rename(tmp_path / "aside.txt")
    assert counts(rag.ingest(docs, prune=True)) == {"deleted": 1}
    (tmp_path / "aside.txt").rename(path)
    assert counts(rag.ingest(docs)) == {"new": 1}
    assert found(rag) == {"a.txt"}


def test_a_file_that_two_named_folders_reach_is_never_lost(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    (docs / "sub").mkdir()
    (docs / "sub" / "a.txt").write_text("said a")
    assert counts(rag.ingest(docs, docs / "sub")) == {"new": 1}
    for named in (docs / "sub", docs, docs / "sub", docs):
        rag.ingest(named, prune=True)
        assert len(found(rag)) == 1


def test_a_preview_changes_no_row_and_counts_what_the_run_counts(
    rag: RagPipeline, docs: Path, opened: Opened
) -> None:
    (docs / "same.txt").write_text("said same")
    (docs / "other.txt").write_text("said other")
    (docs / "gone.txt").write_text("said gone")
    write_zip(docs / "a.zip", "said two")
    rag.ingest(docs)
    (docs / "gone.txt").unlink()
    (docs / "other.txt").write_text("said another thing")
    (docs / "copy.txt").write_text("said same")
    (docs / "new.txt").write_text("said something new")
    (docs / "torn.json").write_text('{"a": ')
    (docs / "lines.jsonl").write_text(json.dumps({"_id": "1", "text": "said in a line"}))
    before = dump(rag)
    about = {"defaults": SourceDefaults(), "observer": Observer()}
    with parts_of(rag).preview("default", **about) as ingestion:
        said = ingestion.preview(FileFeed([docs]), prune=True)
    assert dump(rag) == before
    did = rag.ingest(docs, prune=True)
    assert counts(said) == counts(did)
    assert counts(did)["deleted"] == 1


def test_the_size_of_a_feed_is_that_of_its_files(docs: Path) -> None:
    (docs / "sub").mkdir()
    (docs / "a.txt").write_bytes(b"x" * 100)
    (docs / "sub" / "b.bin").write_bytes(b"x" * 23)
    (docs / ".hidden").write_bytes(b"x")
    assert FileFeed([docs, docs / "sub"]).size_bytes() == 123
