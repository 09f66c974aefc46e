"""Near duplicates and boilerplate through the whole pipeline, on both databases.

What is found, what is held back and for whom, and what is embedded, however texts, labels and
settings change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.make import sha256
from ingest.report import IngestReport
from rag_pipeline import deduplication
from rag_pipeline.deduplication import Explanation
from rag_pipeline.pipeline import RagPipeline
from storage.errors import NotFoundError
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, SourceRow, TextKeyRow
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
        self.embedded_ever: dict[str, str] = {}

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
        self.embedded_ever |= {sha256(text): text for text in self.embedder.embedded}
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
            reader = parts_of(rag).reader
            collection_id = reader.collection(collection, principal=LOCAL_OWNER).collection_id
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

    def embedded(self) -> list[str]:
        """What the chunks that can be found were embedded as."""
        live = select(ChunkRow.embedded_sha256).where(ChunkRow.to_generation.is_(None))
        with self.open() as rag, parts_of(rag).database.read() as connection:
            return sorted(self.embedded_ever[key] for key in connection.execute(live).scalars())

    def changes(self, generation: int) -> int:
        with self.open() as rag, parts_of(rag).database.read() as connection:
            logged = select(func.count()).where(ChangeRow.generation == generation)
            return connection.execute(logged).scalar_one()


@pytest.fixture
def shelf(tmp_path: Path, database_url: str) -> Shelf:
    return Shelf(tmp_path / "kb", database_url)


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
        assert (report.chunks_added, report.embedded) == (0, 0)

    def test_a_copy_in_the_batch_of_its_original_is_not_embedded_either(self, shelf: Shelf) -> None:
        assert shelf.put({"a": A, "b": B, "c": C}).embedded == 1

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
        report = shelf.put(
            {"1": "Closed on Monday the first.", "2": "Closed on Monday, the first!"}
        )
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

    def test_a_linked_text_is_an_original_once_its_own_is_gone(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "b": B}, "link")
        shelf.put({"b": B}, "link")
        assert shelf.near() == {}
        shelf.put({"b": B, "a": A}, "link")
        assert shelf.near() == {"a": "b"}

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

    def test_in_one_batch_a_copy_is_for_whom_its_sources_are(self, shelf: Shelf) -> None:
        shelf.put({"b": B}, source="1", labels=SECRET)
        shelf.put({"a": A, "b2": B})
        assert shelf.found(principal=PUBLIC)
        assert shelf.found(principal=STAFF)


HEAD = "Harbour Trading Company, Quay Street 7"
FOOT = "Kind regards, your harbour office"
SUBJECTS = ["otters", "lanterns", "barrels", "anchors", "compasses", "gulls", "sails", "ropes"]


def letter(number: int) -> str:
    subject = SUBJECTS[number]
    return (
        f"{HEAD}\n\nAbout your {subject}\nWe have counted {subject} {number} times over,"
        f" and found the {subject} wanting in weight and colour.\n\n{FOOT}\n"
    )


def letters(*numbers: int) -> dict[str, str]:
    return {str(number): letter(number) for number in numbers}


class TestBoilerplate:
    """Here a line is boilerplate once it stands in three texts."""

    def put(
        self, shelf: Shelf, texts: Mapping[str, str], policy: str = "skip", **options: Any
    ) -> IngestReport:
        return shelf.put(texts, policy, **{"boilerplate_after": 3, **options})

    def test_with_the_third_letter_the_letterhead_is_embedded_of_none(self, shelf: Shelf) -> None:
        self.put(shelf, letters(0, 1))
        assert all(HEAD in text and FOOT in text for text in shelf.embedder.embedded)
        before = self.put(shelf, letters(0, 1))
        report = self.put(shelf, letters(0, 1, 2))
        assert report.generation == before.generation + 1
        assert counts(report) == {"unchanged": 2, "new": 1}
        assert len(shelf.embedded()) == 3
        assert not any(HEAD in text or FOOT in text for text in shelf.embedded())

    @pytest.mark.parametrize("batch", [1, 2, 256])
    def test_letters_in_batches_of_any_size_come_to_the_same(
        self, shelf: Shelf, batch: int
    ) -> None:
        self.put(shelf, letters(*range(5)), batch=batch)
        alone = Shelf(shelf.home.parent / "alone", f"sqlite:///{shelf.home.parent / 'alone.db'}")
        self.put(alone, letters(*range(5)))
        assert embedded_of(shelf) == embedded_of(alone)

    def test_the_stored_text_and_its_chunks_keep_the_line_and_keywords_find_it(
        self, shelf: Shelf
    ) -> None:
        self.put(shelf, letters(0, 1, 2))
        with shelf.open() as rag:
            hits = rag.search("Quay Street", mode="keyword").hits
        assert {hit.chunk.sources[0].external_id for hit in hits} == {"0", "1", "2"}
        for hit in hits:
            said = letter(int(hit.chunk.sources[0].external_id)).strip()
            assert said[hit.chunk.start : hit.chunk.end] == hit.chunk.text
            assert HEAD in hit.chunk.text

    def test_removing_letters_changes_nothing_for_the_others(self, shelf: Shelf) -> None:
        self.put(shelf, letters(0, 1, 2, 3))
        before = shelf.chunks()
        report = self.put(shelf, letters(0))
        assert report.embedded == 0
        assert set(shelf.chunks()) < set(before)

    def test_one_letter_in_many_places_is_not_many_letters(self, shelf: Shelf) -> None:
        self.put(shelf, {name: letter(0) for name in "abcde"})
        assert all(HEAD in text for text in shelf.embedded())

    def test_near_duplicates_do_not_make_a_line_boilerplate(self, shelf: Shelf) -> None:
        texts = {
            str(number): f"{HEAD}\n\n{text}\n\n{FOOT}\nEnd of letter"
            for number, text in enumerate((A, B, C))
        }
        self.put(shelf, texts, "link")
        assert len(shelf.near()) == 2
        assert len(shelf.embedded()) == 3
        assert all(HEAD in text for text in shelf.embedded())

    def test_a_copy_goes_without_the_line_as_well(self, shelf: Shelf) -> None:
        self.put(shelf, letters(0, 1, 2), "link")
        body = f"{HEAD}\n\n{A}\n\n{FOOT}\nEnd of letter"
        self.put(shelf, {**letters(0, 1, 2), "a": body}, "link")
        self.put(shelf, {**letters(0, 1, 2), "a": body, "b": body.replace("every", "evry")}, "link")
        assert shelf.near() == {"b": "a"}
        assert len(shelf.embedded()) == 5
        assert not any(HEAD in text for text in shelf.embedded())

    def test_passages_of_one_line_have_no_edges(self, shelf: Shelf) -> None:
        texts = {str(n): f"{HEAD}. We send {name}." for n, name in enumerate(SUBJECTS)}
        self.put(shelf, texts)
        assert len(shelf.embedder.embedded) == len(SUBJECTS)
        with shelf.open() as rag, parts_of(rag).database.read() as connection:
            kept = select(func.count()).where(TextKeyRow.kind == "edge")
            assert connection.execute(kept).scalar_one() == 0

    def test_a_text_that_is_boilerplate_alone_is_embedded_whole(self, shelf: Shelf) -> None:
        texts = letters(0, 1, 2)
        self.put(shelf, texts)
        bare = f"{HEAD}\n{HEAD}\n{FOOT}\n{FOOT}"
        self.put(shelf, {**texts, "bare": bare}, "link")
        assert "bare" in shelf.found("Quay Street", mode="keyword")
        assert any(HEAD in text for text in shelf.embedder.embedded)

    def test_zero_leaves_every_line_where_it_is(self, shelf: Shelf) -> None:
        self.put(shelf, letters(*range(6)), boilerplate_after=0)
        assert all(HEAD in text for text in shelf.embedded())
        self.put(shelf, letters(*range(6)))
        assert not any(HEAD in text for text in shelf.embedded())
        again = self.put(shelf, letters(*range(6)), boilerplate_after=0)
        assert again.embedded == 0  # those vectors were kept

    def test_lines_of_other_collections_do_not_count(self, shelf: Shelf) -> None:
        self.put(shelf, letters(0, 1), collection="one")
        self.put(shelf, letters(2), collection="two")
        assert HEAD in shelf.embedder.embedded[0]

    def test_a_renewed_letter_under_another_policy_leaves_no_copy_without_original(
        self, shelf: Shelf
    ) -> None:
        framed = {name: f"{HEAD}\n\n{text}\n\n{FOOT}\nEnd" for name, text in (("a", A), ("b", B))}
        shelf.put({"b": framed["b"]}, source="two")
        self.put(shelf, {"b": framed["b"]}, source="two")
        self.put(shelf, {"a": framed["a"]}, "keep", source="one")
        self.put(shelf, letters(0, 1), source="three")
        assert shelf.found()


def embedded_of(shelf: Shelf) -> set[tuple[str, int, str]]:
    """What was embedded of each text, by the hashes of both."""
    with shelf.open() as rag, parts_of(rag).database.read() as connection:
        statement = (
            select(DocumentRow.content_sha256, ChunkRow.start_offset, ChunkRow.embedded_sha256)
            .join(ChunkRow, ChunkRow.document_id == DocumentRow.document_id)
            .where(ChunkRow.to_generation.is_(None))
        )
        return {(row[0], row[1], row[2]) for row in connection.execute(statement)}


class TestExplain:
    def explain(
        self, shelf: Shelf, name: str, principal: Principal = LOCAL_OWNER, **dedup: Any
    ) -> Explanation:
        with shelf.open(dedup=dedup) as rag:
            return deduplication.explain(
                parts_of(rag), name, collection="default", principal=principal
            )

    def report(self, shelf: Shelf, principal: Principal = LOCAL_OWNER, **dedup: Any) -> Any:
        with shelf.open(dedup=dedup) as rag:
            found = deduplication.report(parts_of(rag), collection="default", principal=principal)
        return found.as_json()

    def test_a_copy_names_its_original_and_where_they_differ(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "b": B, "c": C})
        found = self.explain(shelf, "b", near_duplicates="skip")
        assert found.is_held_back
        assert "skip" in found.reason
        assert found.original is not None
        assert [ref.external_id for ref in found.original.sources] == ["a"]
        assert 0.7 <= found.original.similarity < 1
        assert [(d.after, d.original, d.text) for d in found.differences] == [
            ("vessel that anchors", "", "just"),
            ("the page by", "lamp light", "lamplight"),
        ]

    def test_an_original_names_its_copies(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "a2": A, "b": B, "c": C})
        found = self.explain(shelf, "a")
        assert (found.original, found.is_held_back) == (None, False)
        assert [ref.external_id for ref in found.sources] == ["a", "a2"]
        assert {ref.external_id for near in found.near for ref in near.sources} == {"b", "c"}
        assert all(near.is_held_back for near in found.near)

    @pytest.mark.parametrize(
        ("texts", "name", "policy", "said"),
        [
            ({"a": A, "b": B}, "b", "link", "link"),
            ({"a": A, "b": B}, "b", "keep", "keep"),
            ({"a": A, "long": LONG}, "long", "skip", "longer"),
            ({"a": "A few words."}, "a", "skip", "under 12 words"),
            ({"a": A}, "a", "skip", "no text that was there before"),
        ],
    )
    def test_the_reason_is_said(
        self, shelf: Shelf, texts: dict[str, str], name: str, policy: str, said: str
    ) -> None:
        shelf.put(texts, policy)
        assert said in self.explain(shelf, name, near_duplicates=policy).reason

    def test_a_text_has_many_names(self, shelf: Shelf, tmp_path: Path) -> None:
        path = tmp_path / "100%_harbour" / "ledger.txt"
        path.parent.mkdir()
        path.write_text(A)
        with shelf.open() as rag:
            rag.ingest(tmp_path)
        whole = self.explain(shelf, "100%_harbour/ledger.txt")
        uri = whole.sources[0].source
        names = [str(whole.document_id), uri, uri[5:], "ledger.txt", "%_harbour/ledger.txt"]
        assert {self.explain(shelf, name).document_id for name in names} == {whole.document_id}

    @pytest.mark.parametrize("name", ["", "nothing", "%", "_", "0", "9" * 30, "²", "a'--", "\x00"])
    def test_an_unknown_name_is_not_found(self, shelf: Shelf, name: str) -> None:
        shelf.put({"a": A})
        with pytest.raises(NotFoundError, match="no document"):
            self.explain(shelf, name)

    def test_a_name_of_several_texts_asks_for_more(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="one")
        shelf.put({"a": OTHER}, source="two")
        with pytest.raises(NotFoundError, match="more than one text"):
            self.explain(shelf, "a")

    def test_what_is_unreadable_looks_like_what_is_missing(self, shelf: Shelf) -> None:
        shelf.put({"a": A}, source="safe", labels=SECRET)
        shelf.put({"b": B})
        messages = []
        for name in ("a", "x", "1"):
            with pytest.raises(NotFoundError) as caught:
                self.explain(shelf, name, PUBLIC)
            messages.append(str(caught.value).replace(repr(name), "…"))
        assert len(set(messages)) == 1

    def test_an_unreadable_original_is_none(self, shelf: Shelf) -> None:
        shelf.put({"secret-a": A}, source="safe", labels=SECRET)
        shelf.put({"b": B})
        found = self.explain(shelf, "b", PUBLIC, near_duplicates="skip")
        assert (found.original, found.differences, found.is_held_back) == (None, (), False)
        assert "secret" not in str(found)
        assert "original" not in found.reason
        shown = self.report(shelf, PUBLIC)
        assert (shown["sources"], shown["near_duplicates"]) == (1, {"linked": 0, "held_back": 0})
        assert shown["largest_near"] == []

    def test_an_unreadable_copy_is_not_shown_either(self, shelf: Shelf) -> None:
        shelf.put({"a": A})
        shelf.put({"b": B, "a2": A}, source="safe", labels=SECRET)
        found = self.explain(shelf, "a", PUBLIC)
        assert (len(found.sources), found.near) == (1, ())
        shown = self.report(shelf, PUBLIC)
        assert (shown["exact_duplicates"], shown["largest_exact"]) == (0, [])

    def test_lines_that_are_not_embedded_are_shown_with_how_many_texts_have_them(
        self, shelf: Shelf
    ) -> None:
        shelf.put(letters(0, 1, 2), boilerplate_after=3)
        found = self.explain(shelf, "1", boilerplate_after=3)
        assert [(line.text, line.texts) for line in found.left_out] == [(HEAD, 3), (FOOT, 3)]
        assert letter(1)[found.left_out[0].start : found.left_out[0].end] == HEAD
        assert self.explain(shelf, "1", boilerplate_after=4).left_out == ()
        assert self.explain(shelf, "1", boilerplate_after=0).left_out == ()

    def test_the_report_counts_what_came_more_than_once(self, shelf: Shelf) -> None:
        texts = {"a": A, "a2": A, "a3": A, "b": B, "long": LONG, "o": OTHER, **letters(0, 1, 2)}
        shelf.put(texts, boilerplate_after=3)
        shown = self.report(shelf, near_duplicates="skip", boilerplate_after=3)
        chunks = len(shelf.chunks())
        assert {name: shown[name] for name in ("sources", "texts", "chunks")} == {
            "sources": 9,
            "texts": 7,
            "chunks": chunks,
        }
        assert shown["exact_duplicates"] == 2
        assert shown["near_duplicates"] == {"linked": 1, "held_back": 1}
        assert shown["embeddings_saved"] == 3  # one chunk of A twice, one of B
        assert [group["size"] for group in shown["largest_exact"]] == [3]
        assert [group["size"] for group in shown["largest_near"]] == [3]
        assert shown["boilerplate_lines"] == 2
        assert {line["text"]: line["texts"] for line in shown["boilerplate"]} == {HEAD: 3, FOOT: 3}

    def test_what_went_is_not_counted(self, shelf: Shelf) -> None:
        shelf.put({"a": A, "a2": A, "b": B, **letters(0, 1, 2)}, boilerplate_after=3)
        shelf.put({"o": OTHER}, boilerplate_after=3)
        shown = self.report(shelf, boilerplate_after=3)
        assert (shown["sources"], shown["texts"], shown["boilerplate_lines"]) == (1, 1, 0)


@pytest.mark.parametrize("policy", ["link", "skip"])
def test_a_batch_asks_the_database_as_often_however_many_copies_it_holds(
    shelf: Shelf, policy: str
) -> None:
    """What each text is compared with is read for all of them at once."""

    def originals(*numbers: int) -> dict[str, str]:
        return {f"o{n}": " ".join(f"word{n}x{place}" for place in range(30)) + "." for n in numbers}

    def look_ups(few: range) -> int:
        """How often documents are asked for while a copy of each of `few` is ingested."""
        asked: list[str] = []
        records = [
            {"_id": f"c{name}", "text": f"{text} More."} for name, text in originals(*few).items()
        ]
        with shelf.open(dedup={"near_duplicates": policy}) as rag:
            engine = parts_of(rag).database.engine
            event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
            report = rag.ingest_records(records, source="copies")
        assert report.documents.near_duplicate == len(few)
        return sum("FROM documents" in said for said in asked)

    shelf.put(originals(*range(40)), policy)
    assert look_ups(range(1)) == look_ups(range(1, 40))
