"""A collection of a pipeline as LangChain's vector store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self
from uuid import uuid4

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode
from rag_pipeline.integrations.langchain.documents import document_of, documents_of, record_of
from rag_pipeline.integrations.langchain.embeddings import RagEmbeddings
from rag_pipeline.integrations.langchain.errors import ArgumentError
from rag_pipeline.integrations.langchain.filters import FilterLike, as_filter
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.search import SearchResult
from rag_pipeline.retrieval.selection import by_marginal_relevance
from storage.documents import undivided_texts, vectors_of
from storage.errors import NotFoundError
from storage.filters import Filter
from storage.records import Hit, Vectors

DEFAULT_SOURCE = "langchain"
_NOTHING = SearchResult(generation=0, hits=())


class RagVectorStore(VectorStore):
    """The documents of one collection: added, replaced and deleted by id, and searched.

    It shows the whole collection as far as the pipeline's principal may read it, also what came
    from files; a collection that is not there yet is an empty store. What is added is durable when
    the call returns, and is embedded once, however many ids have the same text. A document that
    is cut into several chunks is found by its passages.
    """

    def __init__(
        self,
        pipeline: RagPipeline,
        *,
        collection: str = DEFAULT_COLLECTION,
        source: str = DEFAULT_SOURCE,
        mode: Mode = "hybrid",
        read_labels: frozenset[str] = frozenset(),
    ) -> None:
        """`source` names where added documents come from: an id is replaced within its source.
        Who carries none of `read_labels` will not find what is added. `mode` is how it is
        searched.
        """
        self.pipeline = pipeline
        self.collection = collection
        self.source = source
        self.mode: Mode = mode
        self.read_labels = read_labels

    @property
    def embeddings(self) -> RagEmbeddings:
        """What the pipeline embeds with."""
        return RagEmbeddings(pipeline=self.pipeline)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        pipeline: RagPipeline | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with `texts` in it, in the pipeline that is given or that `embedding` is of.

        `kwargs` are those of the store itself. Raises `ArgumentError` for other embeddings: a
        pipeline embeds what it ingests with its own model.
        """
        if embedding is not None and not isinstance(embedding, RagEmbeddings):
            raise ArgumentError(
                f"a pipeline embeds with its own model, not with {type(embedding).__name__}: give"
                " RagEmbeddings(pipeline=...)"
            )
        own = pipeline or (embedding.pipeline if embedding else None)
        if own is None:
            raise ArgumentError("a store needs a pipeline: give RagEmbeddings(pipeline=...)")
        store = cls(own, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add `texts`, as `add_documents` does."""
        given = list(texts)
        about: Sequence[dict[str, Any]] = metadatas or [{}] * len(given)
        if len(about) != len(given):
            raise ArgumentError(
                f"{len(given)} texts came with {len(about)} metadatas; give one for each"
            )
        documents = [
            Document(page_content=text, metadata=metadata)
            for text, metadata in zip(given, about, strict=True)
        ]
        return self.add_documents(documents, ids=ids, **kwargs)

    def add_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add `documents`, or replace those with the same ids; their ids, in their order.

        `ids` go before the documents' own; one without any is given one. Of an id that comes twice
        the last document is kept. Raises `ArgumentError`, before anything is stored, for a document
        without text, or with metadata that JSON has no form for. `batch_size` is for stores that
        write in batches of their caller's.
        """
        _refuse("add_documents", kwargs)
        names = _names(documents, ids)
        records = {
            name: record_of(document, name) for name, document in zip(names, documents, strict=True)
        }
        if records:
            report = self.pipeline.ingest_records(
                records.values(),
                source=self.source,
                collection=self.collection,
                read_labels=self.read_labels,
            )
            if report.failures:
                refusal = report.failures[0]
                raise ArgumentError(
                    f"{len(report.failures)} of {len(records)} documents were not stored: the first"
                    f" is {refusal.source}, for {refusal.reason}"
                )
        return names

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete what has one of `ids`, in one generation; unknown ids are ignored.

        Raises `ArgumentError` without ids.
        """
        _refuse("delete", kwargs)
        if ids is None:
            raise ArgumentError("say which documents are to be deleted: give their ids")
        if ids and self._holds_anything():
            self.pipeline.remove(ids, collection=self.collection)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with one of `ids`, whole, in their order; unknown ones are left out."""
        if not self._holds_anything():
            return []
        found = self.pipeline.documents(ids, collection=self.collection)
        return [document_of(one.source.external_id, one.text, one.source.metadata) for one in found]

    def held(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that have a document."""
        return {document.id or "" for document in self.get_by_ids(ids)}

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents that fit `query` best, best first.

        `filter` is a filter of LangChain's (`{"year": {"$gte": 2020}}`) or of ours, as text.
        Raises `QueryError` and `FilterError`.
        """
        found = self.similarity_search_with_score(query, k, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with the score that it was ranked by: higher is better."""
        found = self._search(query, k, kwargs)
        return [(document, hit.score) for hit, document in self._shown(found)][:k]

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        **kwargs: Any,
    ) -> list[Document]:
        """The `k` documents nearest to a vector. Raises `SpaceMismatchError` for one that can't be
        compared with theirs."""
        found = self._search("", k, kwargs, vector=embedding)
        return [document for _, document in self._shown(found)][:k]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """`k` of the `fetch_k` best documents, such that they say different things.

        With a `lambda_mult` of 1 they are the best, with 0 as different as can be.
        """
        found = self._search(query, max(k, fetch_k), kwargs)
        return self._varied(found, k, lambda_mult)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, of the documents nearest to a vector."""
        found = self._search("", max(k, fetch_k), kwargs, vector=embedding)
        return self._varied(found, k, lambda_mult)

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, in its order, each with the cosine between its vector and the
        query's, which can be compared between queries; what is below 0 counts as 0."""
        found = self._search(query, k, kwargs)
        if not found.hits:
            return []
        cosines = self._vectors(found) @ np.array(self.embeddings.embed_query(query), np.float32)
        keys = (hit.chunk.chunk_id for hit in found.hits)
        relevance = dict(zip(keys, cosines.clip(0, 1).tolist(), strict=True))
        return [(document, relevance[hit.chunk.chunk_id]) for hit, document in self._shown(found)][
            :k
        ]

    def _search(
        self,
        query: str,
        limit: int,
        options: dict[str, Any],
        *,
        vector: Sequence[float] | None = None,
    ) -> SearchResult:
        """The chunks that fit a query, or a vector alone where one is given."""
        where = _filter_of(options)
        if not self._holds_anything():
            return _NOTHING
        return self.pipeline.search(
            query,
            limit=limit,
            mode=self.mode if vector is None else "vector",
            collection=self.collection,
            where=where,
            vector=vector,
        )

    def _shown(self, found: SearchResult) -> list[tuple[Hit, Document]]:
        """What there is of each hit: a document for each of its sources."""
        undivided = undivided_texts(
            self.pipeline.parts.database,
            [hit.chunk.document_id for hit in found.hits],
            principal=self.pipeline.principal,
            generation=found.generation,
        )
        return [(hit, document) for hit in found.hits for document in documents_of(hit, undivided)]

    def _varied(self, found: SearchResult, k: int, lambda_mult: float) -> list[Document]:
        if not 0 <= lambda_mult <= 1:
            raise ArgumentError(f"a lambda_mult of {lambda_mult} has no meaning; give 0 to 1")
        if not found.hits:
            return []
        places = by_marginal_relevance(
            [hit.score for hit in found.hits],
            self._vectors(found),
            limit=k,
            diversity=1 - lambda_mult,
        )
        chosen = replace(found, hits=tuple(found.hits[place] for place in places))
        return [document for _, document in self._shown(chosen)][:k]

    def _vectors(self, found: SearchResult) -> Vectors:
        """Of the hits, in their order."""
        keys = [hit.chunk.chunk_id for hit in found.hits]
        vectors = vectors_of(
            self.pipeline.parts.database,
            keys,
            principal=self.pipeline.principal,
            generation=found.generation,
        )
        return np.stack([vectors[key] for key in keys])

    def _holds_anything(self) -> bool:
        """Whether anything was ever added. A collection that the principal may not know of and one
        that is not there look the same."""
        reader, principal = self.pipeline.parts.reader, self.pipeline.principal
        try:
            return reader.collection(self.collection, principal=principal).space is not None
        except NotFoundError:
            return False


def _names(documents: Sequence[Document], ids: Sequence[str | None] | None) -> list[str]:
    """An id for each document."""
    given = [document.id for document in documents] if ids is None else list(ids)
    if len(given) != len(documents):
        raise ArgumentError(
            f"{len(documents)} documents came with {len(given)} ids; give one for each"
        )
    return [
        name or document.id or str(uuid4()) for name, document in zip(given, documents, strict=True)
    ]


def _filter_of(options: dict[str, Any]) -> Filter | None:
    """The filter of a search, which takes no other options."""
    given: FilterLike | None = options.pop("filter", None)
    _refuse("a search", options)
    return as_filter(given, fields_of="metadata.")


def _refuse(what: str, unknown: Mapping[str, Any]) -> None:
    """An argument that is misspelled, say `filters`, must not look as if it had been heeded."""
    if unknown:
        raise ArgumentError(f"{what} takes no {', '.join(sorted(unknown))}; leave it out")
