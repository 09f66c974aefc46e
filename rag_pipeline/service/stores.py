"""Collections as vector stores: their ids, and whether a client deleted them."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from rag_pipeline.pipeline import RagPipeline
from storage.collection import open_collection, times_created
from storage.errors import InvalidRecordError, NotFoundError
from storage.listing import CollectionCounts
from storage.records import Collection
from storage.runs import Runs

PREFIX = "vs_"
_CREATED = "vector_store.created"
_DELETED = "vector_store.deleted"
"""Source of the run that emptied a collection. What comes in later makes it a store again."""
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A collection that is not deleted."""

    collection: Collection
    counts: CollectionCounts
    created_at: datetime

    @property
    def store_id(self) -> str:
        return store_id(self.collection.name)

    @property
    def usage_bytes(self) -> int:
        """Of its vectors."""
        return self.counts.chunks * vector_bytes(self.collection)


def vector_bytes(collection: Collection) -> int:
    """Of one vector of a collection; 0 where nothing was embedded."""
    return 0 if collection.space is None else collection.space.dimension * _FLOAT_BYTES


def store_id(name: str) -> str:
    """The id of the collection `name`, of characters that a URL needs no care with."""
    return PREFIX + quote(name, safe="").replace("~", "%7E").replace("%", "~")


def collection_name(vector_store_id: str) -> str:
    """The collection that an id names. Raises `NotFoundError` for what is no id."""
    spelt = vector_store_id.removeprefix(PREFIX)
    try:
        name = unquote(spelt.replace("~", "%"), errors="strict")
    except UnicodeDecodeError:
        name = ""
    if not name or "\x00" in name or store_id(name) != vector_store_id:
        raise _missing(vector_store_id)
    return name


def stores(rag: RagPipeline) -> list[Store]:
    """All of them, newest first."""
    known = [one for one in rag.browse.known() if not _is_deleted(rag, one)]
    times = _times(rag)
    found = [_store(rag, collection, times[collection.name]) for collection in known]
    return sorted(found, key=lambda store: (store.created_at, store.store_id), reverse=True)


def find(rag: RagPipeline, vector_store_id: str) -> Store:
    """One store. Raises `NotFoundError`, missing or foreign."""
    collection = find_collection(rag, vector_store_id)
    return _store(rag, collection, _times(rag)[collection.name])


def find_collection(rag: RagPipeline, vector_store_id: str) -> Collection:
    """The collection of a store. Raises `NotFoundError`, missing or foreign."""
    name = collection_name(vector_store_id)
    for collection in rag.browse.known():
        if collection.name == name and not _is_deleted(rag, collection):
            return collection
    raise _missing(vector_store_id)


def create(rag: RagPipeline, name: str) -> Store:
    """A new store. Raises `InvalidRecordError` for a name that is taken, `LeaseBusyError`."""
    for collection in rag.browse.known():
        if collection.name == name and not _is_deleted(rag, collection):
            raise InvalidRecordError(
                f"there is a collection {name!r} already, which is the vector store"
                f" {store_id(name)}; use it, or give another name"
            )
    collection = open_collection(rag.parts.database, name)
    if _is_deleted(rag, collection):
        rag.ingest_records([], source=_CREATED, collection=name, wait=False)
    return find(rag, store_id(name))


def delete(rag: RagPipeline, vector_store_id: str) -> None:
    """Remove all documents of a store, as far as they may be read, in one generation.

    What was asked of it stays on record, and so do its documents as they were. Raises
    `NotFoundError`, `LeaseBusyError`.
    """
    name = find_collection(rag, vector_store_id).name
    anything = {"field": "origin", "op": "in", "value": ["real", "synthetic"]}
    try:
        rag.remove_where(anything, collection=name, source_name=_DELETED, wait=False)
    except NotFoundError:
        rag.ingest_records([], source=_DELETED, collection=name, wait=False)


def _store(rag: RagPipeline, collection: Collection, created_at: datetime) -> Store:
    counts = rag.browse.counts(collection)
    return Store(collection=collection, counts=counts, created_at=created_at)


def _times(rag: RagPipeline) -> dict[str, datetime]:
    with rag.parts.database.read() as connection:
        return times_created(connection)


def _is_deleted(rag: RagPipeline, collection: Collection) -> bool:
    return Runs(rag.parts.database).last_of(collection.collection_id) == _DELETED


def _missing(vector_store_id: str) -> NotFoundError:
    return NotFoundError(f"there is no vector store {vector_store_id[:200]!r}")
