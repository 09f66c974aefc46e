"""LlamaIndex's side: `IngestionPipeline` with a document store, FAISS, BM25, all persisted.

The vector store keeps no text, so the index keeps the nodes in a store of its own, and BM25 is
built from them. Options that are not named stay as they come. The FAISS index is one of inner
products: with distances, which its guide shows, the fusion of its retrievers takes the farthest
for the best.
"""

from collections.abc import Sequence
from pathlib import Path

import faiss
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore
from measuring import CHUNK_TOKENS, Laps, arguments, read_records, tokens_read
from transformers import AutoTokenizer


def main() -> None:
    parser = arguments()
    parser.add_argument("--cut", choices=["default", "whole"], required=True)
    given = parser.parse_args()
    laps = Laps(given.started)
    embedding = HuggingFaceEmbedding(model_name=str(given.model), device="cpu")
    embedding.get_query_embedding("warm")
    laps.mark("ready")
    documents = [
        Document(text=record.whole, id_=record.key) for record in read_records(given.corpus)
    ]
    splitter = fitting_splitter(given.model) if given.cut == "whole" else SentenceSplitter()
    nodes = embedded(documents, splitter, embedding, given.home)
    retrievers = indexed(nodes, embedding, given.home)
    laps.mark("ingested")
    assert all(retriever.retrieve(documents[0].text[:40]) for retriever in retrievers)
    laps.mark("searchable")
    texts = [node.get_content(MetadataMode.EMBED) for node in nodes]
    laps.report(documents=len(documents), texts=len(texts), tokens=tokens_read(texts, given.model))


def fitting_splitter(model: Path) -> SentenceSplitter:
    tokenizer = AutoTokenizer.from_pretrained(model)
    return SentenceSplitter(chunk_size=CHUNK_TOKENS, chunk_overlap=0, tokenizer=tokenizer.tokenize)


def embedded(
    documents: Sequence[Document],
    splitter: SentenceSplitter,
    embedding: HuggingFaceEmbedding,
    home: Path,
) -> Sequence[BaseNode]:
    pipeline = IngestionPipeline(
        transformations=[splitter, embedding],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,  # upserts need a store that deletes
    )
    nodes: Sequence[BaseNode] = pipeline.run(documents=documents)
    pipeline.persist(str(home / "pipeline"))
    return nodes


def indexed(
    nodes: Sequence[BaseNode], embedding: HuggingFaceEmbedding, home: Path
) -> Sequence[BaseRetriever]:
    assert nodes[0].embedding is not None
    vectors = FaissVectorStore(faiss_index=faiss.IndexFlatIP(len(nodes[0].embedding)))
    storage = StorageContext.from_defaults(vector_store=vectors)
    index = VectorStoreIndex(nodes, storage_context=storage, embed_model=embedding)
    storage.persist(str(home / "index"))
    keywords = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=2)
    keywords.persist(str(home / "keywords"))
    return index.as_retriever(), keywords


if __name__ == "__main__":
    main()
