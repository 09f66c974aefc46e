"""`/api/documents`: what is stored, page by page and one by one; how it comes in and goes."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ingest.report import IngestReport
from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.result_json import source_json
from rag_pipeline.service.api.asking import (
    MAX_KEY,
    Key,
    Name,
    Origins,
    Text,
    TextQuery,
    Turn,
    Writer,
    filter_of,
    origins_of,
)
from rag_pipeline.service.api.paging import CursorText, cursor_at, key_place
from rag_pipeline.service.api.posting import (
    IngestAnswer,
    PostedDocuments,
    PostedFiles,
    PostedRecords,
    described,
)
from rag_pipeline.service.api.search import Source
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import ServiceError
from storage.listing import ListedDocument, WholeDocument

MAX_REMOVED = 1_000

router = APIRouter(prefix="/api", tags=["documents"])


class DocumentSummary(BaseModel):
    """A document without its text, with those of its sources that the caller may read."""

    document_id: int
    collection: str
    title: str
    sources: list[Source]
    language: str | None
    characters: int
    chunks: int
    metadata: dict[str, Any]
    """Of the first source."""
    origin: str
    """Synthetic where every source is."""
    from_generation: int
    suspicious: int
    """Spans that speak to a model instead of a reader."""


class DocumentPage(BaseModel):
    """Documents, newest first, as of one generation."""

    generation: int
    items: list[DocumentSummary]
    next_cursor: str | None


class Heading(BaseModel):
    start: int
    level: int
    title: str


class DocumentOutline(BaseModel):
    """Where headings stand and pages begin, in code points."""

    headings: list[Heading]
    pages: list[int]


class ChunkSpan(BaseModel):
    chunk_id: int
    start: int
    end: int


class Suspicion(BaseModel):
    start: int
    end: int
    reason: str


class Nearness(BaseModel):
    """How like another document it is, and whether only that one is found."""

    similarity: float
    held_back: bool


class DocumentDetail(DocumentSummary):
    """A document as of `generation`; offsets count Unicode code points of `text`."""

    generation: int
    to_generation: int | None
    text: str
    outline: DocumentOutline
    chunks: list[ChunkSpan]  # type: ignore[assignment] # spans here, their number in a list
    suspicions: list[Suspicion]
    near: Nearness | None


@router.get("/documents", response_model=DocumentPage, dependencies=[Turn])
def list_documents(
    rag: Rag,
    collection: Annotated[Name, Query()] = DEFAULT_COLLECTION,
    where: TextQuery = None,
    source: Annotated[Text, Query(max_length=2_000)] = "",
    q: Annotated[Text, Query(max_length=1_000)] = "",
    origins: Origins = "both",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: CursorText = None,
) -> JSONResponse:
    """List documents, newest first. All pages show the generation of the first.

    `source` is what their place begins with; the words of `q` stand in a title, an id or a place;
    `where` is a filter.
    """
    asked = {"list": "documents", "in": [collection, where, source, q, origins]}
    generation, before = rag.browse.generation(), None
    if cursor is not None:
        generation, before = key_place(cursor, asked, 2)
    found = rag.browse.documents(
        collection,
        limit=limit,
        generation=generation,
        before=before,
        origins=origins_of(origins),
        where=filter_of(where),
        source=source,
        words=q,
    )
    is_last = len(found) < limit
    place = None if is_last else cursor_at(asked, [generation, found[-1].document_id])
    items = [_summary(document) for document in found]
    return JSONResponse({"generation": generation, "items": items, "next_cursor": place})


@router.get("/documents/{document_id}", response_model=DocumentDetail, dependencies=[Turn])
def show_document(
    document_id: Key,
    rag: Rag,
    generation: Annotated[int | None, Query(ge=1, le=MAX_KEY)] = None,
) -> JSONResponse:
    """Show a document as it is served, or as it was at `generation`."""
    return JSONResponse(_detail(rag.browse.document(document_id, generation=generation)))


@router.post(
    "/documents",
    response_model=IngestAnswer,
    dependencies=[Turn],
    openapi_extra={"requestBody": described()},
)
def add_documents(posted: PostedDocuments, rag: Writer) -> JSONResponse:
    """Bring records or files into a collection. 409 while another writer is at work."""
    return JSONResponse(_ingested(rag, posted).as_json())


@router.delete("/documents", response_model=IngestAnswer, dependencies=[Turn])
def remove_documents(
    rag: Writer,
    external_id: Annotated[list[Name] | None, Query(max_length=MAX_REMOVED)] = None,
    source: Annotated[Text | None, Query(min_length=1, max_length=MAX_REMOVED * 4)] = None,
    collection: Annotated[Name, Query()] = DEFAULT_COLLECTION,
) -> JSONResponse:
    """Remove what was found at the place `source`, or what has one of the ids, or both alike."""
    conditions: list[dict[str, Any]] = []
    if external_id:
        conditions.append({"field": "external_id", "op": "in", "value": external_id})
    if source is not None:
        conditions.append({"field": "source", "op": "=", "value": source})
    if not conditions:
        raise ServiceError("nothing is named; give external_id or source", param="external_id")
    report = rag.remove_where({"and": conditions}, collection=collection, wait=False)
    return JSONResponse(report.as_json())


def _ingested(rag: RagPipeline, given: PostedRecords | PostedFiles) -> IngestReport:
    about: dict[str, Any] = {
        "collection": given.collection,
        "generator_id": given.generator_id,
        "read_labels": frozenset(given.labels),
        "wait": False,
    }
    if isinstance(given, PostedFiles):
        return rag.ingest_uploads(given.files, **about)
    return rag.ingest_records(given.records, source=given.source, **about)


def _summary(document: ListedDocument) -> dict[str, Any]:
    first = document.sources[0]
    is_real = any(ref.origin == "real" for ref in document.sources)
    return {
        "document_id": document.document_id,
        "collection": document.collection,
        "title": first.title,
        "sources": [source_json(ref) for ref in document.sources],
        "language": document.language,
        "characters": document.characters,
        "chunks": document.chunks,
        "metadata": dict(first.metadata),
        "origin": "real" if is_real else "synthetic",
        "from_generation": document.from_generation,
        "suspicious": len(document.suspicions),
    }


def _detail(document: WholeDocument) -> dict[str, Any]:
    about, outline = document.about, document.outline
    near = None
    if about.similarity is not None:
        near = {"similarity": about.similarity, "held_back": about.is_held_back}
    return _summary(about) | {
        "generation": document.generation,
        "to_generation": about.to_generation,
        "text": document.text,
        "outline": {
            "headings": [
                {"start": heading.start, "level": heading.level, "title": heading.title}
                for heading in outline.headings
            ],
            "pages": list(outline.page_starts),
        },
        "chunks": [
            {"chunk_id": key, "start": start, "end": end} for key, start, end in document.chunks
        ],
        "suspicions": [
            {"start": start, "end": end, "reason": reason}
            for start, end, reason in about.suspicions
        ],
        "near": near,
    }
