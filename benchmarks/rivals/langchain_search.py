"""LangChain's hybrid search over what `langchain_faiss.py` saved.

`EnsembleRetriever` over `BM25Retriever` and FAISS, half and half, as its documentation shows. BM25
can't be saved: it is made anew from the texts at every start.
"""

from functools import partial

from asking import Found, Search, arguments, report
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_huggingface import HuggingFaceEmbeddings


def main() -> None:
    given = arguments().parse_args()
    embedding = HuggingFaceEmbeddings(model_name=str(given.model), model_kwargs={"device": "cpu"})
    store = FAISS.load_local(
        str(given.home / "store"), embedding, allow_dangerous_deserialization=True
    )
    documents = [store.docstore.search(key) for key in store.index_to_docstore_id.values()]
    keywords = BM25Retriever.from_documents(documents)

    def make(limit: int) -> Search:
        sides = [
            keywords.model_copy(update={"k": limit}),
            store.as_retriever(search_kwargs={"k": limit}),
        ]
        return partial(search, EnsembleRetriever(retrievers=sides, weights=[0.5, 0.5]))

    report(make, given)


def search(retriever: EnsembleRetriever, query: str) -> Found:
    found = retriever.invoke(query)
    return [(one.metadata["source"], 1 / rank) for rank, one in enumerate(found, start=1)]


if __name__ == "__main__":
    main()
