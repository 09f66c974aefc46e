"""Files that were attached to a collection: found again by what their documents say of them."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from ingest.feeds.uploads import UploadedFile
from rag_pipeline.pipeline import RagPipeline
from storage.attachments import Attachments
from storage.errors import FilterError, NotFoundError
from storage.records import Collection
from storage.uploads import Upload

FILE_FIELD = "vector_store_file"
"""Of the metadata of a document that an attached file gave: the id of the file."""


def attachments(rag: RagPipeline, collection: Collection) -> Attachments:
    """The files of a collection, as it is served to the caller."""
    return Attachments(
        database=rag.parts.database,
        collection_id=collection.collection_id,
        field=FILE_FIELD,
        principal=rag.principal,
        generation=rag.browse.generation(),
    )


def attach(
    rag: RagPipeline, collection: str, upload: Upload, attributes: Mapping[str, Any]
) -> None:
    """Bring an uploaded file into a collection. Raises `LeaseBusyError`."""
    content = BytesIO(rag.uploads.read(upload.file_id))
    rag.ingest_uploads(
        [UploadedFile(name=upload.filename, file=content)],
        collection=collection,
        place=upload.file_id,
        metadata={**attributes, FILE_FIELD: upload.file_id},
        source_name=upload.file_id,
        wait=False,
    )


def detach(rag: RagPipeline, collection: str, file_id: str) -> None:
    """Take a file out of a collection. Raises `NotFoundError`, `LeaseBusyError`."""
    condition = {"field": FILE_FIELD, "op": "=", "value": file_id}
    try:
        rag.remove_where(condition, collection=collection, source_name=file_id, wait=False)
    except FilterError as error:
        # No file was attached to it yet, so that nobody knows the field.
        raise NotFoundError(f"there is no file {file_id!r} in {collection!r}") from error


def detach_everywhere(rag: RagPipeline, file_id: str) -> None:
    """Take a file out of every collection that has it. Raises `LeaseBusyError`."""
    for collection in rag.browse.known():
        if attachments(rag, collection).of([file_id]):
            detach(rag, collection.name, file_id)
