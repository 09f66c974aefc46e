"""`/api/collections`: which documents are searched together, and how many there are."""

from fastapi import APIRouter
from pydantic import BaseModel

from rag_pipeline.service.api.asking import Turn
from rag_pipeline.service.dependencies import Rag
from storage.listing import CollectionCounts
from storage.records import Collection

router = APIRouter(prefix="/api", tags=["documents"])


class CollectionSummary(BaseModel):
    """A collection, and how much of it the caller may read."""

    name: str
    documents: int
    chunks: int
    generation: int
    """The last one that changed it; 0 if none has."""
    searchable: bool
    """Whether anything was ever embedded."""
    model: str | None
    """That embeds its texts."""


class Collections(BaseModel):
    """All collections, by name, and the generation that is served."""

    generation: int
    collections: list[CollectionSummary]


@router.get("/collections", dependencies=[Turn])
def list_collections(rag: Rag) -> Collections:
    """List the collections that there are."""
    return Collections(
        generation=rag.browse.generation(),
        collections=[
            _summary(collection, rag.browse.counts(collection)) for collection in rag.browse.known()
        ],
    )


def _summary(collection: Collection, counts: CollectionCounts) -> CollectionSummary:
    return CollectionSummary(
        name=collection.name,
        documents=counts.documents,
        chunks=counts.chunks,
        generation=counts.generation,
        searchable=collection.space is not None,
        model=None if collection.space is None else collection.space.model,
    )
