"""Files behind URLs: listed, stamped, read line by line, and no secret in what is said."""

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.errors import FeedError
from ingest.feeds.remote import RemoteFeed
from ingest.records import RawDocument, Refusal


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


class BrokenFileSystem(MemoryFileSystem):
    """Lists what it can't give; what it says of it holds the key."""

    protocol = "broken"
    cachable = False

    def __init__(self, key: str = "", **options: object) -> None:
        super().__init__(**options)
        self.key = key

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("broken://", "memory://"))

    def _open(self, path: str, *arguments: object, **options: object) -> object:
        raise PermissionError(f"403 for {path} with key {self.key}")


fsspec.register_implementation("broken", BrokenFileSystem, clobber=True)


def resources(feed: RemoteFeed) -> list[Resource]:
    found = list(feed.resources())
    assert all(isinstance(item, Resource) for item in found)
    return [item for item in found if isinstance(item, Resource)]


def read(feed: RemoteFeed) -> list[Item]:
    return [item for resource in resources(feed) for item in resource.read(None)]


def test_files_below_a_folder_are_named_by_url_and_by_their_path_from_there(
    memory: MemoryFileSystem,
) -> None:
    for name in ("b.txt", "a/b.md", ".hidden", ".git/x.txt"):
        memory.pipe(f"/docs/{name}", b"text")
    memory.pipe("/docs-other/c.txt", b"text")
    documents = [d for d in read(RemoteFeed(url="memory://docs")) if isinstance(d, RawDocument)]
    assert [(d.uri, d.external_id) for d in documents] == [
        ("memory://docs/a/b.md", "a/b.md"),
        ("memory://docs/b.txt", "b.txt"),
    ]


def test_a_pattern_takes_what_matches_and_covers_what_would(memory: MemoryFileSystem) -> None:
    for name in ("a.md", "a.txt", "x/b.md", "x/y/c.md"):
        memory.pipe(f"/docs/{name}", b"text")
    feed = RemoteFeed(url="memory://docs/**/*.md")
    assert [r.uri for r in resources(feed)] == [
        f"memory://docs/{name}" for name in ("a.md", "x/b.md", "x/y/c.md")
    ]
    assert feed.covers("memory://docs/gone/d.md")
    assert not feed.covers("memory://docs/a.txt")
    flat = RemoteFeed(url="memory://docs/*.md")
    assert [r.uri for r in resources(flat)] == ["memory://docs/a.md"]
    assert not flat.covers("memory://docs/x/b.md")


def test_one_file_is_named_by_its_url(memory: MemoryFileSystem) -> None:
    memory.pipe("/docs/a.txt", b"text")
    feed = RemoteFeed(url="memory://docs/a.txt")
    document = read(feed)[0]
    assert isinstance(document, RawDocument)
    assert (document.uri, document.external_id) == ("memory://docs/a.txt", "a.txt")
    assert feed.covers(document.uri)
    assert not feed.covers("memory://docs/b.txt")


def test_files_in_an_archive_are_read_without_unpacking_it(tmp_path: Path) -> None:
    archive = tmp_path / "docs.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("in/a.txt", "text")
        packed.writestr("in/records.jsonl", '{"_id": "1", "text": "x"}\n' * 2)
    feed = RemoteFeed(url=f"zip://in::file://{archive}")
    document, end, record, twice, _ = read(feed)
    assert isinstance(document, RawDocument)
    assert document.uri == f"zip://in/a.txt::file://{archive}"
    assert feed.covers(document.uri)
    assert isinstance(end, ReadThrough)
    assert end.stamp is not None
    assert isinstance(record, RawDocument)
    assert record.external_id == "1"
    assert isinstance(twice, Refusal)
    assert twice.source == f"zip://in/records.jsonl::file://{archive}:2"


def test_a_stamp_is_kept_for_a_file_that_rests_and_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    feed = RemoteFeed(url=f"file://{tmp_path}")
    assert read(feed)[-1] == ReadThrough(None)  # written just now, it may change once more
    earlier = time.time() - 60
    os.utime(path, (earlier, earlier))
    (resource,) = resources(feed)
    assert read(feed)[-1] == ReadThrough(resource.stamp)
    assert resource.stamp is not None
    path.write_text("else")
    os.utime(path, (earlier + 1, earlier + 1))
    assert resources(feed)[0].stamp != resource.stamp


def test_a_file_that_changes_while_it_is_read_has_no_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "1", "text": "x"}\n')
    earlier = time.time() - 60
    os.utime(path, (earlier, earlier))
    (resource,) = resources(RemoteFeed(url=f"file://{tmp_path}"))
    items = resource.read(None)
    next(items)
    os.utime(path, (earlier + 9, earlier + 9))
    assert [*items][-1] == ReadThrough(None)


def test_a_jsonl_file_is_read_line_by_line(memory: MemoryFileSystem) -> None:
    lines = [json.dumps({"_id": str(n), "text": "x" * 1000}) for n in range(2_000)]
    memory.pipe("/big.jsonl", "\n".join(lines).encode())
    (resource,) = resources(RemoteFeed(url="memory://big.jsonl"))
    items = resource.read(None)
    first = next(items)
    assert isinstance(first, RawDocument)
    assert first.external_id == "0"
    assert len([*items]) == 2_000


@pytest.mark.parametrize("name", ["a.dat", "a", "a.txt"])
def test_a_declared_format_goes_before_the_name(memory: MemoryFileSystem, name: str) -> None:
    memory.pipe(f"/{name}", b'{"_id": "7", "text": "x"}')
    document = read(RemoteFeed(url=f"memory://{name}", format="jsonl"))[0]
    assert isinstance(document, RawDocument)
    assert document.external_id == "7"


@pytest.mark.parametrize(
    "url",
    ["memory://nothing", "memory://nothing/*.md", "file:///no/such/folder", "zip://x::file:///no"],
)
def test_where_nothing_is_the_source_fails(memory: MemoryFileSystem, url: str) -> None:
    with pytest.raises(FeedError, match="there is nothing at"):
        resources(RemoteFeed(url=url))


def test_a_protocol_that_is_not_known_fails_the_source() -> None:
    with pytest.raises(FeedError, match="nosuch"):
        resources(RemoteFeed(url="nosuch://bucket/docs"))


def test_an_empty_file_has_nothing_in_it(memory: MemoryFileSystem) -> None:
    memory.pipe("/a.txt", b"")
    (refusal,) = read(RemoteFeed(url="memory://a.txt"))
    assert isinstance(refusal, Refusal)
    assert refusal.outcome == "skipped"


def test_a_file_that_vanishes_or_is_forbidden_is_unread_and_no_secret_is_said(
    memory: MemoryFileSystem,
) -> None:
    memory.pipe("/docs/a.txt", b"text")
    feed = RemoteFeed(url="broken://docs", options={"key": "s3cr3t"})
    (refusal,) = read(feed)
    assert isinstance(refusal, Refusal)
    assert refusal.outcome == "refused"
    assert "403" in refusal.reason
    assert "s3cr3t" not in refusal.reason


def test_a_password_in_the_url_is_neither_stored_nor_said() -> None:
    feed = RemoteFeed(url="nosuch://user:hunter2@host/docs?token=abcdef")
    with pytest.raises(FeedError) as raised:
        resources(feed)
    assert "hunter2" not in str(raised.value)
    assert "abcdef" not in str(raised.value)
    assert not feed.covers("nosuch://user:hunter2@host/docs?token=abcdef")
