"""Compares the database with its indexes, after they caught up; rebuilds them when asked to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipeline.composition import Composition
from storage import consistency
from storage.erasing.ledger import Ledger
from storage.prompts import rollups
from storage.records import LOCAL_OWNER, Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is stored and indexed, and every difference between the two."""

    generation: int
    """The last COMMIT."""
    served: int
    chunks: int
    vectors: int
    keywords: int
    differences: tuple[str, ...]

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface of `rag doctor --json`."""
        return {
            "generation": self.generation,
            "served": self.served,
            "chunks": self.chunks,
            "vectors": self.vectors,
            "keywords": self.keywords,
            "differences": list(self.differences),
        }


@dataclass(slots=True)
class _Indexed:
    vectors: int = 0
    keywords: int = 0


def diagnose(parts: Composition, *, repair: bool = False) -> Diagnosis:
    """Bring all indexes up to date and compare. With `repair`, fill them anew first.

    What differs within the database itself can't be repaired from anything, only restored.
    """
    served = parts.reader.served().generation
    indexed, differences = _Indexed(), consistency.database_differences(parts.database, served)
    differences += [
        f"erasure {one.erasure_id} of a {one.kind} was broken off; run `rag forget resume`"
        for one in Ledger(parts.database).unfinished()
    ]
    differences += _miscounted(parts, repair=repair)
    for collection in parts.reader.collections(principal=LOCAL_OWNER):
        if collection.space is not None:
            differences += _compare(parts, collection, served, indexed, repair=repair)
    counted = consistency.count(parts.database, served)
    return Diagnosis(
        generation=counted.committed,
        served=served,
        chunks=counted.chunks,
        vectors=indexed.vectors,
        keywords=indexed.keywords,
        differences=tuple(differences),
    )


def _miscounted(parts: Composition, *, repair: bool) -> list[str]:
    """What statistics are read from; it follows from the exchanges."""
    if repair:
        with parts.database.write() as connection:
            rollups.recount(connection)
    with parts.database.read() as connection:
        return rollups.differences(connection)


def _compare(
    parts: Composition, collection: Collection, served: int, indexed: _Indexed, *, repair: bool
) -> list[str]:
    vectors, keywords = parts.followers(collection)
    for follower in (vectors, keywords):
        if repair:
            follower.rebuild()
        follower.catch_up()
    indexed.vectors += vectors.index.keys().size
    indexed.keywords += keywords.index.keys().size
    where = (parts.database, collection, served)
    return [
        *consistency.index_differences(*where, "vector", vectors.index),
        *consistency.index_differences(*where, "keyword", keywords.index),
        *consistency.vector_differences(*where, vectors.index.keys(), vectors.index.vectors),
    ]
