"""LangChain's side: `index()`, a record manager in SQLite, FAISS in files.

Set up as its documentation shows: `cleanup="incremental"`, all other options as they come. It keeps
no keyword index; ours does.
"""

from pathlib import Path

import faiss
from langchain_classic.indexes import SQLRecordManager
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_core.indexing import index
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from measuring import CHUNK_TOKENS, Laps, arguments, read_records, tokens_read
from transformers import AutoTokenizer


def main() -> None:
    parser = arguments()
    parser.add_argument("--cut", choices=["default", "whole"], required=True)
    given = parser.parse_args()
    laps = Laps(given.started)
    embedding = HuggingFaceEmbeddings(model_name=str(given.model), model_kwargs={"device": "cpu"})
    dimension = len(embedding.embed_query("warm"))
    laps.mark("ready")
    documents = [
        Document(record.whole, metadata={"source": record.key, "title": record.title})
        for record in read_records(given.corpus)
    ]
    pieces = cut(documents, given.model) if given.cut == "whole" else documents
    store = empty_store(embedding, dimension)
    ingest(pieces, store, given.home)
    laps.mark("ingested")
    assert store.similarity_search("a question about what is in there", k=10)
    laps.mark("searchable")
    texts = [piece.page_content for piece in pieces]
    laps.report(documents=len(documents), texts=len(texts), tokens=tokens_read(texts, given.model))


def cut(documents: list[Document], model: Path) -> list[Document]:
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        AutoTokenizer.from_pretrained(model), chunk_size=CHUNK_TOKENS, chunk_overlap=0
    )
    pieces: list[Document] = splitter.split_documents(documents)
    return pieces


def empty_store(embedding: HuggingFaceEmbeddings, dimension: int) -> FAISS:
    return FAISS(
        embedding_function=embedding,
        index=faiss.IndexFlatL2(dimension),
        docstore=InMemoryDocstore(),
        index_to_docstore_id={},
    )


def ingest(pieces: list[Document], store: FAISS, home: Path) -> None:
    home.mkdir(parents=True)
    manager = SQLRecordManager("faiss/texts", db_url=f"sqlite:///{home / 'records.db'}")
    manager.create_schema()
    index(
        pieces,
        manager,
        store,
        cleanup="incremental",
        source_id_key="source",
        key_encoder="sha256",  # the default warns that it is SHA-1
    )
    store.save_local(str(home / "store"))


if __name__ == "__main__":
    main()
