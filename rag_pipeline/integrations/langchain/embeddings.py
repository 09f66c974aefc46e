"""The pipeline's embedder as LangChain knows one."""

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict

from ingest.normalise import normalise
from rag_pipeline.pipeline import RagPipeline


class RagEmbeddings(BaseModel, Embeddings):
    """Unit vectors in the space of what a pipeline ingests; questions and documents share it.

    Raises `EmbeddingError`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")

    pipeline: RagPipeline

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text in the normal form in which it would be stored, in their order."""
        vectors: list[list[float]] = self.pipeline.embed([*map(normalise, texts)]).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.embed_documents([text])[0]
