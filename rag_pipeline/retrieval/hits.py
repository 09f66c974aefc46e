"""From a ranking to what is shown: hits without copies, varied if asked for, with their context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag_pipeline.retrieval.query import Request
from rag_pipeline.retrieval.ranking import NOWHERE, Ranking, places
from rag_pipeline.retrieval.selection import around, by_marginal_relevance, originals
from rag_pipeline.retrieval.view import View
from storage.ranking import Listing
from storage.records import ChunkId, Hit, Passage, Scored, StoredChunk

MOST_COMPARED = 200
"""Among how many of the best hits copies are looked for."""
DIVERSE_AMONG = 50
"""Among how many hits, at least, different ones are chosen."""
MOST_DIVERSE = 1_000
"""Beyond so many hits their order is that of their scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is shown, in its order."""

    found: Sequence[Scored]
    chunks: Mapping[ChunkId, StoredChunk]
    copies: Mapping[ChunkId, tuple[ChunkId, ...]] = field(default_factory=dict)
    """By the better hit that they are copies of."""


def selected(view: View, ranking: Ranking, request: Request) -> Selection:
    """The hits that are shown of a ranking: `request.limit`, or fewer if there are fewer."""
    wanted = max(request.limit, DIVERSE_AMONG) if request.diversity else request.limit
    selection = _read(view, ranking.order, wanted, request)
    if request.diversity:
        selection = _varied(view, selection, request)
    return replace(selection, found=selection.found[: request.limit])


def hits(selection: Selection, ranking: Ranking) -> list[Hit]:
    """Ranks count from one, in the order in which the hits are shown."""
    chunks = selection.chunks
    vector, keyword = places(ranking.vector, chunks), places(ranking.keyword, chunks)
    shown: list[Hit] = []
    for rank, found in enumerate(selection.found, start=1):
        vector_rank, vector_score = vector.get(found.chunk_id, NOWHERE)
        keyword_rank, keyword_score = keyword.get(found.chunk_id, NOWHERE)
        hit = Hit(
            chunk=chunks[found.chunk_id],
            score=found.score,
            rank=rank,
            vector_rank=vector_rank,
            vector_score=vector_score,
            keyword_rank=keyword_rank,
            keyword_score=keyword_score,
            copies=selection.copies.get(found.chunk_id, ()),
        )
        shown.append(hit)
    return shown


def with_context(view: View, hits: Sequence[Hit], *, budget: int) -> list[Hit]:
    """Each hit with at most `budget` characters of what stands around it, of its own section."""
    texts = view.texts({hit.chunk.document_id for hit in hits})
    return [
        replace(hit, context=_context(hit.chunk, texts[hit.chunk.document_id].text, budget))
        if hit.chunk.document_id in texts
        else hit
        for hit in hits
    ]


def _context(chunk: StoredChunk, text: str, budget: int) -> Passage:
    start, end = around(text, chunk.start, chunk.end, section=chunk.section, budget=budget)
    return Passage(start, end, text[start:end])


def _read(view: View, order: Listing, wanted: int, request: Request) -> Selection:
    """The first `wanted` of `order` that can be read and are no copies, if there are so many."""
    chunks: dict[ChunkId, StoredChunk] = {}
    looked_at = 0
    while True:
        upto = min(max(wanted, 2 * looked_at), len(order))
        chunks |= view.chunks(order.ids[looked_at:upto].tolist())
        looked_at = upto
        readable = [found for found in order[:looked_at] if found.chunk_id in chunks]
        selection = Selection(found=readable, chunks=chunks)
        if request.collapse:
            selection = _without_copies(view, selection)
        if len(selection.found) >= wanted or looked_at == len(order):
            return selection


def _without_copies(view: View, selection: Selection) -> Selection:
    keys = [found.chunk_id for found in selection.found[:MOST_COMPARED]]
    if len(keys) < 2:
        return selection
    texts = [selection.chunks[key].text for key in keys]
    copies: dict[ChunkId, tuple[ChunkId, ...]] = {}
    for place, original in enumerate(originals(texts, view.vectors_of(np.array(keys, np.int64)))):
        if place != original:
            copies[keys[original]] = (*copies.get(keys[original], ()), keys[place])
    left_out = {copy for some in copies.values() for copy in some}
    kept = [found for found in selection.found if found.chunk_id not in left_out]
    return replace(selection, found=kept, copies=copies)


def _varied(view: View, selection: Selection, request: Request) -> Selection:
    among = selection.found[:MOST_DIVERSE]
    places = by_marginal_relevance(
        [found.score for found in among],
        view.vectors_of(np.array([found.chunk_id for found in among], np.int64)),
        limit=request.limit,
        diversity=request.diversity,
    )
    return replace(selection, found=[among[place] for place in places])
