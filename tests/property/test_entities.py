"""Mentions stand where they say in any text, and follow a corpus however it changes."""

import shutil
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.entities.following import catch_up
from rag_pipeline.entities.recognise import RuleRecogniser
from storage.entities import EntityReader, EntityWriter, NewMention
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, Principal

WORDS = [
    *("Ada", "Lovelace", "Dr", "Mr.", "J.", "of", "the", "and", "University", "Oxford", "London"),
    *("(", ")", "DNA", "cell", "cells", "boundary", "layer", "layers", "said", "in", ".", ". "),
    *("\n", "\n\n", ",", "’s", "İ", "ß", "🗼", "Ltd", "&", "The", "BRCA1", "Acme", "-", "“"),
    "deoxyribonucleic acid (DNA)",
]
near_texts = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
any_text = near_texts | st.text(max_size=300)


@given(any_text, st.sampled_from([None, "en", "de", "xx"]))
def test_a_mention_is_what_stands_there_and_none_overlaps_another(
    text: str, language: str | None
) -> None:
    found = RuleRecogniser().recognise(text, language)
    for mention in found:
        assert text[mention.start : mention.end] == mention.surface
        assert mention.surface.strip() == mention.surface != ""
        assert mention.key == mention.key.strip() != ""
        assert len(mention.key) <= 200
    for one, next_one in pairwise(found):
        assert one.end <= next_one.start
        assert one.sentence <= next_one.sentence


@given(near_texts)
def test_the_same_text_gives_the_same(text: str) -> None:
    first = RuleRecogniser().recognise(text)
    assert RuleRecogniser().recognise(text) == first


TEXTS = [
    "We met Ada Lovelace in London. Lovelace left.",
    "The University of Oxford is in Oxford, and London is not.",
    "Nothing at all is named here.",
    "Mr Charles Babbage of Acme Ltd wrote to Ada Lovelace.",
]
NAMES = ["a.txt", "b.txt", "c.txt"]
EVE = Principal(name="eve")


@cache
def empty_database() -> Path:
    home = Path(tempfile.mkdtemp(prefix="rag-entities-empty-"))
    word_pipeline(home).close()
    return home / "rag.db"


class ChangingCorpus(RuleBasedStateMachine):
    """Files come, change and go; runs look through them or don't, and rules change."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rag-entities-"))
        self.docs = self.home / "docs"
        self.docs.mkdir()
        (self.home / "kb").mkdir()
        shutil.copy(empty_database(), self.home / "kb" / "rag.db")
        self.rag = word_pipeline(self.home / "kb", embedder=WordEmbedder())
        self.rag.ingest(self.docs)
        self.version = 1
        self.stored: dict[str, tuple[str, frozenset[str]]] = {}
        self.is_current = False

    def teardown(self) -> None:
        self.rag.close()
        shutil.rmtree(self.home)

    @rule(
        files=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS)),
        labels=st.sampled_from([frozenset(), frozenset({"hr"})]),
    )
    def change(self, files: dict[str, str], labels: frozenset[str]) -> None:
        for name in NAMES:
            (self.docs / name).unlink(missing_ok=True)
        for name, text in files.items():
            (self.docs / name).write_text(text, "utf-8")
        self.rag.ingest(self.docs, prune=True, read_labels=labels)
        self.stored = {name: (text, labels) for name, text in files.items()}
        self.is_current = False

    @rule()
    def update(self) -> None:
        self.rag.entities.update()
        self.is_current = True

    @rule()
    def look_through_all_with_other_rules(self) -> None:
        self.version += 1
        parts_of(self.rag).recogniser = RuleRecogniser(version=f"v{self.version}")
        self.update()

    @rule(stops_after=st.integers(0, 2))
    def break_an_update_off(self, stops_after: int) -> None:
        parts = parts_of(self.rag)
        broken = Stopping(version=parts.recogniser.version, left=stops_after)
        with writer_lease(parts.database) as fence:
            writer = EntityWriter(
                database=parts.database,
                collection=parts.reader.collection("default", principal=LOCAL_OWNER),
                fence=fence,
            )
            try:
                catch_up(writer, broken)
            except StoppedError:
                return
        self.is_current = True

    @invariant()
    def readers_see_what_is_in_the_texts_that_they_may_read(self) -> None:
        for principal in (LOCAL_OWNER, EVE):
            expected = self._expected(principal)
            shown = self._shown(principal)
            assert shown <= expected
            if self.is_current:
                assert shown == expected

    def _expected(self, principal: Principal) -> set[tuple[str, int, int, str, str]]:
        return {
            (name, mention.start, mention.end, mention.kind, mention.key)
            for name, (text, labels) in self.stored.items()
            if principal.is_owner or not labels
            for mention in RuleRecogniser().recognise(text)
        }

    def _shown(self, principal: Principal) -> set[tuple[str, int, int, str, str]]:
        parts = parts_of(self.rag)
        reader = EntityReader(
            database=parts.database,
            collection=parts.reader.collection("default", principal=LOCAL_OWNER),
            principal=principal,
            generation=parts.reader.served().generation,
        )
        entities = reader.find()
        shown = set()
        for entity in entities:
            mentions = reader.mentions(entity.entity_id, limit=100)
            assert (len(mentions), len({m.document_id for m in mentions})) == (
                entity.mentions,
                entity.documents,
            )
            shown |= {
                (ref.external_id, m.start, m.end, entity.kind, entity.key)
                for m in mentions
                for ref in m.sources
            }
        return shown


class StoppedError(Exception):
    """Stands for the end of the process."""


class Stopping:
    """The rules, until they are asked once too often."""

    def __init__(self, *, version: str, left: int) -> None:
        self.version = version
        self.left = left

    def recognise(self, text: str, language: str | None = None) -> list[NewMention]:
        self.left -= 1
        if self.left < 0:
            raise StoppedError
        return RuleRecogniser().recognise(text, language)


TestChangingCorpus = ChangingCorpus.TestCase
TestChangingCorpus.settings = settings(
    max_examples=12,
    stateful_step_count=10,
)
