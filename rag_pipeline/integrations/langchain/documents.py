"""LangChain's documents as records of a pipeline, and what a search found as documents again.

What is stored is in one normal form (see `ingest.normalise`): line ends, blank space at the ends,
control characters and composed letters may differ from what was given. Where they do, the document
is also kept as it was given, as JSON under a name of its own in the metadata, and comes back so.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from ingest.errors import RefusedError
from ingest.normalise import normalise
from ingest.parse.jsonl_record import record_id
from ingest.parse.metadata import clean
from rag_pipeline.integrations.langchain.errors import ArgumentError
from storage.metadata_values import as_double
from storage.records import DocumentId, Hit, Metadata, SourceRef

GIVEN = "_given"
"""Where the metadata of a stored document holds the document as it was given."""
PASSAGE = "_passage"
"""Where the metadata of a passage says which part of which document it is."""


def record_of(document: Document, external_id: str) -> dict[str, Any]:
    """A record to ingest. Raises `ArgumentError` for a document that can't be kept faithfully."""
    try:
        return _record(document, external_id)
    except (RefusedError, ValueError, TypeError) as error:
        raise ArgumentError(f"the document {external_id!r} can't be stored: {error}") from error


def _record(document: Document, external_id: str) -> dict[str, Any]:
    text, metadata = normalise(document.page_content), clean(document.metadata)
    if not text:
        raise RefusedError("it holds no text; leave it out")
    if record_id({"_id": external_id}) is None:
        raise RefusedError("its id is empty; leave the id out to be given one")
    _check_json(document.metadata)
    given = _dumped(document.page_content, document.metadata)
    title = metadata.get("title")
    return {
        "_id": external_id,
        "title": title if isinstance(title, str) else "",
        "text": text,
        "metadata": metadata if _is_kept(document, text, metadata) else {**metadata, GIVEN: given},
    }


def _is_kept(document: Document, text: str, metadata: Metadata) -> bool:
    """Whether what is stored comes back as what was given."""
    return (
        GIVEN not in metadata
        and not _is_changed_by_sql(document.metadata)
        and _dumped(text, metadata) == _dumped(document.page_content, document.metadata)
    )


def document_of(external_id: str, text: str, stored: Metadata) -> Document:
    """A whole document, as it was given."""
    given = _given(stored)
    if given is not None and normalise(given["page_content"]) == text:
        return Document(id=external_id, **given)
    return Document(id=external_id, page_content=text, metadata=dict(stored))


def _given(stored: Metadata) -> dict[str, Any] | None:
    """The document as it was given; None unless it is what the stored metadata was made of: a
    name in the metadata of a file means nothing by itself."""
    try:
        given = json.loads(stored.get(GIVEN, ""))
        made = clean(given["metadata"])
        is_whole = given.keys() == {"page_content", "metadata"}
    except (ValueError, TypeError, LookupError, AttributeError, RefusedError):
        return None
    same = _comparable({**made, GIVEN: None}) == _comparable({**stored, GIVEN: None})
    return given if same and is_whole and isinstance(given["page_content"], str) else None


def documents_of(hit: Hit, undivided: Mapping[DocumentId, str]) -> Iterator[Document]:
    """One document for each source of a hit, under the id that the source gives it.

    Of texts that are not `undivided` (whole texts, by document id) it is the passage that was
    found, in normal form, which says in its metadata where it stands in the normal form of which
    document.
    """
    chunk = hit.chunk
    for ref in chunk.sources:
        if chunk.document_id in undivided:
            yield document_of(ref.external_id, undivided[chunk.document_id], ref.metadata)
        else:
            yield _passage(hit, ref)


def _passage(hit: Hit, ref: SourceRef) -> Document:
    chunk, given = hit.chunk, _given(ref.metadata)
    where: dict[str, Any] = {
        "document_id": ref.external_id,
        "start": chunk.start,
        "end": chunk.end,
    }
    if chunk.headings:
        where["headings"] = list(chunk.headings)
    if chunk.page is not None:
        where["page"] = chunk.page
    metadata = {**(ref.metadata if given is None else given["metadata"]), PASSAGE: where}
    return Document(id=ref.external_id, page_content=chunk.text, metadata=metadata)


def _dumped(text: str, metadata: Metadata) -> str:
    """In letters that no normal form changes; any text and number comes back from it."""
    return json.dumps({"page_content": text, "metadata": metadata}, ensure_ascii=True)


def _check_json(value: object) -> None:
    """Raise `TypeError` for what JSON has no form for, or would give back as something else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"its metadata has a key {key!r}, which is no string; write it as one"
                )
            _check_json(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_json(inner)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise TypeError(
            f"its metadata holds {value!r:.60}, of type {type(value).__name__}; use strings,"
            " numbers, truth values, lists and dicts"
        )


def _is_changed_by_sql(value: object) -> bool:
    """Whether it holds a number that PostgreSQL gives back as another one: it writes out the
    digits of large ones, and knows no negative zero."""
    if isinstance(value, dict):
        return any(map(_is_changed_by_sql, value.values()))
    if isinstance(value, list):
        return any(map(_is_changed_by_sql, value))
    digits = float.__repr__(value) if isinstance(value, float) else ""
    return "e+" in digits or digits == "-0.0"


def _comparable(value: Any) -> Any:
    """With all numbers as doubles, as databases may have them."""
    if isinstance(value, Mapping):
        return {key: _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_comparable(inner) for inner in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return as_double(value) if is_number else value
