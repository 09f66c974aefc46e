"""Passages as retrieval hands them over, and an embedder whose cosine is the overlap of words."""

import zlib
from collections.abc import Sequence

import numpy as np

from rag_pipeline.generation.claims import content
from storage.records import ChunkId, DocumentId, Hit, Origin, SourceRef, StoredChunk, Vectors

_DIMENSION = 512


def passage(text: str, *, key: int = 1, title: str = "", start: int = 0) -> StoredChunk:
    """A chunk that begins at `start` of its document and has one source."""
    source = SourceRef(
        source=f"/docs/{key}.txt",
        external_id=f"{key}.txt",
        title=title,
        metadata={},
        origin=Origin.REAL,
    )
    return StoredChunk(
        chunk_id=ChunkId(key),
        document_id=DocumentId(100 + key),
        text=text,
        title=title,
        start=start,
        end=start + len(text),
        sources=(source,),
    )


def hit(chunk: StoredChunk, *, cosine: float | None = None) -> Hit:
    """A chunk as the vector search found it or, without a cosine, the keyword search."""
    return Hit(
        chunk=chunk,
        score=cosine or 0.0,
        rank=1,
        vector_rank=None if cosine is None else 1,
        vector_score=cosine,
        keyword_rank=1,
        keyword_score=1.0,
    )


def bag_of_words(texts: Sequence[str]) -> Vectors:
    """Unit vectors, float32 (len(texts), 512), of hashed content words."""
    vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for stem in content(text):
            row[zlib.crc32(stem.encode()) % _DIMENSION] += 1
        row /= max(float(np.linalg.norm(row)), 1.0)
    return vectors
