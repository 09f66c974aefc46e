"""Small corpora, written through the one writer, for tests of what stands on storage."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from storage.collection import claim_space, open_collection
from storage.corpus import CorpusWriter
from storage.engine import Database
from storage.lease import writer_lease
from storage.records import (
    DocumentId,
    EmbeddingSpace,
    NewChunk,
    NewDocument,
    NewSource,
    Origin,
    Placement,
    RunId,
    SourceId,
    Vectors,
)

DIMENSION = 8
SPACE = EmbeddingSpace(model="test", weights_sha256="0" * 64, dimension=DIMENSION)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vector_of(text: str) -> Vectors:
    """A unit vector that depends on nothing but the text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def document(text: str, *, title: str = "", supersedes: DocumentId | None = None) -> NewDocument:
    """A text that is one chunk."""
    chunk = NewChunk(
        start=0, end=len(text), text=text, embedded_sha256=sha256(text), vector=vector_of(text)
    )
    return NewDocument(
        content_sha256=sha256(text),
        fingerprint="f",
        text=text,
        title=title,
        chunks=(chunk,),
        supersedes=supersedes,
    )


def source(external_id: str, *, title: str = "", **values: object) -> NewSource:
    """A real, unlabelled source, unless `values` say otherwise."""
    given = {
        "uri": "/docs/corpus.jsonl",
        "metadata": {},
        "media_type": "text/plain",
        "record_sha256": sha256(external_id),
        "fingerprint": "f",
        **values,
    }
    return NewSource(external_id=external_id, title=title, **given)


def synthetic(external_id: str, generator: str | None = "gan-1") -> NewSource:
    return source(external_id, origin=Origin.SYNTHETIC, generator_id=generator)


def place(
    external_id: str,
    text: NewDocument | DocumentId | str,
    *,
    replaces: SourceId | None = None,
    **values: object,
) -> Placement:
    stored = document(text) if isinstance(text, str) else text
    return Placement(source=source(external_id, **values), document=stored, replaces=replaces)


@contextmanager
def writing(database: Database, name: str = "default") -> Iterator[CorpusWriter]:
    """A writer with the lease, in a collection of its own space."""
    collection = open_collection(database, name)
    claim_space(database, collection, SPACE)
    with writer_lease(database) as fence:
        writer = CorpusWriter(
            database=database,
            collection=collection,
            fence=fence,
            run_id=RunId(sha256(str(fence))[:32]),
        )
        writer.start_run()
        yield writer
