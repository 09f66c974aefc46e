"""`/v1/vector_stores/{id}/files` and `…/search`: what is attached to a collection, and found."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from rag_pipeline.service.api.asking import Body, Text, Turn, Writer
from rag_pipeline.service.attached import FILE_FIELD, attach, attachments, detach
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.stores import find_collection, vector_bytes
from rag_pipeline.service.vector_stores import (
    After,
    ChunkingStrategy,
    Limit,
    Order,
    first_id,
    last_id,
    refuse_strategy,
)
from storage.attachments import Attachment
from storage.errors import NotFoundError
from storage.filters import from_json
from storage.records import Collection
from storage.runs import RunRecord

Status = Literal["in_progress", "completed", "cancelled", "failed"]
Attributes = dict[str, bool | float | str]
MAX_ATTRIBUTES = 16
MAX_SHOWN_DOCUMENTS = 200

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])


class LastError(BaseModel):
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(BaseModel):
    """A file that is attached to a collection, or could not be."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: Status
    usage_bytes: int
    """Of its vectors."""
    last_error: LastError | None = None
    attributes: Attributes = {}
    chunking_strategy: dict[str, Any] = {"type": "other"}


class VectorStoreFileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[VectorStoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VectorStoreFileDeleted(BaseModel):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: Literal[True] = True


class TextContent(BaseModel):
    type: Literal["text"] = "text"
    text: str


class FileContent(BaseModel):
    """The texts that a file gave."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool
    next_page: None = None


class NewVectorStoreFile(Body):
    """A file that is to be attached, and what is said of it."""

    file_id: Text
    attributes: (
        Annotated[
            dict[Annotated[Text, Field(min_length=1, max_length=64)], bool | float | Text],
            Field(max_length=MAX_ATTRIBUTES),
        ]
        | None
    ) = None
    chunking_strategy: ChunkingStrategy | None = None


@router.post("/{vector_store_id}/files", dependencies=[Turn])
def attach_file(vector_store_id: Text, asked: NewVectorStoreFile, rag: Writer) -> VectorStoreFile:
    """Bring an uploaded file into a collection; it is searched when this returns."""
    refuse_strategy(asked.chunking_strategy)
    collection = find_collection(rag, vector_store_id)
    upload = rag.uploads.find(asked.file_id)
    attach(rag, collection.name, upload, asked.attributes or {})
    return _file(rag, vector_store_id, upload.file_id)


@router.get("/{vector_store_id}/files", dependencies=[Turn])
def list_attached_files(
    vector_store_id: Text,
    rag: Rag,
    limit: Limit = 20,
    order: Order = "desc",
    after: After = None,
    filter: Annotated[Status | None, Query()] = None,  # noqa: A002 # OpenAI's name for it
) -> VectorStoreFileList:
    """List the files that were attached and are there; documents that came otherwise have none."""
    collection = find_collection(rag, vector_store_id)
    found: list[Attachment] = []
    if filter in (None, "completed"):
        found = attachments(rag, collection).page(
            limit=limit + 1, after=after, newest_first=order == "desc"
        )
    shown = [_completed(collection, vector_store_id, one) for one in found[:limit]]
    return VectorStoreFileList(
        data=shown, has_more=len(found) > limit, first_id=first_id(shown), last_id=last_id(shown)
    )


@router.get("/{vector_store_id}/files/{file_id}", dependencies=[Turn])
def show_attached_file(vector_store_id: Text, file_id: Text, rag: Rag) -> VectorStoreFile:
    """Show how a file came in."""
    return _file(rag, vector_store_id, file_id)


@router.get("/{vector_store_id}/files/{file_id}/content", dependencies=[Turn])
def read_attached_file(vector_store_id: Text, file_id: Text, rag: Rag) -> FileContent:
    """Give the texts that a file was parsed to."""
    collection = find_collection(rag, vector_store_id)
    if not attachments(rag, collection).of([file_id]):
        raise _missing(file_id, vector_store_id)
    found = rag.browse.documents(
        collection.name,
        limit=MAX_SHOWN_DOCUMENTS,
        generation=rag.browse.generation(),
        where=from_json({"field": FILE_FIELD, "op": "=", "value": file_id}),
    )
    texts = [rag.browse.document(one.document_id).text for one in reversed(found)]
    return FileContent(
        data=[TextContent(text=text) for text in texts],
        has_more=len(found) == MAX_SHOWN_DOCUMENTS,
    )


@router.delete("/{vector_store_id}/files/{file_id}", dependencies=[Turn])
def detach_file(vector_store_id: Text, file_id: Text, rag: Writer) -> VectorStoreFileDeleted:
    """Take a file out of a collection; the file itself stays."""
    collection = find_collection(rag, vector_store_id)
    detach(rag, collection.name, file_id)
    return VectorStoreFileDeleted(id=file_id)


def shown_attributes(metadata: Mapping[str, Any]) -> Attributes:
    """What OpenAI's attributes can say of `metadata`: a few scalars."""
    scalars = {
        key: value
        for key, value in metadata.items()
        if isinstance(value, bool | int | float | str) and key != FILE_FIELD
    }
    return dict([*scalars.items()][:MAX_ATTRIBUTES])


def _file(rag: Rag, vector_store_id: str, file_id: str) -> VectorStoreFile:
    collection = find_collection(rag, vector_store_id)
    found = attachments(rag, collection).of([file_id])
    if found:
        return _completed(collection, vector_store_id, found[0])
    runs = rag.browse.runs(limit=1, source=file_id, collection=collection.name)
    if not runs or (failure := _failure(runs[0])) is None:
        raise _missing(file_id, vector_store_id)
    status: Status = "in_progress" if runs[0].status == "running" else "failed"
    return VectorStoreFile(
        id=file_id,
        created_at=int(runs[0].started_at.timestamp()),
        vector_store_id=vector_store_id,
        status=status,
        usage_bytes=0,
        last_error=None if status == "in_progress" else failure,
    )


def _failure(run: RunRecord) -> LastError | None:
    """Why a run brought nothing in; None where it was to take something out."""
    if run.status == "running" or run.status == "died":
        return LastError(code="server_error", message="it was stopped before it was done")
    if run.status == "failed":
        return LastError(code="server_error", message=str(run.report.get("error")))
    failures = run.report.get("failures", [])
    if not failures:
        return None
    is_unknown = failures[0]["outcome"] == "skipped"
    code: Literal["unsupported_file", "invalid_file"] = (
        "unsupported_file" if is_unknown else "invalid_file"
    )
    return LastError(code=code, message=failures[0]["reason"])


def _completed(
    collection: Collection, vector_store_id: str, attached: Attachment
) -> VectorStoreFile:
    return VectorStoreFile(
        id=attached.file_id,
        created_at=int(attached.since.timestamp()),
        vector_store_id=vector_store_id,
        status="completed",
        usage_bytes=attached.chunks * vector_bytes(collection),
        attributes=shown_attributes(attached.metadata),
    )


def _missing(file_id: str, vector_store_id: str) -> NotFoundError:
    return NotFoundError(f"there is no file {file_id[:100]!r} in {vector_store_id[:200]!r}")
