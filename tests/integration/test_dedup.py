"""Near duplicates and boilerplate through the whole pipeline, on both databases: what is found, what
is held back and for whom, and what is embedded, however texts, labels and settings change."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.report import IngestReport
from rag_pipeline.pipeline import RagPipeline
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, SourceRow
from storage.records import LOCAL_OWNER, Principal

PUBLIC = Principal(name="guest")
STAFF = Principal(name="sue", labels=frozenset({"staff"}))
SECRET = frozenset({"secret"})

A = (
    "The harbour master keeps a ledger of every vessel that anchors below the northern cliff,"
    " noting its tonnage, its cargo, the name of the captain and the hour of the tide, and each"
    " evening he copies the page by lamp light for the archive of the town."
)
B = A.replace("anchors below", "anchors just below").replace("lamp light", "lamplight")
C = A.replace("evening he copies", "evening copies").replace("captain", "captian")
SHORT = A.removesuffix(" for the archive of the town.") + "."
LONG = A + " On Sundays the ledger rests, and the harbour is given over to the herons alone."
OTHER = (
    "Bakers rise at three to feed their sourdough, whose wild yeast needs eight hours in a cool"
    " cellar before the loaves are shaped, scored with a razor and slid into the brick oven."
)
QUERY = "harbour master ledger of vessels"


class Shelf:
    """One database whose documents are named and given in whole, under any settings."""

    def __init__(self, home: Path, database: str) -> None:
        self.home, self.database = home, database
        self.embedder = WordEmbedder(max_tokens=64)

    def open(self, *, principal: Principal = LOCAL_OWNER, **settings: Any) -> RagPipeline:
        return word_pipeline(
            self.home,
            database=self.database,
            embedder=self.embedder,
            principal=principal,
            **settings,
        )

    def put(
        self,
        texts: Mapping[str, str | tuple[str, str]],
        policy: str = "skip",
        *,
        source: str = "shelf",
        collection: str = "default",
        labels: frozenset[str] = frozenset(),
        generator: str | None = None,
        batch: int = 256,
        **dedup: Any,
    ) -> IngestReport:
        """Make `texts`, or titles with texts, all that there is of `source`."""
        records = [
            {"_id": name, "title": said[0], "text": said[1]}
            if isinstance(said, tuple)
            else {"_id": name, "text": said}
            for name, said in texts.items()
        ]
        self.embedder.embedded.clear()
        with self.open(
            dedup={"near_duplicates": policy, **dedup}, batching={"max_documents": batch}
        ) as rag:
            report = rag.ingest_records(
                records,
                source=source,
                collection=collection,
                prune=True,
                read_labels=labels,
                generator_id=generator,
            )
            assert rag.doctor().differences == ()
        return report

    def found(
        self, query: str = QUERY, principal: Principal = LOCAL_OWNER, **options: Any
    ) -> set[str]:
        """The names of all that a search finds."""
        with self.open(principal=principal) as rag:
            hits = rag.search(query, limit=100, **options).hits
        return {ref.external_id for hit in hits for ref in hit.chunk.sources}

    def near(self, collection: str = "default") -> dict[str, str]:
        """By name, what a stored text is nearly the same as; "-" before it if it is held back."""
        with self.open() as rag:
            collection_id = parts_of(rag).reader.collection(collection).collection_id
            with parts_of(rag).database.read() as connection:
                rows = connection.execute(
                    select(DocumentRow.__table__, SourceRow.external_id)
                    .join(SourceRow, SourceRow.document_id == DocumentRow.document_id)
                    .where(
                        DocumentRow.collection_id == collection_id,
                        DocumentRow.to_generation.is_(None),
                        SourceRow.to_generation.is_(None),
                    )
                ).all()
        name_of = {row.content_sha256: row.external_id for row in reversed(rows)}
        return {
            row.external_id: f"{'-' if row.is_held_back else ''}{name_of[row.near_sha256]}"
            for row in rows
            if row.near_sha256 is not None
        }

    def chunks(self) -> list[int]:
        with self.open() as rag, parts_of(rag).database.read() as connection:
            live = select(ChunkRow.chunk_id).where(ChunkRow.to_generation.is_(None))
            return sorted(connection.execute(live).scalars())

    def changes(self, generation: int) -> int:
        with self.open() as rag, parts_of(rag).database.read() as connection:
            logged = select(func.count()).where(ChangeRow.generation == generation)
            return connection.execute(logged).scalar_one()


@pytest.fixture
def shelf(tmp_path: Path, database_url: str) -> Iterator[Shelf]:
    yield Shelf(tmp_path / "kb", database_url)


def counts(report: IngestReport) -> dict[str, int]:
    return {name: n for name, n in report.as_json()["documents"].items() if n}


class TestPolicies:
    def test_link_notes_what_a_text_is_like_and_still_finds_it(self, shelf: Shelf) -> None:
        report = shelf.put({"a": A, "b": B, "other": OTHER}, "link")
        assert counts(report) == {"new": 2, "near_duplicate": 1}
        assert shelf.near() == {"b": "a"}
        assert shelf.found() == {"a", "b", "other"}

    def test_keep_treats_near_duplicates_like_any_text(self, shelf: Shelf) -> None:
        assert counts(shelf.put({"a": A, "b": B}, "keep")) == {"new": 2}
        assert shelf.near() == {}
        assert shelf.found() == {"a", "b"}

    def test_skip_keeps_the_copy_out_of_search_and_embeds_nothing_of_it(self, shelf: Shelf) -> None:
        shelf.put({"a": A})
        report = shelf.put({"a": A, "b": B})
        assert counts(report) == {"unchanged": 1, "near_duplicate": 1}
        assert (shelf.near(), shelf.found()) == ({"b": "-a"}, {"a"})
        assert report.chunks_added == 0

    @pytest.mark.parametrize("batch", [1, 2, 256])
    def test_batches_of_any_size_come_to_the_same(self, shelf: Shelf, batch: int) -> None:
        report = shelf.put({"a": A, "o": OTHER, "b": B, "c": C}, batch=batch)
        assert counts(report) == {"new": 2, "near_duplicate": 2}
        assert (shelf.near(), shelf.found()) == ({"b": "-a", "c": "-a"}, {"a", "o"})

    def test_an_equal_text_is_a_duplicate_even_of_a_held_back_one(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "b": B})
        report = shelf.put({"a": A, "b": B, "b2": B})
        assert counts(report) == {"unchanged": 2, "duplicate": 1}
        assert shelf.near() == {"b": "-a", "b2": "-a"}

    def test_a_longer_text_is_linked_but_never_held_back(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "long": LONG, "short": SHORT})
        assert shelf.near() == {"long": "a", "short": "-a"}
        assert "long" in shelf.found("herons on sundays")

    def test_texts_of_a_few_words_are_never_near_duplicates(self, shelf: Shelf) -> None:
        report = shelf.put({"1": "Closed on Monday the first.", "2": "Closed on Monday, the first!"})
        assert counts(report) == {"new": 2}

    def test_collections_never_mix(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, collection="one")
        report = shelf.put({"b": B}, collection="two")
        assert counts(report) == {"new": 1}
        assert shelf.found(collection="two") == {"b"}

    def test_unchanged_texts_change_nothing_under_any_policy(self, shelf: Shelf) -> None:
        for policy in ("keep", "link", "skip"):
            first = shelf.put({"a": A, "b": B, "c": C}, policy)
            again = shelf.put({"a": A, "b": B, "c": C}, policy)
            assert counts(again) == {"unchanged": 3}
            assert again.generation == first.generation


class TestChanges:
    def test_a_new_version_is_no_near_duplicate_of_the_one_it_replaces(self, shelf: Shelf) -> None:
        shelf.put({"a": A})
        assert counts(shelf.put({"a": B})) == {"changed": 1}
        assert (shelf.near(), shelf.found()) == ({}, {"a"})

    def test_a_moved_file_is_no_near_duplicate(self, shelf: Shelf, tmp_path: Path) -> None:
        docs = tmp_path / "docs"
        docs.mkdir()
        (docs / "old.txt").write_text(A)
        with shelf.open(dedup={"near_duplicates": "skip"}) as rag:
            rag.ingest(docs, prune=True)
            (docs / "old.txt").rename(docs / "new.txt")
            report = rag.ingest(docs, prune=True)
            assert counts(report) == {"duplicate": 1, "deleted": 1}
            assert report.embedded == 0
        assert (shelf.near(), shelf.found()) == ({}, {"new.txt"})

    @pytest.mark.parametrize("batch", [1, 256])
    def test_a_file_moved_and_edited_is_found_once_its_former_place_is_gone(
        self, shelf: Shelf, batch: int
    ) -> None:
        shelf.put({"a": A, "o": OTHER})
        shelf.put({"moved": B, "o": OTHER}, batch=batch)
        assert (shelf.near(), shelf.found()) == ({}, {"moved", "o"})

    def test_a_held_back_text_comes_alive_in_the_generation_that_takes_its_original(
        self, shelf: Shelf
    ) -> None:
        before = shelf.put({"a": A, "b": B})
        report = shelf.put({"b": B})
        assert counts(report) == {"unchanged": 1, "deleted": 1}
        assert report.generation == before.generation + 1
        assert (shelf.near(), shelf.found()) == ({}, {"b"})

    def test_when_the_original_changes_its_copy_comes_alive_at_once(self, shelf: Shelf) -> None:
        before = shelf.put({"a": A, "b": B})
        report = shelf.put({"a": OTHER, "b": B})
        assert report.generation == before.generation + 1
        assert (shelf.near(), shelf.found()) == ({}, {"a", "b"})

    @pytest.mark.parametrize("batch", [1, 256])
    def test_of_the_copies_of_a_text_that_goes_one_is_found(self, shelf: Shelf, batch: int) -> None:
        shelf.put({"a": A, "b": B, "c": C, "short": SHORT})
        shelf.put({"b": B, "c": C, "short": SHORT}, batch=batch)
        near = shelf.near()
        originals = {"b", "c", "short"} - near.keys()
        assert all(original.lstrip("-") in originals for original in near.values())
        assert originals <= shelf.found()

    @pytest.mark.parametrize("batch", [1, 2, 256])
    @pytest.mark.parametrize("left", ["a", "b", "c", "bc", "ac", ""])
    def test_any_of_a_family_may_go_at_once(self, shelf: Shelf, left: str, batch: int) -> None:
        family = {"a": A, "b": B, "c": C}
        shelf.put({**family, "o": OTHER})
        report = shelf.put({**{name: family[name] for name in left}, "o": OTHER}, batch=batch)
        assert counts(report).get("deleted", 0) == 3 - len(left)
        found = shelf.found() - {"o"}
        assert found <= set(left)
        assert bool(found) == bool(left)

    def test_a_copy_of_a_copy_is_compared_with_originals_alone(self, shelf: Shelf) -> None:
        words = [f"word{number}" for number in range(60)]
        first, middle, last = (" ".join(words[at : at + 40]) for at in (0, 10, 20))
        shelf.put({"first": first, "middle": middle, "last": last})
        assert shelf.near() == {"middle": "-first"}
        assert shelf.found("word58") >= {"last"}
        shelf.put({"middle": middle, "last": last})
        near = shelf.near()
        assert near in ({"middle": "-last"}, {"last": "-middle"})

    def test_a_new_title_of_the_original_leaves_its_copies_where_they_are(
        self, shelf: Shelf
    ) -> None:
        shelf.put({"a": ("Ledger", A), "b": ("Ledger", B)})
        shelf.put({"a": ("Notebook", A), "b": ("Ledger", B)})
        assert (shelf.near(), shelf.found()) == ({"b": "-a"}, {"a"})
        shelf.put({"a": ("Notebook", A), "b": ("Diary", B)})
        assert (shelf.near(), shelf.found()) == ({"b": "-a"}, {"a"})

    def test_an_original_that_keeps_one_source_keeps_its_copies(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "a2": A, "b": B})
        shelf.put({"a2": A, "b": B})
        assert (shelf.near(), shelf.found()) == ({"b": "-a2"}, {"a2"})

    def test_a_held_back_text_leaves_nothing_behind(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "b": B})
        chunks = shelf.chunks()
        report = shelf.put({"a": A})
        assert counts(report) == {"unchanged": 1, "deleted": 1}
        assert shelf.chunks() == chunks


class TestSettings:
    @pytest.mark.parametrize("batch", [1, 256])
    def test_each_policy_takes_hold_when_texts_come_again(self, shelf: Shelf, batch: int) -> None:
        texts = {"a": A, "b": B, "c": C}
        for policy in ("keep", "link", "skip", "keep", "skip", "link", "keep"):
            shelf.put(texts, policy, batch=batch)
            mark = "-" if policy == "skip" else ""
            expected = {} if policy == "keep" else {"b": f"{mark}a", "c": f"{mark}a"}
            assert shelf.near() == expected
            assert shelf.found() == ({"a"} if policy == "skip" else {"a", "b", "c"})

    def test_a_policy_that_changes_nothing_for_a_text_leaves_its_chunks(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "b": B}, "keep")
        chunks = shelf.chunks()
        shelf.put({"a": A, "b": B}, "skip")
        assert set(shelf.chunks()) < set(chunks)
        report = shelf.put({"a": A, "b": B}, "keep")
        assert report.embedded == 0  # its vectors were kept

    def test_a_policy_that_some_texts_never_came_to_know_makes_no_hole(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="one")
        shelf.put({"b": B}, source="two")
        shelf.put({"a": A}, "keep", source="one")
        shelf.put({"c": C}, source="three")
        shelf.put({"a": A}, source="one")
        assert shelf.found()
        shelf.put({}, source="three")
        shelf.put({}, source="one")
        assert (shelf.near(), shelf.found()) == ({}, {"b"})

    def test_another_least_similarity_is_applied_when_texts_come_again(self, shelf: Shelf) -> None:
        texts = {"a": A, "b": B, "o": OTHER}
        shelf.put(texts, min_similarity=1.0)
        assert shelf.near() == {}
        shelf.put(texts, min_similarity=0.7)
        assert shelf.near() == {"b": "-a"}
        shelf.put(texts, min_similarity=1.0)
        assert (shelf.near(), shelf.found()) == ({}, {"a", "b", "o"})

    def test_chunk_settings_that_cut_a_text_as_before_rewrite_none_of_it(
        self, shelf: Shelf
    ) -> None:
        records = [{"_id": "short", "text": "Tea is made of leaves."}, {"_id": "a", "text": A}]
        with shelf.open(chunking={"max_tokens": 64}) as rag:
            rag.ingest_records(records, source="s")
        before = shelf.chunks()
        with shelf.open(chunking={"max_tokens": 63}) as rag:
            same = rag.ingest_records(records, source="s")
        assert shelf.chunks() == before
        assert (shelf.changes(same.generation), same.embedded) == (0, 0)
        with shelf.open(chunking={"max_tokens": 24}) as rag:
            other = rag.ingest_records(records, source="s")
            assert rag.doctor().differences == ()
        after = shelf.chunks()
        assert len(set(before) & set(after)) == 1
        assert other.embedded == len(after) - 1


class TestReaders:
    def test_who_may_not_read_the_original_finds_the_copy(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="safe", labels=SECRET)
        shelf.put({"b": B})
        assert shelf.near() == {"b": "a"}
        assert shelf.found(principal=PUBLIC) == {"b"}

    @pytest.mark.parametrize(
        ("original", "copy", "is_held_back"),
        [
            ("", "", True),
            ("", "secret", True),
            ("secret", "secret", True),
            ("secret staff", "secret", True),
            ("secret", "secret staff", False),
            ("secret", "staff", False),
            ("secret", "", False),
        ],
    )
    def test_a_text_is_held_back_only_where_all_its_readers_may_read_the_original(
        self, shelf: Shelf, original: str, copy: str, is_held_back: bool
    ) -> None:
        shelf.put({"a": A}, source="1", labels=frozenset(original.split()))
        shelf.put({"b": B}, source="2", labels=frozenset(copy.split()))
        assert shelf.near() == {"b": "-a" if is_held_back else "a"}

    def test_labels_of_several_sources_count_together(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="1", labels=SECRET)
        shelf.put({"b": B}, source="2", labels=frozenset({"staff"}))
        assert shelf.near() == {"b": "a"}
        shelf.put({"a2": A}, source="3", labels=frozenset({"staff"}))
        assert shelf.near()["b"].startswith("-")
        shelf.put({"b2": B}, source="4", labels=frozenset({"others"}))
        assert not shelf.near()["b"].startswith("-")

    def test_an_original_that_becomes_secret_frees_its_copy_at_once(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="1")
        shelf.put({"b": B}, source="2")
        assert shelf.found(principal=PUBLIC) == {"a"}
        shelf.put({"a": A}, "link", source="1", labels=SECRET)
        assert shelf.found(principal=PUBLIC) == {"b"}
        shelf.put({"a": A}, source="1")
        assert shelf.found(principal=PUBLIC) == {"a"}

    def test_an_original_that_loses_its_open_source_frees_its_copy(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="1")
        shelf.put({"a": A}, source="2", labels=SECRET)
        shelf.put({"b": B}, source="3")
        assert shelf.found(principal=PUBLIC) == {"a"}
        shelf.put({}, source="1")
        assert shelf.found(principal=PUBLIC) == {"b"}

    def test_a_held_back_text_that_gains_an_open_source_is_found_there(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="1", labels=SECRET)
        shelf.put({"b": B}, source="2", labels=SECRET)
        assert shelf.near() == {"b": "-a"}
        shelf.put({"b2": B}, source="3")
        assert shelf.found(principal=PUBLIC) == {"b2"}
        shelf.put({}, source="3")
        assert shelf.near() == {"b": "-a"}

    def test_a_real_text_is_never_held_back_for_a_synthetic_one(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="made", generator="copyist")
        shelf.put({"b": B})
        assert shelf.found() == {"b"}

    def test_nor_a_synthetic_one_for_a_real_one(self, shelf: Shelf) -> None:
        shelf.put({"a": A})
        shelf.put({"b": B}, source="made", generator="copyist")
        assert shelf.found(origins="synthetic") == {"b"}
        shelf.put({"c": C}, source="made", generator="copyist")
        assert shelf.found(origins="synthetic") == {"c"}

    def test_in_one_batch_a_copy_is_for_whom_its_sources_are(
        self, shelf: Shelf
    ) -> None:
        shelf.put({"b": B}, source="1", labels=SECRET)
        shelf.put({"a": A, "b2": B})
        assert shelf.found(principal=PUBLIC)
        assert shelf.found(principal=STAFF)
