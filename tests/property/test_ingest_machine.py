"""A folder that changes at will and is ingested now and then, against a dictionary."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER, Hit, Principal

EVE = Principal(name="eve", labels=frozenset({"staff"}))
NAMES = ["a.txt", "b.txt", "c.txt"]
LINES = ["1", "2", "3"]
SENTENCES = [f"Fact {word} stands here alone." for word in ("ash", "birch", "cedar", "elm", "fir")]
TITLES = ["", "Walrus", "Penguin"]

texts = st.sampled_from([" ".join(SENTENCES[:n]) for n in (1, 2, 5)] + [" ".join(SENTENCES[2:4])])
"""So few that sources often share one."""
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


class ChangingFolder(RuleBasedStateMachine):
    """`files` and `lines` are on disk; `stored` is what the last runs should have left."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rag-machine-"))
        self.docs = self.home / "docs"
        self.docs.mkdir()
        self.files: dict[str, str] = {}
        self.lines: dict[str, tuple[str, str]] = {}
        self.stored: dict[str, Said] = {}
        self.embedder = WordEmbedder(max_tokens=12)
        self.counted = 0
        self.owner = self._open(LOCAL_OWNER)
        self.eve = self._open(EVE)

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

    @rule(changes=changes, labels=labels, prune=st.booleans())
    def change_and_ingest_all(
        self, changes: dict[str, tuple[str, str] | None], labels: frozenset[str], prune: bool
    ) -> None:
        self._change(changes)
        before = self.stored
        seen = {
            **{name: Said(text, "", labels) for name, text in self.files.items()},
            **{key: Said(text, title, labels) for key, (title, text) in self.lines.items()},
        }
        report = self.owner.ingest(self.docs, prune=prune, read_labels=labels)
        gone = before.keys() - seen.keys() if prune else set()
        self.stored = {key: before[key] for key in before.keys() - gone} | seen
        self.counted += report.embedded
        counts = report.documents
        changed = {key for key in seen if key in before and before[key] != seen[key]}
        assert (counts.deleted, counts.changed) == (len(gone), len(changed))
        assert counts.unchanged + counts.changed == len(seen.keys() & before.keys())
        assert counts.new + counts.duplicate == len(seen.keys() - before.keys())

    @rule(changes=changes, name=st.sampled_from(NAMES), labels=labels)
    def change_and_ingest_one_file(
        self, changes: dict[str, tuple[str, str] | None], name: str, labels: frozenset[str]
    ) -> None:
        self._change(changes)
        if name in self.files:
            self.counted += self.owner.ingest(self.docs / name, read_labels=labels).embedded
            self.stored[name] = Said(self.files[name], "", labels)

    @rule(name=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def rename_a_file(self, name: str, new: str) -> None:
        if name in self.files and name != new:
            self.files[new] = self.files.pop(name)
            (self.docs / name).rename(self.docs / new)

    @rule(lost=st.booleans())
    def start_again(self, lost: bool) -> None:
        self.owner.close()
        if lost:
            shutil.rmtree(self.home / "kb" / "indexes", ignore_errors=True)
        self.owner = self._open(LOCAL_OWNER)

    @precondition(lambda self: self.stored or self.counted)
    @invariant()
    def both_find_exactly_what_is_for_them(self) -> None:
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

    @precondition(lambda self: self.stored)
    @invariant()
    def words_find_what_has_them_and_no_title_outlives_its_sources(self) -> None:
        for sentence in SENTENCES:
            hits = self.owner.search(sentence.split()[1], limit=200, mode="keyword").hits
            found = {ref.external_id for hit in hits for ref in hit.chunk.sources}
            assert found == {key for key, said in self.stored.items() if sentence in said.text}
        for title in TITLES[1:]:
            titled = {said.text for said in self.stored.values() if said.title == title}
            for hit in self.owner.search(title, limit=200, mode="keyword").hits:
                assert {self.stored[ref.external_id].text for ref in hit.chunk.sources} <= titled

    @invariant()
    def each_text_went_through_the_model_once(self) -> None:
        asked = {"Fact stands here", *TITLES, *(s.split()[1] for s in SENTENCES)}
        given = [text for text in self.embedder.embedded if text not in asked]
        assert len(given) == len(set(given)) == self.counted

    @invariant()
    def the_doctor_finds_nothing(self) -> None:
        assert self.owner.doctor().differences == ()


ChangingFolder.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestChangingFolder = ChangingFolder.TestCase
