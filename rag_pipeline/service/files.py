"""`/v1/files`: bytes that clients keep here, in OpenAI's shapes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal, get_args

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile

from ingest.feeds.uploads import plain_name
from rag_pipeline.service.api.asking import Text, Turn, Writer
from rag_pipeline.service.attached import detach_everywhere
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import ServiceError
from storage.uploads import Upload

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
Order = Literal["asc", "desc"]
PURPOSES = get_args(Purpose)
MAX_FILES = 10_000
_MEDIA_TYPE = "application/octet-stream"
_FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
    },
}

router = APIRouter(prefix="/v1/files", tags=["openai"])


class FileObject(BaseModel):
    """An uploaded file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    """Seconds since 1970."""
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    expires_at: int | None = None


class FileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """The form of an upload, read; `file` is open as long as the request is served."""

    name: str
    purpose: Purpose
    file: BinaryIO


async def sent_file(request: Request) -> AsyncIterator[SentFile]:
    """What the form of `request` holds. Raises `ServiceError` for what is missing in it."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ServiceError("send the file as multipart/form-data", param="file")
    async with request.form(max_files=1, max_fields=16) as form:
        yield _sent(form)


@router.post(
    "",
    dependencies=[Turn],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": _FORM}},
        }
    },
)
def upload_file(sent: Annotated[SentFile, Depends(sent_file)], rag: Writer) -> FileObject:
    """Keep a file; attach it to a vector store to have it searched."""
    name = plain_name(sent.name)
    kept = rag.uploads.put(name, sent.file.read(), purpose=sent.purpose, media_type=_MEDIA_TYPE)
    return file_object(kept)


@router.get("", dependencies=[Turn])
def list_files(
    rag: Rag,
    purpose: Annotated[Text | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_FILES)] = MAX_FILES,
    after: Annotated[Text | None, Query(max_length=100)] = None,
    order: Order = "desc",
) -> FileList:
    """List the files that were uploaded."""
    found = rag.uploads.page(
        limit=limit + 1, after=after, purpose=purpose, newest_first=order == "desc"
    )
    shown = [file_object(upload) for upload in found[:limit]]
    return FileList(
        data=shown,
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
        has_more=len(found) > limit,
    )


@router.get("/{file_id}", dependencies=[Turn])
def show_file(file_id: Text, rag: Rag) -> FileObject:
    """Show what is known of a file."""
    return file_object(rag.uploads.find(file_id))


@router.get(
    "/{file_id}/content",
    dependencies=[Turn],
    response_class=Response,
    responses={200: {"content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
def read_file(file_id: Text, rag: Rag) -> Response:
    """Give back the bytes of a file."""
    # Never shown by a browser as if it were a page of ours.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return Response(rag.uploads.read(file_id), media_type=_MEDIA_TYPE, headers=headers)


@router.delete("/{file_id}", dependencies=[Turn])
def delete_file(file_id: Text, rag: Writer) -> FileDeleted:
    """Delete a file, and take it out of every vector store that has it."""
    found = rag.uploads.find(file_id)
    detach_everywhere(rag, found.file_id)
    rag.uploads.remove(found.file_id)
    return FileDeleted(id=found.file_id)


def file_object(upload: Upload) -> FileObject:
    """A file in OpenAI's shape."""
    return FileObject(
        id=upload.file_id,
        bytes=upload.size_bytes,
        created_at=int(upload.created_at.timestamp()),
        filename=upload.filename,
        purpose=upload.purpose,
    )


def _sent(form: FormData) -> SentFile:
    file, purpose = form.get("file"), form.get("purpose")
    if not isinstance(file, UploadFile):
        raise ServiceError("no file is sent; send one as `file`", param="file")
    if purpose not in PURPOSES:
        raise ServiceError(f"give one purpose of: {', '.join(PURPOSES)}", param="purpose")
    return SentFile(name=file.filename or "", purpose=_purpose(purpose), file=file.file)


def _purpose(given: Any) -> Purpose:
    found: Purpose = given
    return found
