"""Looking back: every generation answers as it did when it was the newest."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpora import DIMENSION, document, place, vector_of, writing

from storage import gate
from storage.corpus import CorpusWriter
from storage.engine import Database
from storage.following import Follower
from storage.keyword_index.bm25 import Bm25Index
from storage.places import place_sha256
from storage.reading import CorpusReader
from storage.records import (
    Collection,
    Heading,
    KnownSource,
    NewDocument,
    Outline,
    Position,
    Scored,
)
from storage.vector_index.exact import ExactVectorIndex
from storage.vector_index.faiss_index import FaissIndex

_names = itertools.count()
WORDS = ("amber", "basalt", "cedars", "running", "the", "haus")
QUERIES = ("amber", "basalt run", "the cedar haus", "ambre")

Step: TypeAlias = tuple[Literal["put", "remove", "retitle", "nothing"], int, tuple[str, ...]]
steps: st.SearchStrategy[Step] = st.tuples(
    st.sampled_from(["put", "put", "put", "remove", "retitle", "nothing"]),
    st.integers(0, 4),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(tuple),
)
histories = st.lists(steps, min_size=2, max_size=8)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, order=st.permutations(range(8)))
def test_every_generation_is_found_again_on_sqlite(
    database: Database, tmp_path: Path, history: list[Step], order: list[int]
) -> None:
    check(database, tmp_path, history, order)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, order=st.permutations(range(8)))
def test_every_generation_is_found_again_on_postgresql(
    database: Database, tmp_path: Path, history: list[Step], order: list[int]
) -> None:
    check(database, tmp_path, history, order)


class Indexes:
    """Each kind of index over one collection, with what moves it."""

    def __init__(self, database: Database, collection: Collection, folder: Path) -> None:
        about = (database, collection.collection_id, DIMENSION)
        self.vectors = Follower(*about, FaissIndex(folder / "v", dimension=DIMENSION))
        self.exact = Follower(*about, ExactVectorIndex(dimension=DIMENSION))
        self.keywords = Follower(*about, Bm25Index(folder / "k"))

    def catch_up(self) -> Position:
        positions = {each.catch_up() for each in (self.vectors, self.exact, self.keywords)}
        (position,) = positions
        return position

    def present(self) -> list[list[Scored]]:
        return _answers(self.vectors.index, self.exact.index, self.keywords.index)

    def at(self, position: Position) -> list[list[Scored]]:
        forks = (self.vectors.at(position), self.exact.at(position), self.keywords.at(position))
        assert {fork.applied for fork in forks} == {position}
        return _answers(*forks)


def _answers(
    vectors: FaissIndex, exact: ExactVectorIndex, keywords: Bm25Index
) -> list[list[Scored]]:
    return [
        found
        for query in QUERIES
        for found in (
            vectors.search(vector_of(query), limit=4),
            exact.search(vector_of(query), limit=4),
            keywords.search(query, limit=4),
        )
    ]


def check(
    database: Database,
    folder: Path,
    history: Sequence[Step],
    order: Sequence[int],
) -> None:
    name = f"c{next(_names)}"
    reader = CorpusReader(database)
    answers: dict[Position, list[list[Scored]]] = {}
    with writing(database, name) as writer:
        (folder / name).mkdir()
        indexes = Indexes(database, writer.collection, folder / name)
        for step in history:
            commit(writer, step)
            position = indexes.catch_up()
            answers[position] = indexes.present()
        assert indexes.at(position) == answers[position]
        assert [reader.position_as_of(each.generation) for each in answers] == [*answers]
        try:
            for earlier in sorted(answers, key=lambda each: order[each.generation % len(order)]):
                assert indexes.at(earlier) == answers[earlier]
                gate.hold(database, earlier.generation, fence=writer.fence)
                assert indexes.catch_up() == earlier
                assert indexes.present() == answers[earlier]
                assert indexes.at(position) == answers[position]
        finally:
            gate.release(database, fence=writer.fence)
    assert indexes.catch_up() == position
    assert indexes.present() == answers[position]
    (folder / name / "new").mkdir()
    fresh = Indexes(database, writer.collection, folder / name / "new")
    assert fresh.catch_up() == position
    for earlier, recorded in answers.items():
        assert fresh.at(earlier) == recorded


def commit(writer: CorpusWriter, step: Step) -> None:
    """One generation: a text under one of five sources is new, another one, gone or renamed."""
    kind, number, words = step
    known, text = source_of(writer, number), " ".join(words)
    if kind == "put":
        stored = writer.documents_with([document(text).content_sha256]).values()
        target = next((one.document_id for one in stored), described(text, title=words[0]))
        writer.commit([place(f"s{number}", target, replaces=known and known.source_id)])
    elif kind == "remove" and known:
        writer.commit([], removals=[known.source_id])
    elif kind == "retitle" and known:
        (stored_one,) = writer.documents([known.document_id]).values()
        again = described(stored_one.text, title=text)
        writer.commit([], renewed=[dataclasses.replace(again, supersedes=known.document_id)])
    else:
        writer.commit([])


def described(text: str, *, title: str) -> NewDocument:
    """A text with all that an index reads of it."""
    language = "de" if "haus" in text else "en" if len(text) % 2 else None
    outline = Outline(headings=(Heading(0, 1, text.split()[-1]),))
    return dataclasses.replace(document(text, title=title), outline=outline, language=language)


def source_of(writer: CorpusWriter, number: int) -> KnownSource | None:
    uri, external_id = "/docs/corpus.jsonl", f"s{number}"
    return writer.known_sources([(uri, external_id)]).get(place_sha256(uri, external_id))
