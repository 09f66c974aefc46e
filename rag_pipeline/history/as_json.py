"""Recorded exchanges as JSON: what `rag history --json` prints and the service answers."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from storage.records import ChunkId, Evidence, PromptRecord, StoredChunk

_LISTED = (
    "prompt_id",
    "parent_id",
    "session",
    "user",
    "question",
    "standalone",
    "answer",
    "status",
    "state",
    "confidence",
    "error",
    "created_at",
    "completed_at",
    "collection",
    "generation",
    "model",
    "usage",
    "timings",
)


def whole_prompt(prompt: PromptRecord) -> dict[str, Any]:
    """All that is on record. The stable interface; keys may be added, none is changed."""
    whole = asdict(prompt)
    whole["created_at"] = prompt.created_at.isoformat()
    completed = prompt.completed_at
    whole["completed_at"] = None if completed is None else completed.isoformat()
    for score, shown in zip(prompt.scores, whole["scores"], strict=True):
        shown["created_at"] = None if score.created_at is None else score.created_at.isoformat()
    return whole


def listed_prompt(prompt: PromptRecord) -> dict[str, Any]:
    """What a list shows of an exchange."""
    whole = whole_prompt(prompt)
    return {key: whole[key] for key in _LISTED}


def evidence_json(shown: Evidence, chunks: Mapping[ChunkId, StoredChunk]) -> dict[str, Any]:
    """A chunk that the model was shown; without its text where that is forgotten or not for the
    reader."""
    about: dict[str, Any] = dict.fromkeys(("text", "title", "source", "start", "end", "page"))
    about["headings"] = []
    chunk = chunks.get(shown.chunk_id)
    if chunk is not None:
        about = {
            "text": chunk.text,
            "title": chunk.sources[0].title,
            "source": chunk.sources[0].source,
            "start": chunk.start,
            "end": chunk.end,
            "page": chunk.page,
            "headings": list(chunk.headings),
        }
    return asdict(shown) | about
