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
from storage.models.base import Table

METADATA = Table.metadata
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
