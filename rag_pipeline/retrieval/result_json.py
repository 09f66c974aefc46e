"""A search result as JSON: what `rag search --json` prints and the service answers."""

from collections.abc import Mapping
from typing import Any

from rag_pipeline.retrieval.explain import Explanation
from rag_pipeline.retrieval.search import SearchResult
from storage.records import Hit, Passage, SourceRef


def result_json(result: SearchResult) -> dict[str, Any]:
    """The stable interface; keys may be added, none is changed or removed."""
    hits = [_hit(result, hit) for hit in result.hits]
    return {"generation": result.generation, "hits": hits}


def source_json(ref: SourceRef) -> dict[str, Any]:
    """A place that a text was found at, and what is said of it there."""
    return {
        "source": ref.source,
        "external_id": ref.external_id,
        "title": ref.title,
        "metadata": dict(ref.metadata),
        "origin": ref.origin,
    }


def _hit(result: SearchResult, hit: Hit) -> dict[str, Any]:
    first = hit.chunk.sources[0]
    found: dict[str, Any] = {
        "chunk_id": hit.chunk.chunk_id,
        "document_id": hit.chunk.document_id,
        "external_id": first.external_id,
        "source": first.source,
        "score": hit.score,
        "rank": hit.rank,
        "vector_rank": hit.vector_rank,
        "vector_score": hit.vector_score,
        "keyword_rank": hit.keyword_rank,
        "keyword_score": hit.keyword_score,
        "text": hit.chunk.text,
        "title": first.title,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "headings": list(hit.chunk.headings),
        "page": hit.chunk.page,
        "section_start": hit.chunk.section[0],
        "section_end": hit.chunk.section[1],
        "language": hit.chunk.language,
        "suspicions": [list(found) for found in hit.chunk.suspicions],
        "metadata": dict(first.metadata),
        "context": None if hit.context is None else _context(hit.context),
        "copies": list(hit.copies),
        "sources": [source_json(ref) for ref in hit.chunk.sources],
    }
    if hit.chunk.chunk_id in result.explanations:
        found["explanation"] = _explanation(result.explanations[hit.chunk.chunk_id])
    return found


def _context(passage: Passage) -> Mapping[str, Any]:
    return {"start": passage.start, "end": passage.end, "text": passage.text}


def _explanation(explanation: Explanation) -> Mapping[str, Any]:
    """All of it, unrounded."""
    return {
        "terms": [
            {"term": match.term, "counts": dict(match.counts), "score": match.score}
            for match in explanation.terms
        ],
        "vector_score": explanation.vector_score,
        "keyword_score": explanation.keyword_score,
        "stages": [
            {
                "stage": stage.name,
                "score": stage.score,
                "contributions": [
                    {
                        "signal": part.signal,
                        "amount": part.amount,
                        "value": part.value,
                        "weight": part.weight,
                    }
                    for part in stage.parts
                ],
            }
            for stage in explanation.stages
        ],
    }
