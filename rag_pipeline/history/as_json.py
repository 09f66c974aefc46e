"""Recorded exchanges as JSON: what `rag history --json` prints and the service answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from storage.records import ChunkId, Evidence, Message, PromptRecord, StoredChunk

if TYPE_CHECKING:
    from rag_pipeline.history.looking_up import FoundPrompt
    from storage.prompts.listing import ListedPrompt

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


def shown_prompt(prompt: PromptRecord, messages: Sequence[Message]) -> dict[str, Any]:
    """All that is on record, with all that was said up to there."""
    said = [asdict(message) for message in messages]
    return whole_prompt(prompt) | {"messages": said}


def listed_prompt(prompt: PromptRecord) -> dict[str, Any]:
    """What a list shows of an exchange."""
    whole = whole_prompt(prompt)
    return {key: whole[key] for key in _LISTED}


def whole_with_rating(listed: "ListedPrompt") -> dict[str, Any]:
    """All that a list has of an exchange, and how people rate it."""
    return whole_prompt(listed.prompt) | {"rating": listed.rating}


def listed_with_rating(listed: "ListedPrompt") -> dict[str, Any]:
    """What a list shows of an exchange, and how people rate it."""
    return listed_prompt(listed.prompt) | {"rating": listed.rating}


def found_part(found: "FoundPrompt") -> dict[str, Any]:
    """Which part of an exchange fits what was searched for, and how well."""
    return {
        "snippet": found.snippet.text,
        "matches": [list(span) for span in found.snippet.matches],
        "score": found.score,
    }


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
