"""All tables, imported in one place so that migrations see every one of them."""

from storage.models import (
    access,
    artifacts,
    corpus,
    entities,
    erasure,
    indexing,
    prompt_search,
    prompts,
    record_sets,
    rollups,
    versions,
)
from storage.models.base import METADATA

__all__ = ["METADATA", "SUBJECTS"]

SUBJECTS = (
    access,
    artifacts,
    corpus,
    entities,
    erasure,
    indexing,
    prompt_search,
    prompts,
    record_sets,
    rollups,
    versions,
)

for _table in METADATA.tables.values():
    for _index in _table.indexes:
        # What only PostgreSQL is told waits until here: its dialect takes a while to import.
        _index.dialect_kwargs.update(_index.info)
