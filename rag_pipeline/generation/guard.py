"""Decides which parts of the passages may be evidence: not those that speak to a model.

A suspicious span is cut out of its passage; what is left are passages of the same document, with
the same places, so that all that follows (evidence, drafting, checking, citing) needs not know. A
question that is itself about what the span says may have it: a handbook of such attacks has
answers, too. What was found is put on record with the answer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.suspicion import suspicions_in, triggers
from rag_pipeline.generation.claims import content
from rag_pipeline.generation.fencing import neutralised, new_fence
from storage.records import ChunkId, Hit, StoredChunk, Suspicion

_ABOUT_ATTACKS = re.compile(
    r"\b(?:prompt[- ]?injections?|injections? attacks?|jailbreak\w*|prompt hacking|"
    r"hidden instructions?|"
    r"chat templates?|chatml|injected|adversarial|red[- ]?team\w*)\b",
    re.IGNORECASE,
)
_COMMON = frozenset(
    content(
        "instruction answer question document text message rule user reader all any every new "
        "previous prior above earlier preceding order system"
    )
)
"""Stems that say too little of what a question is about."""
_SHARED = 0.5
"""A question that has more of an order's words is about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A suspicious span of a chunk, in the document's positions."""

    chunk_id: ChunkId
    start: int
    end: int
    reason: str
    admitted: bool
    """Whether it may be evidence all the same, since the question is about it."""

    def as_json(self) -> Mapping[str, Any]:
        """As the history keeps it."""
        return {
            "chunk_id": self.chunk_id,
            "start": self.start,
            "end": self.end,
            "reason": self.reason,
            "admitted": self.admitted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What may be evidence, and what was found on the way."""

    hits: tuple[Hit, ...]
    fence: str = ""
    """What the passages are fenced with where a model is shown them; empty: nothing."""
    findings: tuple[Finding, ...] = ()
    neutralised: int = 0
    """Places of the passages that would have commanded something by their form."""
    is_guarded: bool = True

    def checks(self, filtered: Sequence[str]) -> Mapping[str, Any] | None:
        """What is put on record, with what was `filtered` out of the answer; None: no guard."""
        if not self.is_guarded:
            return None
        return {
            "suspicious": [finding.as_json() for finding in self.findings],
            "neutralised": self.neutralised,
            "filtered": [*filtered],
        }


def admitted(
    question: str, hits: Sequence[Hit], *, is_guarded: bool, fence: str | None = None
) -> Admitted:
    """What of `hits` may be evidence for `question`; without the guard all of it, as it is.

    Without a `fence` one is drawn.
    """
    if not is_guarded:
        return Admitted(hits=tuple(hits), is_guarded=False)
    parts: list[Hit] = []
    findings: list[Finding] = []
    for hit in hits:
        chunk = _with_plain_names(hit.chunk)
        found = [_finding(question, chunk, one) for one in _suspicions(chunk)]
        refused = [finding for finding in found if not finding.admitted]
        parts += [replace(hit, chunk=part) for part in _without(chunk, refused)]
        findings += found
    return Admitted(
        hits=tuple(parts),
        fence=fence or new_fence(),
        findings=tuple(findings),
        neutralised=sum(neutralised(part.chunk.text).places for part in parts),
    )


def _suspicions(chunk: StoredChunk) -> Sequence[Suspicion]:
    """Those on record; of a chunk without any those that are found now, as it may have been
    ingested when fewer were known."""
    if chunk.suspicions:
        return chunk.suspicions
    return [
        Suspicion(chunk.start + start, chunk.start + end, reason)
        for start, end, reason in suspicions_in(chunk.text)
    ]


def _finding(question: str, chunk: StoredChunk, found: Suspicion) -> Finding:
    text = chunk.text[max(0, found.start - chunk.start) : max(0, found.end - chunk.start)]
    return Finding(
        chunk_id=chunk.chunk_id,
        start=max(found.start, chunk.start),
        end=min(found.end, chunk.end),
        reason=found.reason,
        admitted=_is_asked_for(question, text),
    )


def _is_asked_for(question: str, text: str) -> bool:
    """Whether `question` is about the very order that makes `text` suspicious, not merely about
    what the order speaks of: "Which rules may be ignored?", but not "What are the rules?"."""
    if _ABOUT_ATTACKS.search(question):
        return True
    asked = set(content(question))
    for trigger in triggers(text):
        wanted = set(content(trigger.words)) - _COMMON
        if wanted and len(wanted & asked) > _SHARED * len(wanted):
            return True
    return False


def _without(chunk: StoredChunk, refused: Sequence[Finding]) -> Iterator[StoredChunk]:
    """The parts of `chunk` between what is refused, in order; of none that is blank."""
    start = chunk.start
    for finding in [*refused, None]:
        end = chunk.end if finding is None else finding.start
        text = chunk.text[start - chunk.start : end - chunk.start]
        if text.strip():
            yield replace(chunk, text=text, start=start, end=end)
        if finding is not None:
            start = finding.end


def _with_plain_names(chunk: StoredChunk) -> StoredChunk:
    """`chunk` without a title or headings that command: they count as evidence, too."""
    if not any(map(triggers, (chunk.title, *chunk.headings))):
        return chunk
    return replace(
        chunk,
        title="" if triggers(chunk.title) else chunk.title,
        headings=tuple(heading for heading in chunk.headings if not triggers(heading)),
    )
