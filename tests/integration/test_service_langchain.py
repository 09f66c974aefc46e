"""LangChain's standard suites for a chat model, with `ChatOpenAI` over a service on a real port."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from support.embedding import WordEmbedder
from support.listening import listening
from support.pipelines import word_pipeline

from rag_pipeline.service.app import create_app

HARBOUR = "Hello. The harbour of Ravenport was dredged in 1874. Its master was Johanna Lindqvist."


@pytest.fixture
def anyio_backend() -> str:
    """Where the makers' asynchronous tests run."""
    return "asyncio"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "documents").mkdir()
    (folder / "documents" / "harbour.txt").write_text(HARBOUR, "utf-8")
    with word_pipeline(folder / "home", embedder=WordEmbedder(dimension=256)) as rag:
        rag.ingest(folder / "documents")
        with listening(create_app(rag)) as address:
            yield f"{address}/v1"


class Offered:
    """What the service has: models that answer, and no tools."""

    url: str = "http://127.0.0.1:9/v1"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "default",
            "base_url": self.url,
            "api_key": "none",
            "max_retries": 0,
            "stream_usage": True,
        }

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def model_override_value(self) -> str:
        return "default:extractive"


class TestUnit(Offered, ChatModelUnitTests):
    """Without a call."""

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": self.url},
            {"model": "default"},
            {"openai_api_key": "none", "openai_api_base": self.url},
        )


@pytest.mark.anyio
class TestStandard(Offered, ChatModelIntegrationTests):
    """With calls, whole and streaming, synchronous and not."""

    @pytest.fixture(autouse=True)
    def _pointed_at_the_service(self, url: str) -> None:
        self.url = url

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # Its asynchronous connections are kept for all models, beyond the loop of any test.
        return {**super().chat_model_params, "default_headers": {"Connection": "close"}}


@pytest.mark.slow
class TestResponses(TestStandard):
    """The same by way of /v1/responses."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}


def test_citations_reach_langchain_as_annotations(url: str) -> None:
    model = ChatOpenAI(
        model="default", base_url=url, api_key="none", use_responses_api=True, output_version="v1"
    )
    answered = model.invoke([HumanMessage("When was the harbour of Ravenport dredged?")])
    assert isinstance(answered, AIMessage)
    assert "1874" in answered.text
    (block,) = [block for block in answered.content_blocks if block["type"] == "text"]
    (annotation,) = block["annotations"]
    assert annotation["type"] == "citation"
    assert "/documents/" in annotation["url"]


def test_langchains_embeddings_are_those_of_the_service(url: str) -> None:
    embeddings = OpenAIEmbeddings(
        model="words", base_url=url, api_key="none", check_embedding_ctx_length=False
    )
    vectors = embeddings.embed_documents(["harbour", "bees"])
    assert [len(vector) for vector in vectors] == [256, 256]
