"""A pipeline as LangChain's parts: embeddings, a vector store, a retriever, a record manager; and
LangChain's chat models as a part of a pipeline."""

from rag_pipeline.integrations.langchain.chat_model import LangChainModel
from rag_pipeline.integrations.langchain.embeddings import RagEmbeddings
from rag_pipeline.integrations.langchain.errors import ArgumentError
from rag_pipeline.integrations.langchain.record_manager import RagRecordManager
from rag_pipeline.integrations.langchain.retriever import RagRetriever
from rag_pipeline.integrations.langchain.vector_store import RagVectorStore

__all__ = [
    "ArgumentError",
    "LangChainModel",
    "RagEmbeddings",
    "RagRecordManager",
    "RagRetriever",
    "RagVectorStore",
]
