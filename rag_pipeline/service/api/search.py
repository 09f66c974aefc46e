"""`/api/search`: the passages that fit a query best."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.retrieval.result_json import result_json
from rag_pipeline.service.api.asking import MAX_KEY, Body, Name, Origins, Text, Turn
from rag_pipeline.service.dependencies import Rag

MAX_LIMIT = 1_000
MAX_CONTEXT = 100_000
MAX_COLLECTIONS = 100

router = APIRouter(prefix="/api", tags=["search"])


class SearchRequest(Body):
    """What is looked for, and where."""

    query: Annotated[Text, Field(min_length=1, max_length=10_000)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 10
    mode: Literal["hybrid", "vector", "keyword"] = "hybrid"
    collection: Name | Annotated[list[Name], Field(min_length=1, max_length=MAX_COLLECTIONS)] = (
        DEFAULT_COLLECTION
    )
    where: Text | dict[str, Any] | None = None
    """A filter, as text (`year >= 2020`) or as JSON (`{"field", "op", "value"}`)."""
    as_of: Annotated[int, Field(ge=1, le=MAX_KEY)] | Text | None = None
    """A generation, a date or a time: the documents as they were then."""
    operators: bool = False
    """Whether quotes, `*`, `+` and `-` in the query are operators."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    collapse: bool = False
    expand: Annotated[int, Field(ge=0, le=MAX_CONTEXT)] = 0
    explain: bool = False
    origins: Origins | None = None
    """Null: real documents, unless `where` names `origin`."""


class Source(BaseModel):
    """A place that a text was found at."""

    source: str
    external_id: str
    title: str
    metadata: dict[str, Any]
    origin: Literal["real", "synthetic"]


class Context(BaseModel):
    """What stands around a passage."""

    start: int
    end: int
    text: str


class FoundPassage(BaseModel):
    """A passage and where it ranked; offsets count Unicode code points of its document."""

    chunk_id: int
    document_id: int
    external_id: str
    source: str
    score: float
    rank: int
    vector_rank: int | None
    vector_score: float | None
    keyword_rank: int | None
    keyword_score: float | None
    text: str
    title: str
    start: int
    end: int
    headings: list[str]
    page: int | None
    section_start: int
    section_end: int
    language: str | None
    suspicions: list[tuple[int, int, str]]
    """Spans that speak to a model instead of a reader: start, end, reason."""
    metadata: dict[str, Any]
    context: Context | None
    copies: list[int]
    sources: list[Source]
    explanation: dict[str, Any] | None = None


class SearchAnswer(BaseModel):
    """Hits, best first, and the generation that they were found in."""

    generation: int
    hits: list[FoundPassage]


@router.post("/search", response_model=SearchAnswer, dependencies=[Turn])
def search(asked: SearchRequest, rag: Rag) -> JSONResponse:
    """Find the passages that fit a query best."""
    result = rag.search(
        asked.query,
        limit=asked.limit,
        mode=asked.mode,
        collection=asked.collection,
        where=asked.where,
        as_of=asked.as_of,
        operators=asked.operators,
        diversity=asked.diversity,
        collapse=asked.collapse,
        expand=asked.expand,
        explain=asked.explain,
        origins=asked.origins,
    )
    # As it is: to check every field of every hit again costs more than to write them.
    return JSONResponse(result_json(result))
