"""Search as LangChain's retriever knows it."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode
from rag_pipeline.integrations.langchain.filters import as_filter
from rag_pipeline.pipeline import RagPipeline
from storage.records import Hit


class RagRetriever(BaseRetriever):
    """The chunks of a pipeline's documents that fit a query best, best first.

    What the pipeline's principal may not read is never found. Raises what `RagPipeline.search`
    raises.
    """

    pipeline: RagPipeline
    k: int = 10
    """How many chunks, at most; `invoke(query, k=3)` says it for one call."""
    collection: str = DEFAULT_COLLECTION
    mode: Mode = "hybrid"
    filter: Any = None
    """A filter of LangChain's, or of ours as text: see `filters`."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        asked = {"k": self.k, "filter": self.filter, **options}
        result = self.pipeline.search(
            query,
            limit=asked["k"],
            mode=self.mode,
            collection=self.collection,
            where=as_filter(asked["filter"]),
        )
        return [_document(hit) for hit in result.hits]


def _document(hit: Hit) -> Document:
    """A chunk under its first source; what we know of it stands before what the source says."""
    first = hit.chunk.sources[0]
    known = {
        "page": hit.chunk.page,
        "headings": list(hit.chunk.headings),
        "language": hit.chunk.language,
    }
    metadata: dict[str, Any] = {
        **first.metadata,
        **{name: value for name, value in known.items() if value},
        "source": first.source,
        "external_id": first.external_id,
        "title": first.title,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "section_start": hit.chunk.section[0],
        "section_end": hit.chunk.section[1],
        "score": hit.score,
    }
    return Document(id=str(hit.chunk.chunk_id), page_content=hit.chunk.text, metadata=metadata)
