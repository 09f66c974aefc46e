"""A folder that changes at will and is ingested now and then, against a dictionary.

$INGEST_STEPS sets how many steps are taken in all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import event, select
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.report import IngestReport
from rag_pipeline.pipeline import RagPipeline
from storage.models.corpus import ChunkRow
from storage.records import LOCAL_OWNER, Committed, Hit, Principal, Vectors

EVE = Principal(name="eve", labels=frozenset({"staff"}))
NAMES = ["a.txt", "b.txt", "c.txt"]
LINES = ["1", "2", "3"]
SENTENCES = [f"Fact {word} stands here alone." for word in ("ash", "birch", "cedar", "elm", "fir")]
TITLES = ["", "Walrus", "Penguin"]

TEXTS = [*SENTENCES[::3], *(" ".join(SENTENCES[:n]) for n in (2, 5)), " ".join(SENTENCES[2:4])]
STEPS = int(os.environ.get("INGEST_STEPS", "240"))
STEPS_AN_EXAMPLE = 12 if STEPS < 1000 else 50

texts = st.sampled_from(TEXTS)
"""So few that sources often share one; the first two are of one size."""
changes = st.dictionaries(
    st.sampled_from(NAMES + LINES),
    st.none() | st.tuples(st.sampled_from(TITLES), texts),
    min_size=2,
    max_size=6,
)
"""None: deleted. A file has no title."""
labels = st.sampled_from([frozenset(), frozenset({"hr"}), frozenset({"staff", "hr"})])


@dataclass(frozen=True)
class Said:
    """What one source says, and who may know."""

    text: str
    title: str = ""
    labels: frozenset[str] = frozenset()

    def is_for(self, reader: Principal) -> bool:
        return reader.is_owner or not self.labels or bool(self.labels & reader.labels)


class Killed(BaseException):
    """Stands for the end of the process: nothing that follows is run."""


class Interrupted:
    """Raises `Killed` when it was called `calls` times; None: never."""

    def __init__(self, calls: int | None) -> None:
        self.left = calls

    def __call__(self, *_about: object) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class InterruptedEmbedder(WordEmbedder):
    interruption = Interrupted(None)

    def embed(self, texts: list[str]) -> Vectors:
        self.interruption()
        return super().embed(texts)


@cache
def empty_database() -> Path:
    """A migrated database to copy, which is faster than to migrate."""
    home = Path(tempfile.mkdtemp(prefix="rag-machine-empty-"))
    word_pipeline(home).close()
    return home / "rag.db"


class ChangingFolder(RuleBasedStateMachine):
    """`files` and `lines` are on disk; `stored` is what the last runs should have left."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rag-machine-"))
        self.docs = self.home / "docs"
        self.docs.mkdir()
        (self.home / "kb").mkdir()
        shutil.copy(empty_database(), self.home / "kb" / "rag.db")
        self.files: dict[str, str] = {}
        self.lines: dict[str, tuple[str, str]] = {}
        self.stored: dict[str, Said] = {}
        self.embedder = InterruptedEmbedder(max_tokens=12)
        self.counted = 0
        self.runs = 0
        self.is_checked = True
        self.owner = self._open(LOCAL_OWNER)
        self.eve = self._open(EVE)
        self.owner.ingest(self.docs)  # makes the collection that is searched

    def _open(self, principal: Principal) -> RagPipeline:
        return word_pipeline(
            self.home / "kb",
            embedder=self.embedder,
            principal=principal,
            chunking={"max_tokens": 16, "overlap_tokens": 5},
            batching={"max_documents": 2},
        )

    def teardown(self) -> None:
        self.owner.close()
        self.eve.close()
        shutil.rmtree(self.home)

    def _change(self, changes: dict[str, tuple[str, str] | None]) -> None:
        for key, new in changes.items():
            if key in LINES:
                self.lines.pop(key, None)
                self.lines.update({key: new} if new else {})
            elif new:
                self.files[key] = new[1]
                (self.docs / key).write_text(new[1])
            elif self.files.pop(key, None) is not None:
                (self.docs / key).unlink()
        self._write_lines()

    def _write_lines(self) -> None:
        records = [
            {"_id": key, "title": title, "text": text} for key, (title, text) in self.lines.items()
        ]
        path = self.docs / "lines.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        if not records:
            path.unlink()  # an empty file would keep what is stored of it

    def _seen(self, labels: frozenset[str]) -> dict[str, Said]:
        return {
            **{name: Said(text, "", labels) for name, text in self.files.items()},
            **{key: Said(text, title, labels) for key, (title, text) in self.lines.items()},
        }

    def _ingest_all(
        self,
        labels: frozenset[str],
        prune: bool,
        then: Callable[[Committed], None] = lambda committed: None,
    ) -> IngestReport:
        """Keeps in `stored` what each COMMIT promises, and calls `then`."""
        seen = self._seen(labels)

        def note(committed: Committed) -> None:
            self.stored |= {name: seen[name] for name in committed.external_ids}
            then(committed)

        self.is_checked = False
        self.runs += 1
        report = self.owner.ingest(self.docs, prune=prune, read_labels=labels, on_commit=note)
        gone = self.stored.keys() - seen.keys() if prune else set()
        self.stored = {key: self.stored[key] for key in self.stored.keys() - gone}
        self.counted += report.embedded
        assert report.documents.deleted == len(gone)
        assert {key: self.stored.get(key) for key in seen} == seen
        return report

    @rule(changes=changes, labels=labels, prune=st.booleans())
    def change_and_ingest_all(
        self, changes: dict[str, tuple[str, str] | None], labels: frozenset[str], prune: bool
    ) -> None:
        self._change(changes)
        before, seen = dict(self.stored), self._seen(labels)
        counts = self._ingest_all(labels, prune).documents
        changed = {key for key in seen if key in before and before[key] != seen[key]}
        assert counts.changed == len(changed)
        assert counts.unchanged + counts.changed == len(seen.keys() & before.keys())
        assert counts.new + counts.duplicate == len(seen.keys() - before.keys())

    @rule(labels=labels, prune=st.booleans())
    def ingest_all_twice(self, labels: frozenset[str], prune: bool) -> None:
        first = self._ingest_all(labels, prune)
        again = self._ingest_all(labels, prune)
        assert (again.generation, again.embedded) == (first.generation, 0)
        assert again.documents.unchanged == len(self.files) + len(self.lines)

    @rule(
        changes=changes,
        labels=labels,
        prune=st.booleans(),
        where=st.sampled_from(["embedder", "statement", "commit"]),
        after=st.integers(0, 40),
    )
    def change_and_be_killed_while_ingesting_all(
        self,
        changes: dict[str, tuple[str, str] | None],
        labels: frozenset[str],
        prune: bool,
        where: str,
        after: int,
    ) -> None:
        self._change(changes)
        removed: list[int] = []
        # There are fewer batches than statements.
        interruption = Interrupted(after if where == "statement" else after % 4)

        def then(committed: Committed) -> None:
            removed.append(committed.sources_removed)
            if where == "commit":
                interruption()

        try:
            with self._interrupted(where, interruption):
                self._ingest_all(labels, prune, then)
        except Killed:
            self._take_stock(self.stored.keys() - self._seen(labels).keys(), sum(removed))
            self.start_again(lost=False)

    @contextmanager
    def _interrupted(self, where: str, interruption: Interrupted) -> Iterator[None]:
        engine = parts_of(self.owner).database.engine
        if where == "embedder":
            self.embedder.interruption = interruption
        if where == "statement":
            event.listen(engine, "before_cursor_execute", interruption)
        try:
            yield
        finally:
            self.embedder.interruption = Interrupted(None)
            if where == "statement":
                event.remove(engine, "before_cursor_execute", interruption)

    def _take_stock(self, gone: set[str], removed: int) -> None:
        """Which of `gone` were `removed` before the end, and what was embedded in vain."""
        hits = self.owner.search("Fact stands here", limit=200, mode="keyword").hits
        found = {ref.external_id for hit in hits for ref in hit.chunk.sources}
        assert len(gone - found) == removed
        self.stored = {key: said for key, said in self.stored.items() if key not in gone - found}
        with parts_of(self.owner).database.read() as connection:
            kept = set(connection.execute(select(ChunkRow.embedded_sha256)).scalars())
        self.embedder.embedded = [
            text
            for text in self.embedder.embedded
            if hashlib.sha256(text.encode()).hexdigest() in kept
        ]
        self.counted = len(self.embedder.embedded)

    @rule(changes=changes, name=st.sampled_from(NAMES), labels=labels)
    def change_and_ingest_one_file(
        self, changes: dict[str, tuple[str, str] | None], name: str, labels: frozenset[str]
    ) -> None:
        self._change(changes)
        if name in self.files:
            self.is_checked = False
            self.counted += self.owner.ingest(self.docs / name, read_labels=labels).embedded
            self.stored[name] = Said(self.files[name], "", labels)

    @rule(name=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def rename_a_file(self, name: str, new: str) -> None:
        if name in self.files and name != new:
            self.files[new] = self.files.pop(name)
            (self.docs / name).rename(self.docs / new)

    @rule(name=st.sampled_from(NAMES), text=texts, seconds=st.none() | st.integers(0, 2**31))
    def write_a_file_as_if_at_another_time(self, name: str, text: str, seconds: int | None) -> None:
        """None: at the very time that it was written before."""
        if name in self.files:
            path = self.docs / name
            was = path.stat().st_mtime_ns
            path.write_text(text)
            stamp = was if seconds is None else seconds * 10**9
            os.utime(path, ns=(stamp, stamp))
            self.files[name] = text

    @rule(lost=st.booleans())
    def start_again(self, lost: bool) -> None:
        self.is_checked = False
        self.owner.close()
        if lost:
            shutil.rmtree(self.home / "kb" / "indexes", ignore_errors=True)
        self.owner = self._open(LOCAL_OWNER)

    @precondition(lambda self: not self.is_checked)
    @invariant()
    def all_that_must_hold(self) -> None:
        self.is_checked = True
        self._both_find_exactly_what_is_for_them()
        self._words_find_what_has_them()
        self._no_title_outlives_its_sources()
        self._each_text_went_through_the_model_once()
        assert self.owner.doctor().differences == ()

    def _both_find_exactly_what_is_for_them(self) -> None:
        for rag, reader in ((self.owner, LOCAL_OWNER), (self.eve, EVE)):
            live = {key: said for key, said in self.stored.items() if said.is_for(reader)}
            hits = rag.search("Fact stands here", limit=200, mode="vector").hits
            for hit in hits:
                self._is_true(hit, live)
            found = {
                (ref.external_id, sentence)
                for hit in hits
                for ref in hit.chunk.sources
                for sentence in SENTENCES
                if sentence in hit.chunk.text
            }
            assert found == {
                (key, s) for key, said in live.items() for s in SENTENCES if s in said.text
            }

    def _is_true(self, hit: Hit, live: dict[str, Said]) -> None:
        chunk = hit.chunk
        assert chunk.sources
        for ref in chunk.sources:
            said = live[ref.external_id]
            assert said.text[chunk.start : chunk.end] == chunk.text
            assert ref.title == said.title
        assert chunk.title in {ref.title for ref in chunk.sources}

    def _words_find_what_has_them(self) -> None:
        """One word a run: they take turns."""
        sentence = SENTENCES[self.runs % len(SENTENCES)]
        hits = self.owner.search(sentence.split()[1], limit=200, mode="keyword").hits
        found = {ref.external_id for hit in hits for ref in hit.chunk.sources}
        assert found == {key for key, said in self.stored.items() if sentence in said.text}

    def _no_title_outlives_its_sources(self) -> None:
        for title in TITLES[1:]:
            titled = {said.text for said in self.stored.values() if said.title == title}
            for hit in self.owner.search(title, limit=200, mode="keyword").hits:
                assert {self.stored[ref.external_id].text for ref in hit.chunk.sources} <= titled

    def _each_text_went_through_the_model_once(self) -> None:
        asked = {"Fact stands here", *TITLES, *(s.split()[1] for s in SENTENCES)}
        given = [text for text in self.embedder.embedded if text not in asked]
        assert len(given) == len(set(given)) == self.counted


ChangingFolder.TestCase.settings = settings(
    max_examples=STEPS // STEPS_AN_EXAMPLE,
    stateful_step_count=STEPS_AN_EXAMPLE,
)
TestChangingFolder = ChangingFolder.TestCase
