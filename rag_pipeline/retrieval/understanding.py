"""From what a user wrote to what both indexes are asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from rag_pipeline.errors import QueryError
from rag_pipeline.retrieval.query import (
    MAX_QUERY_CHARACTERS,
    Query,
    QueryEmbedder,
    QueryWriter,
    Request,
    check_query,
)
from storage.keyword_index.query import parse
from storage.records import Vectors

_NO_VECTOR: Vectors = np.zeros(0, np.float32)
_LENGTH_NOISE = 1e-6
"""By how much the length of a unit vector of float32 may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """Reads queries, with the help of an embedder and, where it is asked for, of a generator."""

    embedder: QueryEmbedder
    writer: QueryWriter | None = None

    def of(
        self, texts: Sequence[str], request: Request, vector: Vectors | None = None
    ) -> list[Query]:
        """A query for each of `texts`; all are embedded in one go, unless `vector` is given.

        Where nothing but a given vector is searched for, the text may be empty. Raises
        `QueryError`.
        """
        if vector is not None and request.mode == "vector":
            return [replace(_plain(text), vector=_unit(vector)) for text in texts]
        queries = [self._read(text, request) for text in texts]
        if request.mode == "keyword" or not queries:
            return queries
        if vector is not None:
            return [replace(query, vector=_unit(vector)) for query in queries]
        vectors = self._embedded([query.text for query in queries], request)
        return [replace(query, vector=row) for query, row in zip(queries, vectors, strict=True)]

    def _read(self, text: str, request: Request) -> Query:
        check_query(text)
        if request.earlier and self.writer is not None:
            text = self.writer.standalone(text, request.earlier)[:MAX_QUERY_CHARACTERS]
        return _with_operators(text) if request.operators else _plain(text)

    def _embedded(self, texts: Sequence[str], request: Request) -> Vectors:
        if not request.hypothesis or self.writer is None:
            return np.concatenate([self._alone(text) for text in texts])
        passages = [self.writer.passage_for(text) for text in texts]
        both = [self._alone(t) + self._alone(p) for t, p in zip(texts, passages, strict=True)]
        return np.stack([_unit(row) for (row,) in both])

    def _alone(self, text: str) -> Vectors:
        """Its vector, float32 (1, dimension). With 8-bit weights a text that is embedded beside
        others may get a slightly different one, and the same question other hits."""
        return self.embedder.embed([text])


def _plain(text: str) -> Query:
    return Query(text=text, keywords=text, vector=_NO_VECTOR)


def _with_operators(text: str) -> Query:
    clauses = parse(text)
    wanted = [clause.text for clause in clauses if clause.occurrence != "must_not"]
    if not wanted:
        raise QueryError(f"{text!r} only says what is not wanted; add what is")
    return Query(text=" ".join(wanted), keywords=clauses, vector=_NO_VECTOR)


def _unit(vector: Vectors) -> Vectors:
    """At length 1, as the vectors that it is compared with. One of zeros stays: it fits nothing;
    one that is not finite stays, too: the index says what is wrong with it."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not 0 < length < inf or abs(length - 1) < _LENGTH_NOISE:
        return vector
    unit: Vectors = (vector / length).astype(np.float32)
    return unit
