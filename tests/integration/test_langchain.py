"""The LangChain retriever and embeddings: their makers' own tests, and what they can't know."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests
from support.pipelines import word_pipeline

from rag_pipeline.errors import QueryError
from rag_pipeline.integrations.langchain import RagEmbeddings, RagRetriever
from rag_pipeline.pipeline import RagPipeline
from storage.errors import FilterError, NotFoundError
from storage.records import Principal

FRESNEL = Path(__file__).parents[2] / "examples" / "documents" / "fresnel-lens.pdf"
TEXTS = {
    "a": "The harbour light is red and stands on the northern pier.",
    "b": "The harbour bell is rung in fog by the keeper of the light.",
    "c": "The harbour crane lifts granite blocks for the light.",
    "d": "Ärger im Hafen 港口 🚢: the harbour light is dark tonight.",
}


def write_corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    lines = [
        {"_id": key, "title": f"Title {key}", "text": text, "metadata": {"year": 1811, "start": -1}}
        for key, text in TEXTS.items()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagPipeline]:
    folder = tmp_path_factory.mktemp("langchain")
    with word_pipeline(folder / "home") as rag:
        rag.ingest(write_corpus(folder))
        yield rag


@pytest.fixture
def anyio_backend() -> str:
    """Where the makers' asynchronous test runs."""
    return "asyncio"


@pytest.mark.anyio
class TestAsItsMakersTestIt(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def over(self, pipeline: RagPipeline) -> None:
        self._pipeline = pipeline

    @property
    def retriever_constructor(self) -> type[RagRetriever]:
        return RagRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"pipeline": self._pipeline, "k": 2}

    @property
    def retriever_query_example(self) -> str:
        return "harbour light"


class OverAPipeline:
    @pytest.fixture(autouse=True)
    def over(self, pipeline: RagPipeline) -> None:
        self._pipeline = pipeline

    @property
    def embeddings_class(self) -> type[RagEmbeddings]:
        return RagEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"pipeline": self._pipeline}


class TestEmbeddingsAsTheirMakersTestThem(OverAPipeline, EmbeddingsUnitTests):
    pass


@pytest.mark.anyio
class TestEmbeddingsAtWork(OverAPipeline, EmbeddingsIntegrationTests):
    pass


def test_embeddings_are_the_vectors_that_the_pipeline_searches_with(pipeline: RagPipeline) -> None:
    embeddings = RagEmbeddings(pipeline=pipeline)
    vectors = embeddings.embed_documents(["harbour light", "", "\x00 \ud800", "🚢"])
    assert vectors[0] == embeddings.embed_query("harbour light")
    for vector in vectors:
        assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-5)
    assert embeddings.embed_documents([]) == []


@pytest.mark.models
def test_the_packaged_model_embeds_any_text(tmp_path: Path) -> None:
    with RagPipeline.open(tmp_path / "home", generator="echo") as rag:
        embeddings = RagEmbeddings(pipeline=rag)
        vectors = embeddings.embed_documents(["harbour light", "", "\x00 \ud800", "🚢" * 3000])
        assert [len(vector) for vector in vectors] == [384] * 4
        assert embeddings.embed_documents([]) == []


def test_a_document_says_where_its_text_stands(pipeline: RagPipeline) -> None:
    retriever = RagRetriever(pipeline=pipeline, k=1, mode="keyword")
    (found,) = retriever.invoke("港口 harbour dark tonight")
    (hit,) = pipeline.search("港口 harbour dark tonight", limit=1, mode="keyword").hits
    assert found.page_content == TEXTS["d"][found.metadata["start"] : found.metadata["end"]]
    assert found.id == str(hit.chunk.chunk_id)
    assert found.metadata == {
        "year": 1811,
        "source": hit.chunk.sources[0].source,
        "external_id": "d",
        "title": "Title d",
        "start": 0,
        "end": len(TEXTS["d"]),
        "section_start": 0,
        "section_end": len(TEXTS["d"]),
        "language": hit.chunk.language,
        "score": hit.score,
    }


def test_a_document_says_on_which_page_and_under_which_headings(tmp_path: Path) -> None:
    guide = "# Port\n\n## Lights\n\nThe harbour light is red.\n"
    (tmp_path / "guide.md").write_text(guide)
    with word_pipeline(tmp_path / "home") as rag:
        rag.ingest(tmp_path / "guide.md", FRESNEL)
        (light,) = RagRetriever(pipeline=rag, k=1, mode="keyword").invoke("red")
        (lens,) = RagRetriever(pipeline=rag, k=1, mode="keyword").invoke("Fresnel prisms")
    assert light.metadata["headings"] == ["Port"]
    assert "page" not in light.metadata
    assert (light.metadata["section_start"], light.metadata["section_end"]) == (0, len(guide) - 1)
    assert lens.metadata["page"] == 1


def test_documents_come_best_first_and_as_the_mode_ranks_them(pipeline: RagPipeline) -> None:
    for mode in ("hybrid", "vector", "keyword"):
        found = RagRetriever(pipeline=pipeline, mode=mode).invoke("granite crane")
        expected = pipeline.search("granite crane", mode=mode).hits
        assert [d.id for d in found] == [str(hit.chunk.chunk_id) for hit in expected]
    assert (
        RagRetriever(pipeline=pipeline, mode="keyword").invoke("granite")[0].metadata["external_id"]
        == "c"
    )


def test_it_takes_its_place_in_a_chain(pipeline: RagPipeline) -> None:
    def ids(documents: list[Document]) -> list[str]:
        return [document.metadata["external_id"] for document in documents]

    chain = RagRetriever(pipeline=pipeline, k=1, mode="keyword") | RunnableLambda(ids)
    assert chain.invoke("granite crane") == ["c"]
    assert chain.batch(["granite crane", "bell rung in fog"]) == [["c"], ["b"]]


def test_what_a_search_refuses_reaches_the_caller(pipeline: RagPipeline) -> None:
    with pytest.raises(QueryError):
        RagRetriever(pipeline=pipeline).invoke("")
    with pytest.raises(QueryError):
        RagRetriever(pipeline=pipeline).invoke("harbour", k=0)
    with pytest.raises(NotFoundError):
        RagRetriever(pipeline=pipeline, collection="other").invoke("harbour")


def test_a_filter_narrows_the_retriever(pipeline: RagPipeline) -> None:
    for where in ({"external_id": {"$in": ["a", "c"]}}, "external_id in ('a', 'c')"):
        found = RagRetriever(pipeline=pipeline, filter=where).invoke("harbour light")
        assert {one.metadata["external_id"] for one in found} == {"a", "c"}
    found = RagRetriever(pipeline=pipeline).invoke("harbour light", filter={"year": {"$ne": 1811}})
    assert found == []
    with pytest.raises(FilterError, match="yaer"):
        RagRetriever(pipeline=pipeline, filter={"yaer": 1811}).invoke("harbour light")


def test_a_retriever_finds_only_what_its_principal_may_read(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    with word_pipeline(tmp_path / "home") as owner:
        owner.ingest(corpus, read_labels=frozenset({"port"}))
        assert RagRetriever(pipeline=owner).invoke("harbour light")
    stranger = Principal(name="eve", labels=frozenset({"sea"}))
    with word_pipeline(tmp_path / "home", principal=stranger) as rag:
        assert RagRetriever(pipeline=rag).invoke("harbour light") == []
