"""`/v1/vector_stores`: collections and what is attached to them, in OpenAI's shapes."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from rag_pipeline.service import stores
from rag_pipeline.service.api.asking import Body, Name, Text, Turn, Writer
from rag_pipeline.service.attached import attach
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import UnsupportedError
from rag_pipeline.service.stores import Store
from storage.errors import NotFoundError

Order = Literal["asc", "desc"]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[Text | None, Query(max_length=1_000)]

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])


class FileCounts(BaseModel):
    in_progress: int = 0
    completed: int
    cancelled: int = 0
    failed: int = 0
    total: int


class VectorStore(BaseModel):
    """A collection; its files are its documents."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    """Seconds since 1970."""
    name: str
    usage_bytes: int
    """Of its vectors."""
    file_counts: FileCounts
    status: Literal["completed"] = "completed"
    expires_after: None = None
    expires_at: None = None
    last_active_at: int | None = None
    metadata: dict[str, str] = {}


class VectorStoreList(BaseModel):
    object: Literal["list"] = "list"
    data: list[VectorStore]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VectorStoreDeleted(BaseModel):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: Literal[True] = True


class ChunkingStrategy(Body):
    """How a text is cut; only as the settings say."""

    type: Literal["auto", "static"]
    static: dict[str, Any] | None = None


class NewVectorStore(Body):
    """A vector store that is to be made."""

    name: Name | None = None
    """Of the collection; None: one that nobody has."""
    file_ids: Annotated[list[Text], Field(max_length=100)] = Field(default_factory=list)
    chunking_strategy: ChunkingStrategy | None = None
    description: Text | None = None
    expires_after: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


@router.post("", dependencies=[Turn])
def create_vector_store(asked: NewVectorStore, rag: Writer) -> VectorStore:
    """Make a collection, and attach files to it."""
    refuse_given(asked, ("description", "expires_after", "metadata"))
    refuse_strategy(asked.chunking_strategy)
    uploads = [rag.uploads.find(file_id) for file_id in asked.file_ids]
    made = stores.create(rag, asked.name or f"vector-store-{secrets.token_hex(6)}")
    for upload in uploads:
        attach(rag, made.collection.name, upload, {})
    return _shown(stores.find(rag, made.store_id))


@router.get("", dependencies=[Turn])
def list_vector_stores(
    rag: Rag,
    limit: Limit = 20,
    order: Order = "desc",
    after: After = None,
    before: After = None,
) -> VectorStoreList:
    """List the collections that there are."""
    found = stores.stores(rag)
    ordered = found if order == "desc" else found[::-1]
    page, has_more = between(ordered, limit=limit, after=after, before=before)
    shown = [_shown(store) for store in page]
    return VectorStoreList(
        data=shown, has_more=has_more, first_id=first_id(shown), last_id=last_id(shown)
    )


@router.get("/{vector_store_id}", dependencies=[Turn])
def show_vector_store(vector_store_id: Text, rag: Rag) -> VectorStore:
    """Show what is known of a collection."""
    return _shown(stores.find(rag, vector_store_id))


@router.delete("/{vector_store_id}", dependencies=[Turn])
def delete_vector_store(vector_store_id: Text, rag: Writer) -> VectorStoreDeleted:
    """Remove all documents of a collection. What was asked of it stays on record."""
    stores.delete(rag, vector_store_id)
    return VectorStoreDeleted(id=vector_store_id)


def refuse_given(asked: BaseModel, names: Sequence[str]) -> None:
    """Raise `UnsupportedError` for a parameter among `names` that says anything."""
    for name in names:
        if getattr(asked, name):
            raise UnsupportedError(f"{name!r} is not offered here; leave it out", param=name)


def refuse_strategy(given: ChunkingStrategy | None) -> None:
    """Raise `UnsupportedError` for a way of cutting texts that is not the collection's."""
    if given is not None and given.type != "auto":
        raise UnsupportedError(
            "how texts are cut is set for a collection (RAG_CHUNKING__…); use the strategy 'auto'",
            param="chunking_strategy",
        )


def between(
    found: Sequence[Store], *, limit: int, after: str | None, before: str | None
) -> tuple[Sequence[Store], bool]:
    """The first `limit` stores behind `after` and in front of `before`, and whether more follow."""
    places = {store.store_id: place for place, store in enumerate(found)}
    for named in (after, before):
        if named is not None and named not in places:
            raise NotFoundError(f"there is no vector store {named[:200]!r}")
    start = 0 if after is None else places[after] + 1
    end = len(found) if before is None else places[before]
    return found[start:end][:limit], end - start > limit


def first_id(shown: Sequence[Any]) -> str | None:
    """The id of the first of a page, if there is any."""
    return shown[0].id if shown else None


def last_id(shown: Sequence[Any]) -> str | None:
    """The id of the last of a page, if there is any."""
    return shown[-1].id if shown else None


def _shown(store: Store) -> VectorStore:
    documents = store.counts.documents
    return VectorStore(
        id=store.store_id,
        created_at=int(store.created_at.timestamp()),
        name=store.collection.name,
        usage_bytes=store.usage_bytes,
        file_counts=FileCounts(completed=documents, total=documents),
    )
