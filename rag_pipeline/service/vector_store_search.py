"""`/v1/vector_stores/{id}/search`: the library's search, in OpenAI's shape."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from rag_pipeline.service.api.asking import Body, Text, Turn
from rag_pipeline.service.attached import FILE_FIELD
from rag_pipeline.service.attribute_filters import AttributeFilter, filter_json
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import UnsupportedError
from rag_pipeline.service.stores import find_collection
from rag_pipeline.service.vector_store_files import Attributes, TextContent, shown_attributes
from storage.records import ChunkId, Hit, SourceRef

MAX_QUERIES = 10

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])
Query = Annotated[Text, Field(min_length=1, max_length=10_000)]


class RankingOptions(Body):
    """Which results are left out. Whether anything is reranked, the collection's settings say."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class VectorStoreSearch(Body):
    """What is looked for among what is attached."""

    query: Query | Annotated[list[Query], Field(min_length=1, max_length=MAX_QUERIES)]
    filters: AttributeFilter | None = None
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False


class SearchedFile(BaseModel):
    """A passage, by the file that it stands in."""

    file_id: str
    """Of the uploaded file; `doc-` and the document's number for what came in otherwise."""
    filename: str
    score: float
    attributes: Attributes
    content: list[TextContent]


class VectorStoreSearchPage(BaseModel):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchedFile]
    has_more: Literal[False] = False
    next_page: None = None


@router.post("/{vector_store_id}/search", dependencies=[Turn])
def search_vector_store(
    vector_store_id: Text, asked: VectorStoreSearch, rag: Rag
) -> VectorStoreSearchPage:
    """Find the passages of a collection that fit one of the queries best."""
    if asked.rewrite_query:
        raise UnsupportedError(
            "queries are not rewritten here; send false, or leave it out", param="rewrite_query"
        )
    collection = find_collection(rag, vector_store_id)
    queries = [asked.query] if isinstance(asked.query, str) else asked.query
    best: dict[ChunkId, Hit] = {}
    for query in queries if collection.space is not None else ():
        result = rag.search(
            query,
            collection=collection.name,
            limit=asked.max_num_results,
            where=None if asked.filters is None else filter_json(asked.filters),
        )
        for hit in result.hits:
            known = best.setdefault(hit.chunk.chunk_id, hit)
            if hit.score > known.score:
                best[hit.chunk.chunk_id] = hit
    least = asked.ranking_options.score_threshold
    found = [hit for hit in best.values() if not least or hit.score >= least]
    found.sort(key=lambda hit: (-hit.score, hit.chunk.chunk_id))
    shown = [_result(hit) for hit in found[: asked.max_num_results]]
    return VectorStoreSearchPage(search_query=list(queries), data=shown)


def _result(hit: Hit) -> SearchedFile:
    ref = _attached_source(hit)
    file_id = ref.metadata.get(FILE_FIELD)
    return SearchedFile(
        file_id=file_id if isinstance(file_id, str) else f"doc-{hit.chunk.document_id}",
        filename=PurePosixPath(ref.source).name or ref.title,
        score=hit.score,
        attributes=shown_attributes(ref.metadata),
        content=[TextContent(text=hit.chunk.text)],
    )


def _attached_source(hit: Hit) -> SourceRef:
    """The source that is an attached file, or the first."""
    attached = (ref for ref in hit.chunk.sources if FILE_FIELD in ref.metadata)
    return next(attached, hit.chunk.sources[0])
