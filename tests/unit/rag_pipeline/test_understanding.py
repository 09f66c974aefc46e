"""From what a user wrote to what both indexes are asked."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.embedding import WordEmbedder

from rag_pipeline.errors import QueryError
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.retrieval.query import MAX_QUERY_CHARACTERS, Request
from rag_pipeline.retrieval.rewriting import ModelQueryWriter
from rag_pipeline.retrieval.understanding import Understanding
from storage.records import LOCAL_OWNER, KeywordClause


class Writer:
    """Writes what it was told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def passage_for(self, question: str) -> str:
        return f"An answer to: {question}"

    def standalone(self, question: str, earlier: Sequence[str]) -> str:
        self.asked.append((question, tuple(earlier)))
        return "How high is the Bell Rock lighthouse?"


def request(**options: object) -> Request:
    return Request(principal=LOCAL_OWNER, limit=3, **options)


def understanding(embedder: WordEmbedder | None = None, **parts: object) -> Understanding:
    return Understanding(embedder=embedder or WordEmbedder(), **parts)


def test_plain_text_is_asked_as_it_is_and_embedded_once() -> None:
    embedder = WordEmbedder()
    texts = ['a "quoted" +word', "another"]
    queries = understanding(embedder).of(texts, request())
    assert [query.keywords for query in queries] == texts
    assert embedder.embedded == texts
    assert all(query.clauses == () for query in queries)


def test_a_keyword_search_embeds_nothing() -> None:
    embedder = WordEmbedder()
    (query,) = understanding(embedder).of(["tea"], request(mode="keyword"))
    assert embedder.embedded == []
    assert query.vector.size == 0


def test_operators_reach_the_keyword_side_and_their_words_the_vector_side() -> None:
    embedder = WordEmbedder()
    (query,) = understanding(embedder).of(['"high tide" -fog +lamp'], request(operators=True))
    assert query.clauses == (
        KeywordClause(text="high tide", kind="phrase"),
        KeywordClause(text="fog", occurrence="must_not"),
        KeywordClause(text="lamp", occurrence="must"),
    )
    assert embedder.embedded == ["high tide lamp"]


@pytest.mark.parametrize("text", ["-fog", '-"a b" -c', "   ", "", "😀" * 10_001])
def test_what_says_nothing_to_look_for_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        understanding().of([text], request(operators=True))


def test_a_question_in_a_conversation_is_written_anew_only_where_something_was_before() -> None:
    writer = Writer()
    reader = understanding(writer=writer)
    (query,) = reader.of(["And how high is it?"], request(earlier=("What is the Bell Rock?",)))
    assert query.text == query.keywords == "How high is the Bell Rock lighthouse?"
    (query,) = reader.of(["And how high is it?"], request())
    assert query.text == "And how high is it?"
    assert writer.asked == [("And how high is it?", ("What is the Bell Rock?",))]


def test_a_hypothesis_moves_the_vector_and_leaves_the_words() -> None:
    embedder = WordEmbedder()
    reader = understanding(embedder, writer=Writer())
    (plain,) = reader.of(["tea"], request())
    (moved,) = reader.of(["tea"], request(hypothesis=True))
    question, passage = embedder.embed(["tea", "An answer to: tea"])
    both = question + passage
    assert moved.vector == pytest.approx(both / np.linalg.norm(both), abs=1e-6)
    assert moved.keywords == plain.keywords == "tea"


@pytest.mark.parametrize("options", [{}, {"earlier": ("Who?",)}, {"hypothesis": True}])
def test_the_generator_is_not_asked_unless_it_is_given(options: dict[str, object]) -> None:
    (query,) = understanding().of(["tea"], request(**options))
    assert query.text == "tea"


def test_a_given_vector_is_brought_to_unit_length() -> None:
    given = np.array([3, 4], np.float32)
    (query,) = understanding().of(["tea"], request(), given)
    assert query.vector.tolist() == pytest.approx([0.6, 0.8])
    (query,) = understanding().of([""], request(mode="vector"), np.zeros(2, np.float32))
    assert query.vector.tolist() == [0, 0]


def test_a_model_writes_something_that_can_be_searched_for() -> None:
    writer = ModelQueryWriter(model=EchoModel())
    assert writer.standalone("How high?", ()) == "How high?"
    for text in (writer.passage_for("How high?"), writer.standalone("How high?", ["The tower?"])):
        assert text.strip()
        assert len(text) <= MAX_QUERY_CHARACTERS
        assert "\n" not in text
