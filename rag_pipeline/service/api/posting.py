"""What is posted to `/api/documents`: records as JSON, or files as a form."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from ingest.feeds.uploads import UploadedFile
from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.service.api.asking import Body, Name
from rag_pipeline.service.errors import ServiceError

MAX_RECORDS = 100_000
MAX_FILES = 1_000
MAX_LABELS = 100


class Addressed(Body):
    """Where documents go to, and what is said of all of them."""

    collection: Name = DEFAULT_COLLECTION
    generator_id: Name | None = None
    """Tags all of them as synthetic, made by that generator."""
    labels: Annotated[tuple[Name, ...], Field(max_length=MAX_LABELS)] = ()
    """Who carries none of them will not find the documents."""


class PostedRecords(Addressed):
    """Records of the form `{_id, title, text, metadata}`."""

    source: Name = "api"
    """The same source and `_id` at the next time are the same document."""
    records: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_RECORDS)]


class PostedFiles(Addressed):
    """Files; one of the same name at the next time is the same document."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    files: list[UploadedFile]


class DocumentCounts(BaseModel):
    new: int
    changed: int
    unchanged: int
    duplicate: int
    near_duplicate: int
    failed: int
    skipped: int
    deleted: int


class ChunkCounts(BaseModel):
    added: int
    removed: int


class Failure(BaseModel):
    source: str
    reason: str
    outcome: Literal["refused", "skipped"]


class IngestAnswer(BaseModel):
    """What `rag ingest --json` prints."""

    run_id: str
    generation: int
    documents: DocumentCounts
    chunks: ChunkCounts
    embedded: int
    suspicious: int
    bytes_read: int
    seconds: float
    failures: list[Failure]


async def posted(request: Request) -> AsyncIterator[PostedRecords | PostedFiles]:
    """The body of `request`; files are open as long as this is entered."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FILES) as form:
            yield _from_form(form)
    elif kind == "application/json" or kind.endswith("+json"):
        yield _from_json(await request.body())
    else:
        raise ServiceError("send records as application/json, or files as multipart/form-data")


PostedDocuments = Annotated[PostedRecords | PostedFiles, Depends(posted)]


def described() -> Mapping[str, Any]:
    """Both forms of the body, as OpenAPI says them."""
    as_form = {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "collection": {"type": "string"},
            "generator_id": {"type": "string"},
            "labels": {"type": "array", "items": {"type": "string"}},
        },
    }
    return {
        "required": True,
        "content": {
            "application/json": {"schema": PostedRecords.model_json_schema()},
            "multipart/form-data": {"schema": as_form},
        },
    }


def _from_json(body: bytes) -> PostedRecords:
    try:
        return PostedRecords.model_validate(json.loads(body))
    except ValidationError as error:
        raise _invalid(error) from error
    except (ValueError, RecursionError):
        raise ServiceError("the body is not JSON; send {records: [{_id, title, text}]}") from None


def _from_form(form: FormData) -> PostedFiles:
    files = [
        UploadedFile(name=value.filename or "", file=value.file)
        for name, value in form.multi_items()
        if name == "files" and isinstance(value, UploadFile)
    ]
    if not files or len(files) < len(form.getlist("files")):
        raise ServiceError("send one or more files with their names as `files`", param="files")
    said = _texts(form)
    try:
        return PostedFiles(files=files, **said)
    except ValidationError as error:
        raise _invalid(error) from error


def _texts(form: FormData) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "labels":
            said.setdefault(name, []).append(value)
        elif name != "files":
            said[name] = value
    return said


def _invalid(error: ValidationError) -> RequestValidationError:
    """As FastAPI says it of bodies that it reads itself."""
    return RequestValidationError(
        [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
    )
