"""LlamaIndex's hybrid search over what `llamaindex_faiss.py` persisted.

`QueryFusionRetriever` with reciprocal rank fusion over its vector index and BM25.
"""

from functools import partial

from asking import Found, Search, arguments, report
from llama_index.core import StorageContext, load_index_from_storage
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore


def main() -> None:
    given = arguments().parse_args()
    embedding = HuggingFaceEmbedding(model_name=str(given.model), device="cpu")
    folder = str(given.home / "index")
    storage = StorageContext.from_defaults(
        vector_store=FaissVectorStore.from_persist_dir(folder), persist_dir=folder
    )
    index = load_index_from_storage(storage, embed_model=embedding)
    keywords = BM25Retriever.from_persist_dir(str(given.home / "keywords"))

    def make(limit: int) -> Search:
        keywords.similarity_top_k = limit
        retriever = QueryFusionRetriever(
            [index.as_retriever(similarity_top_k=limit), keywords],
            llm=MockLLM(),  # it writes no further queries
            num_queries=1,
            similarity_top_k=limit,
            mode=FUSION_MODES.RECIPROCAL_RANK,
            use_async=False,
        )
        return partial(search, retriever)

    report(make, given)


def search(retriever: QueryFusionRetriever, query: str) -> Found:
    return [(str(hit.node.ref_doc_id), hit.get_score()) for hit in retriever.retrieve(query)]


if __name__ == "__main__":
    main()
