"""Scores of texts that are in no collection: how well each of a few fits a query.

By the cross-encoder that is set, if one is; else by the cosine of the embedder's vectors and the
share of the query's words that a text has, weighed as BM25 weighs them (Robertson and Zaragoza,
2009) with these texts as the collection.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rag_pipeline.retrieval.query import QueryEmbedder
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranker
from storage.keyword_index.analysis import analyse
from storage.records import ChunkId, DocumentId, StoredChunk

_K1 = 1.2
_B = 0.75


class TextScorer(Protocol):
    """Says how well texts fit a query."""

    @property
    def name(self) -> str:
        """What the scores are made by."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """From 0 to 1, one for each of `texts`, in their order."""


@dataclass(frozen=True, slots=True)
class CrossEncoderScorer:
    """Reads query and text together."""

    name: str
    reranker: Reranker

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Each score squeezed into 0 to 1 by the logistic function, which keeps their order."""
        found = {
            one.chunk_id: one.score
            for one in self.reranker.rerank(query, [*map(_candidate, range(len(texts)), texts)])
        }
        return [_logistic(found[ChunkId(number)]) for number in range(len(texts))]


@dataclass(frozen=True, slots=True)
class OverlapScorer:
    """The mean of cosine and word overlap."""

    name: str
    embedder: QueryEmbedder

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """A text that is longer than the embedder reads is compared by its beginning."""
        vectors = self.embedder.embed([query, *texts])
        cosines = np.clip(vectors[1:] @ vectors[0], 0, 1).tolist()
        both = zip(cosines, overlaps(query, texts), strict=True)
        return [round((cosine + overlap) / 2, 6) for cosine, overlap in both]


def overlaps(query: str, texts: Sequence[str]) -> list[float]:
    """BM25 of each text, as a part of what a text could have at most; 0 to 1.

    Texts in which no word of the query stands have 0; so do all where it has none.
    """
    wanted = dict.fromkeys(analyse(query))
    counts = [Counter(analyse(text)) for text in texts]
    lengths = [sum(counted.values()) for counted in counts]
    mean = sum(lengths) / len(lengths) or 1.0 if lengths else 1.0
    weights = {term: _weight(sum(term in one for one in counts), len(texts)) for term in wanted}
    most = sum(weights.values()) * (_K1 + 1)
    if not most:
        return [0.0] * len(texts)
    return [
        sum(weight * _saturated(counted[term], length / mean) for term, weight in weights.items())
        / most
        for counted, length in zip(counts, lengths, strict=True)
    ]


def _weight(having: int, texts: int) -> float:
    """The inverse document frequency, always above 0."""
    return math.log1p((texts - having + 0.5) / (having + 0.5))


def _saturated(count: int, relative_length: float) -> float:
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * relative_length))


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score > -700 else 0.0


def _candidate(number: int, text: str) -> RerankCandidate:
    chunk = StoredChunk(
        chunk_id=ChunkId(number),
        document_id=DocumentId(number),
        text=text,
        title="",
        start=0,
        end=len(text),
        sources=(),
    )
    return RerankCandidate(chunk=chunk, score=0.0)
