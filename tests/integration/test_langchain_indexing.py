"""LangChain's indexing over a pipeline: the record manager alone, and `index()` with a store."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import aindex, index
from langchain_core.vectorstores import InMemoryVectorStore
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

from ingest.errors import EmbeddingError
from rag_pipeline.integrations.langchain import (
    ArgumentError,
    RagEmbeddings,
    RagRecordManager,
    RagVectorStore,
)
from rag_pipeline.pipeline import RagPipeline
from storage.errors import InvalidRecordError

Cleanup = Literal["incremental", "full", "scoped_full"]


@pytest.fixture
def store(rag: RagPipeline) -> RagVectorStore:
    return RagVectorStore(rag)


@pytest.fixture
def manager(rag: RagPipeline) -> RagRecordManager:
    return RagRecordManager("kittens", pipeline=rag)


def texts_of(store: RagVectorStore) -> list[str]:
    found = store.similarity_search("text", k=1000) if store.held(["?"]) == set() else []
    return sorted(one.page_content for one in found)


def indexed(
    documents: Iterable[Document],
    store: RagVectorStore,
    *,
    cleanup: Cleanup | None = "incremental",
    **options: Any,
) -> tuple[int, int, int, int]:
    """What `index()` added, updated, skipped and deleted."""
    done = index(
        documents,
        RagRecordManager("tests", store=store),
        store,
        cleanup=cleanup,
        source_id_key="source",
        key_encoder="sha256",
        **options,
    )
    return done["num_added"], done["num_updated"], done["num_skipped"], done["num_deleted"]


def page(source: str, number: int, *, edition: int = 1) -> Document:
    text = f"text {number} of {source} in edition {edition}"
    return Document(page_content=text, metadata={"source": source})


class TestRecordManager:
    """As its makers test the one in memory."""

    def test_its_schema_is_there_and_making_it_again_changes_nothing(
        self, manager: RagRecordManager
    ) -> None:
        manager.update(["key1"])
        manager.create_schema()
        asyncio.run(manager.acreate_schema())
        assert manager.list_keys() == ["key1"]

    def test_keys_are_noted_and_listed(self, manager: RagRecordManager) -> None:
        assert manager.list_keys() == []
        manager.update(["key1", "key2", "key3"])
        assert manager.list_keys() == ["key1", "key2", "key3"]
        manager.update(["key2"])
        assert manager.list_keys() == ["key1", "key3", "key2"]
        assert manager.list_keys(limit=2) == ["key1", "key3"]

    def test_keys_are_told_apart_by_when_they_were_last_seen(
        self, manager: RagRecordManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def at(day: int) -> float:
            return datetime(2021, 1, day, tzinfo=UTC).timestamp()

        for day in (2, 3, 4):
            monkeypatch.setattr(manager, "get_time", lambda day=day: at(day))
            manager.update([f"key{day}"])
        assert manager.list_keys(before=at(3)) == ["key2"]
        assert manager.list_keys(after=at(3)) == ["key4"]
        assert manager.list_keys(after=at(1), before=at(5)) == ["key2", "key3", "key4"]
        monkeypatch.setattr(manager, "get_time", lambda: at(6))
        manager.update(["key2"])
        assert manager.list_keys(before=at(5)) == ["key3", "key4"]

    def test_keys_are_listed_by_group(self, manager: RagRecordManager) -> None:
        manager.update(["key1", "key2", "key3"], group_ids=["a", "b", None])
        assert manager.list_keys(group_ids=["a"]) == ["key1"]
        assert manager.list_keys(group_ids=["b", "a", "a"]) == ["key1", "key2"]
        assert manager.list_keys(group_ids=["nobody"]) == []
        assert manager.list_keys(group_ids=[]) == []
        many = ["b", *(f"g{n}" * 500 for n in range(6_000))]
        assert manager.list_keys(group_ids=many, limit=1) == ["key2"]

    def test_a_key_that_is_only_seen_again_stays_in_its_group(
        self, manager: RagRecordManager
    ) -> None:
        manager.update(["key1"], group_ids=["a"])
        manager.update(["key1"])
        assert manager.list_keys(group_ids=["a"]) == ["key1"]
        manager.update(["key1"], group_ids=["b"])
        assert manager.list_keys(group_ids=["a"]) == []

    def test_groups_that_do_not_fit_are_refused(self, manager: RagRecordManager) -> None:
        with pytest.raises(ValueError, match="2 keys came with 1 group"):
            manager.update(["key1", "key2"], group_ids=["a"])
        assert manager.list_keys() == []

    def test_a_clock_that_is_behind_is_noticed(self, manager: RagRecordManager) -> None:
        with pytest.raises(ValueError, match="before"):
            manager.update(["key1"], time_at_least=manager.get_time() + 60)
        assert manager.list_keys() == []

    def test_keys_exist_once_they_are_noted(self, manager: RagRecordManager) -> None:
        manager.update(["key1", "key2"])
        asked = ["key2", "key3", "key1", "\x00", "\ud800", ""]
        assert manager.exists(asked) == [True, False, True, False, False, False]
        assert manager.exists([]) == []

    def test_keys_are_forgotten(self, manager: RagRecordManager) -> None:
        manager.update(["key1", "key2", "key3"])
        manager.delete_keys(["key1", "key2", "nobody", "\x00"])
        assert manager.list_keys() == ["key3"]
        manager.delete_keys([])
        assert manager.list_keys() == ["key3"]

    def test_namespaces_know_nothing_of_each_other(
        self, manager: RagRecordManager, rag: RagPipeline
    ) -> None:
        other = RagRecordManager("puppies", pipeline=rag)
        manager.update(["key1"])
        other.update(["key1", "key2"])
        manager.delete_keys(["key1", "key2"])
        assert manager.list_keys() == []
        assert other.list_keys() == ["key1", "key2"]

    def test_its_asynchronous_calls_do_the_same(self, manager: RagRecordManager) -> None:
        async def run() -> None:
            before = await manager.aget_time()
            await manager.aupdate(["key1", "key2"], group_ids=["a", "b"], time_at_least=before)
            assert await manager.aexists(["key1", "key3"]) == [True, False]
            assert await manager.alist_keys(group_ids=["b"]) == ["key2"]
            assert await manager.alist_keys(before=before) == []
            await manager.adelete_keys(["key1"])
            assert await manager.alist_keys() == ["key2"]

        asyncio.run(run())

    def test_a_run_begins_after_all_that_was_noted_before_even_if_the_clock_went_back(
        self, manager: RagRecordManager
    ) -> None:
        ahead = manager.get_time() + timedelta(days=365).total_seconds()
        manager._records.mark({"key1": None}, at=ahead)
        for _ in range(100):
            start = manager.get_time()
            assert manager.list_keys(before=start) == ["key1"]
            manager.update(["key1"], time_at_least=start)
            assert manager.list_keys(before=start) == []

    def test_names_that_could_not_be_kept_are_refused(
        self, manager: RagRecordManager, rag: RagPipeline
    ) -> None:
        for wrong in ("", "a\x00b", "x" * 101):
            with pytest.raises(InvalidRecordError, match="namespace"):
                RagRecordManager(wrong, pipeline=rag)
        for wrong in ("", "a\x00b", "x" * 501, "\ud800"):
            with pytest.raises(InvalidRecordError, match="key"):
                manager.update(["fine", wrong])
        assert manager.list_keys() == []
        manager.update(["x" * 500, "é" * 500], group_ids=["g" * 100_000, "ж" * 9_000])
        assert len(manager.list_keys(group_ids=["g" * 100_000])) == 1
        with pytest.raises(ArgumentError, match="needs a place"):
            RagRecordManager("tests")

    def test_many_keys_at_once(self, manager: RagRecordManager) -> None:
        keys = [f"key{n:05}" for n in range(7_000)]
        manager.update(keys, group_ids=["g"] * len(keys))
        assert manager.list_keys() == keys
        assert all(manager.exists(keys))
        manager.delete_keys(keys[1:])
        assert manager.list_keys() == keys[:1]

    def test_it_remembers_for_another_store_too(self, manager: RagRecordManager) -> None:
        other = InMemoryVectorStore(RagEmbeddings(pipeline=_pipeline_of(manager)))
        for expected in (2, 0):
            done = index(
                [page("a", 1), page("a", 2)],
                manager,
                other,
                cleanup="full",
                source_id_key="source",
                key_encoder="sha256",
            )
            assert done["num_added"] == expected


def _pipeline_of(manager: RagRecordManager) -> RagPipeline:
    return manager.pipeline


def test_1_three_hundred_unchanged_chunks_of_one_source_are_not_embedded_again(
    store: RagVectorStore, embedder: WordEmbedder
) -> None:
    pages = [page("book", n) for n in range(300)]
    assert indexed(pages, store) == (300, 0, 0, 0)
    embedder.embedded.clear()
    for _ in range(2):
        # LangChain itself deletes what its next batch brings back; nothing is embedded for it.
        assert indexed(pages, store) == (200, 0, 100, 200)
        assert embedder.embedded == []
    generation = store.pipeline.doctor().generation
    assert indexed(pages, store, batch_size=300) == (0, 0, 300, 0)
    assert indexed(pages, store, cleanup="scoped_full") == (0, 0, 300, 0)
    assert embedder.embedded == []
    assert store.pipeline.doctor().generation == generation
    assert len(texts_of(store)) == 300


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full", None])
def test_a_changed_page_replaces_the_old_one_as_the_cleanup_says(
    store: RagVectorStore, embedder: WordEmbedder, cleanup: Cleanup | None
) -> None:
    first = [page("a", 1), page("a", 2), page("b", 1)]
    assert indexed(first, store, cleanup=cleanup) == (3, 0, 0, 0)
    assert indexed(first, store, cleanup=cleanup) == (0, 0, 3, 0)
    embedder.embedded.clear()
    second = [page("a", 1), page("a", 2, edition=2)]
    gone = {"incremental": 1, "scoped_full": 1, "full": 2, None: 0}[cleanup]
    assert indexed(second, store, cleanup=cleanup) == (1, 0, 1, gone)
    assert len(embedder.embedded) == 1
    expected = {one.page_content for one in second}
    if cleanup != "full":
        expected.add(first[2].page_content)
    if cleanup is None:
        expected.add(first[1].page_content)
    assert texts_of(store) == sorted(expected)
    assert store.pipeline.doctor().differences == ()


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full", None])
def test_the_same_asynchronously(store: RagVectorStore, cleanup: Cleanup | None) -> None:
    manager = RagRecordManager("tests", store=store)

    async def run(documents: list[Document]) -> tuple[int, int]:
        done = await aindex(
            documents,
            manager,
            store,
            cleanup=cleanup,
            source_id_key="source",
            key_encoder="sha256",
        )
        return done["num_added"], done["num_deleted"]

    assert asyncio.run(run([page("a", 1), page("a", 2)])) == (2, 0)
    gone = 0 if cleanup is None else 1
    assert asyncio.run(run([page("a", 1)])) == (0, gone)
    assert asyncio.run(run([page("a", 3)])) == (1, gone)


def test_a_full_cleanup_of_nothing_empties_the_store(store: RagVectorStore) -> None:
    assert indexed([page("a", 1), page("b", 1)], store, cleanup="full") == (2, 0, 0, 0)
    assert indexed([], store, cleanup="scoped_full") == (0, 0, 0, 0)
    assert indexed([], store, cleanup="full") == (0, 0, 0, 2)
    assert texts_of(store) == []


def test_a_page_twice_in_one_run_is_one(store: RagVectorStore) -> None:
    assert indexed([page("a", 1), page("a", 1)], store) == (1, 0, 1, 0)


def test_what_is_forced_is_written_anew_and_not_embedded_again(
    store: RagVectorStore, embedder: WordEmbedder
) -> None:
    pages = [page("a", 1), page("a", 2)]
    indexed(pages, store)
    embedder.embedded.clear()
    assert indexed(pages, store, force_update=True) == (0, 2, 0, 0)
    assert embedder.embedded == []


def test_what_was_deleted_from_the_store_otherwise_is_indexed_again(
    store: RagVectorStore,
) -> None:
    pages = [page("a", 1), page("a", 2)]
    indexed(pages, store)
    found = store.similarity_search("text 1", k=1)[0]
    store.delete([found.id or ""])
    assert indexed(pages, store) == (1, 0, 1, 0)
    assert texts_of(store) == sorted(one.page_content for one in pages)


def test_3_an_embedder_that_fails_in_an_update_loses_nothing_and_the_next_run_repairs(
    store: RagVectorStore, embedder: WordEmbedder, tmp_path: Path, database_url: str
) -> None:
    old, new = [page("a", 1), page("a", 2)], [page("a", 1), page("a", 2, edition=2)]
    indexed(old, store)
    embedder.fails = True
    for _ in range(2):
        with pytest.raises(EmbeddingError):
            indexed(new, store)
        with word_pipeline(tmp_path / "kb", database=database_url) as reader:
            assert texts_of(RagVectorStore(reader)) == sorted(one.page_content for one in old)
    embedder.fails = False
    assert indexed(old, store) == (0, 0, 2, 0)
    assert indexed(new, store) == (1, 0, 1, 1)
    assert texts_of(store) == sorted(one.page_content for one in new)
    assert store.pipeline.doctor().differences == ()


def test_a_run_that_stops_before_its_records_are_noted_loses_nothing(
    store: RagVectorStore, embedder: WordEmbedder
) -> None:
    class StoppedError(Exception):
        pass

    class StoppingManager(RagRecordManager):
        def update(self, *arguments: Any, **options: Any) -> None:
            raise StoppedError

    pages = [page("a", n) for n in range(5)]
    with pytest.raises(StoppedError):
        index(
            pages,
            StoppingManager("tests", store=store),
            store,
            cleanup="incremental",
            source_id_key="source",
            key_encoder="sha256",
        )
    embedder.embedded.clear()
    assert indexed(pages, store) == (5, 0, 0, 0)
    assert embedder.embedded == []
    assert len(texts_of(store)) == 5
