"""The sentences of the passages that come nearest to answering a question, word for word.

They are what a model is shown, for a small one reads four sentences better than four pages, and
they are the answer where the model's own words do not stand.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.generation.claims import Claim, claim_in
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.grounding import Grounding, SentenceSupport, cited
from rag_pipeline.generation.matching import Span, about, single_spans
from storage.records import StoredChunk

_SECOND_SENTENCE = 0.9
"""A second sentence is extracted if it fits the question nearly as well as the first."""
_OTHER_KIND = 0.8
"""How far a sentence counts that has no number where one is asked for, or no name."""

_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|far|tall|high|long|old|deep|wide|big|large|heavy|fast|often|late|early)\b"
    r"|\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|percent|number|height|age)",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Near:
    """A sentence of a passage, and how well it fits a question; at most 1."""

    span: Span
    fit: float


def nearest(question: str, passages: Sequence[StoredChunk], *, embed: Embed) -> list[Near]:
    """The sentences that may answer, best first; each text once. Calls `embed` once."""
    claim = claim_in(question)
    spans = _telling_spans(passages, claim.stems)
    if not spans:
        return []
    vectors = embed([question, *(span.text for span in spans)])
    cosines = (vectors[1:] @ vectors[0]).tolist()
    near: list[Near] = []
    for cosine, span in zip(cosines, spans, strict=True):
        kind = 1.0 if has_what_is_asked(question, claim, span.claim) else _OTHER_KIND
        near.append(Near(span, kind * (cosine + about(claim.stems, span)) / 2))
    # Sorting is stable: of equally good sentences the one in the better passage comes first.
    return sorted(near, key=lambda found: -found.fit)


def quoted(near: Sequence[Near], *, limit: int = 2) -> Grounding:
    """An answer of verbatim sentences: the first of `near` and those nearly as good.

    At most `limit` sentences, as they follow each other in the passages; none if there are none.
    """
    good = [found for found in near[:limit] if found.fit >= _SECOND_SENTENCE * near[0].fit]
    supported: list[SentenceSupport] = []
    answer = ""
    for found in in_reading_order(good):
        start = len(answer) + 1 if answer else 0
        answer = f"{answer} {found.span.text}" if answer else found.span.text
        supported.append(cited(found.span, start, len(answer), found.fit))
    return Grounding(answer=answer, sentences=tuple(supported))


def in_reading_order(near: Sequence[Near]) -> list[Near]:
    """Sentences of one document as they follow each other; documents by their best sentence."""
    first: dict[int, int] = {}
    for place, found in enumerate(near):
        first.setdefault(found.span.chunk.document_id, place)
    return sorted(
        near,
        key=lambda found: (
            first[found.span.chunk.document_id],
            found.span.chunk.start + found.span.start,
        ),
    )


def _telling_spans(passages: Sequence[StoredChunk], wanted: frozenset[str]) -> list[Span]:
    """The sentences that may answer, each text once: neighbouring chunks may share a sentence."""
    spans = [span for passage in passages for span in single_spans(passage)]
    first = {span.text: span for span in reversed(spans)}
    return [span for span in spans if first[span.text] is span and _tells(span, wanted)]


def _tells(span: Span, wanted: frozenset[str]) -> bool:
    """Whether it is neither a question nor a heading that only repeats the question's words."""
    is_heading = span.text[-1].isalnum() and span.claim.stems <= wanted
    return not is_heading and not span.text.endswith("?")


def has_what_is_asked(question: str, asked: Claim, claim: Claim) -> bool:
    """False for a sentence without a number where one is asked for, or without a name.

    Those that the question itself has do not count; a question for anything else is met by all.
    """
    if _ASKS_NUMBER.search(question):
        return bool(claim.numbers - asked.numbers)
    if _ASKS_NAME.search(question):
        return bool((claim.names | claim.opening) - asked.stems)
    return True
