"""Near-identical texts that come, change, go and change their readers, under changing settings.

$DEDUP_EXAMPLES sets how many histories are tried.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.near_duplicates import shingled, similarity
from rag_pipeline.pipeline import RagPipeline
from storage.models.corpus import DocumentRow
from storage.records import LOCAL_OWNER, Principal

READERS = [
    LOCAL_OWNER,
    Principal(name="guest"),
    Principal(name="sue", labels=frozenset({"staff"})),
]
WORDS = [f"word{number}" for number in range(40)]
FRAME = "The office of the harbour\n\n{}\n\nWith kind regards\nThe harbour office"
TEXTS = [
    " ".join(WORDS[:30]),
    " ".join(WORDS[2:30]),
    " ".join(WORDS[5:35]),
    FRAME.format(" ".join(WORDS[:30])),
    FRAME.format(" ".join(WORDS[3:30])),
    "Another text altogether, of no more than a few words that nothing else has.",
]
LABELS = [frozenset[str](), frozenset({"staff"}), frozenset({"staff", "board"})]


@dataclass(frozen=True)
class Step:
    """What one source consists of from now on, for whom, and under which settings it comes."""

    source: str
    texts: Mapping[str, str]
    labels: frozenset[str]
    is_synthetic: bool
    policy: str
    min_similarity: float
    boilerplate_after: int
    batch: int


steps = st.lists(
    st.builds(
        Step,
        source=st.sampled_from(["one", "two", "three"]),
        texts=st.dictionaries(st.sampled_from("abcd"), st.sampled_from(TEXTS), max_size=4),
        labels=st.sampled_from(LABELS),
        is_synthetic=st.sampled_from([False, False, False, True]),
        policy=st.sampled_from(["skip", "skip", "link", "keep"]),
        min_similarity=st.sampled_from([0.7, 0.7, 0.95]),
        boilerplate_after=st.sampled_from([2, 3, 0]),
        batch=st.sampled_from([1, 2, 256]),
    ),
    min_size=2,
    max_size=6,
)


@cache
def empty_database() -> Path:
    """A migrated database to copy, which is faster than to migrate."""
    home = Path(tempfile.mkdtemp(prefix="rag-dedup-empty-"))
    word_pipeline(home).close()
    return home / "rag.db"


@settings(
    max_examples=int(os.environ.get("DEDUP_EXAMPLES", "15")),
)
@given(history=steps)
def test_every_reader_finds_every_text_or_its_original(history: list[Step]) -> None:
    home = Path(tempfile.mkdtemp(prefix="rag-dedup-"))
    shutil.copy(empty_database(), home / "rag.db")
    sources: dict[str, Step] = {}
    for step in history:
        sources[step.source] = step
        take(home, step)
        for reader in READERS:
            with word_pipeline(home, principal=reader, embedder=WordEmbedder()) as rag:
                assert rag.doctor().differences == ()
                check(rag, sources, reader)
    shutil.rmtree(home)


def take(home: Path, step: Step) -> None:
    records = [{"_id": f"{step.source}-{name}", "text": text} for name, text in step.texts.items()]
    with word_pipeline(
        home,
        embedder=WordEmbedder(max_tokens=64),
        dedup={
            "near_duplicates": step.policy,
            "min_similarity": step.min_similarity,
            "boilerplate_after": step.boilerplate_after,
        },
        batching={"max_documents": step.batch},
    ) as rag:
        rag.ingest_records(
            records,
            source=step.source,
            prune=True,
            read_labels=step.labels,
            generator_id="copyist" if step.is_synthetic else None,
        )


def check(rag: RagPipeline, sources: Mapping[str, Step], reader: Principal) -> None:
    """What is found is what the model says; what is not has an original that is found."""
    originals = held_back(rag)
    for origins, is_synthetic in (("real", False), ("synthetic", True)):
        readable = {
            text
            for step in sources.values()
            for text in step.texts.values()
            if step.is_synthetic == is_synthetic and may_read(reader, step)
        }
        hits = rag.search("word1 harbour another", limit=200, origins=origins).hits
        found = whole_texts(rag, {hit.chunk.document_id for hit in hits}, reader)
        assert found == readable - originals.keys()
        for text in readable & originals.keys():
            original = originals[text]
            assert original in found
            assert similarity(shingled(text), shingled(original)) >= 0.7


def may_read(reader: Principal, step: Step) -> bool:
    return reader.is_owner or not step.labels or bool(step.labels & reader.labels)


def held_back(rag: RagPipeline) -> dict[str, str]:
    """The texts that are held back, each with its original."""
    live = select(DocumentRow.__table__).where(DocumentRow.to_generation.is_(None))
    with parts_of(rag).database.read() as connection:
        rows = connection.execute(live).all()
    text_of = {row.content_sha256: row.text for row in rows}
    return {row.text: text_of[row.near_sha256] for row in rows if row.is_held_back}


def whole_texts(rag: RagPipeline, documents: set[int], reader: Principal) -> set[str]:
    reader_of = parts_of(rag).reader
    served = reader_of.served().generation
    texts = reader_of.document_texts(documents, principal=reader, generation=served)
    return {stored.text for stored in texts.values()}
