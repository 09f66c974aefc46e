"""The chance that an answer is right, and what may be said of it for that.

A small model answers whatever it is asked. Signals that need no model say how well the sentence
that is answered with fits the question; a calibration weighs them. None of them depends on the size
of the corpus or on the scale of a search's scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.generation.allusion import resolved
from rag_pipeline.generation.asking import has_what_is_asked, is_of_kind
from rag_pipeline.generation.calibration import Calibration
from rag_pipeline.generation.claims import claim_in, content, opposed, same_polarity
from rag_pipeline.generation.evidence import coverage
from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.matching import about
from rag_pipeline.generation.signals import Signals
from rag_pipeline.generation.statement import Fit, denies, fit
from storage.records import AnswerState, ChunkId, Citation, Hit

NEVER = 2.0
"""A chance that no answer has."""


def signals(question: str, answering: Near, near: Sequence[Near]) -> Signals:
    """Those of `answering`, one of the sentences `near` a question."""
    asked, span = claim_in(question), answering.span
    marks = asked.names.union(*(content(number) for number in asked.numbers))
    plain = asked.stems - marks
    around = span.claim.stems | span.around
    stated = _stated(question, answering)
    return Signals(
        cosine=answering.cosine,
        passage_cosine=answering.passage_cosine,
        best_cosine=max(found.cosine for found in near),
        about=about(asked.stems, span),
        words=coverage(plain, around) if plain else 1.0,
        marks=coverage(marks, around) if marks else 1.0,
        passage_words=coverage(plain, _stems_of(span.chunk.title, span.chunk.text))
        if plain
        else 1.0,
        same_polarity=float(same_polarity(asked, span.claim)),
        opposed=float(opposed(asked, span.claim)),
        denies=float(denies(question)),
        has_what_is_asked=float(has_what_is_asked(question, asked, span.claim)),
        is_of_kind=float(is_of_kind(question, span.text)),
        fit=answering.fit,
        is_stated=float(stated == "wholly"),
        is_nearly_stated=float(stated == "nearly"),
    )


def _stated(question: str, found: Near) -> Fit:
    if not _agree(question, found):
        return "no"
    span = found.span
    stated = fit(question, span.text)
    if stated != "no" or not span.antecedent:
        return stated
    is_named = frozenset(content(span.antecedent)) <= claim_in(question).stems
    whole = resolved(span.text, span.antecedent)
    return "nearly" if is_named and fit(question, whole) != "no" else "no"


def _agree(question: str, found: Near) -> bool:
    asked, claim = claim_in(question), found.span.claim
    return same_polarity(asked, claim) and not opposed(asked, claim)


def _stems_of(title: str, text: str) -> frozenset[str]:
    return frozenset(content(f"{title} {text}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Says how sure an answer is, and what that makes of it."""

    calibration: Calibration
    grounded_at: float
    """The least chance of an answer that is called grounded."""

    @classmethod
    def of(cls, calibration: Calibration, *, risk: float, certainty: float) -> "Judge":
        """One that calls grounded what keeps to `risk`."""
        point = calibration.grounded(risk, certainty)
        return cls(calibration=calibration, grounded_at=NEVER if point is None else point.chance)

    def chance(self, question: str, answering: Sequence[Near], near: Sequence[Near]) -> float:
        """That an answer from one of the sentences `answering` is right; 0 without any."""
        found = (self.calibration.chance(signals(question, one, near)) for one in answering)
        return max(found, default=0.0)

    def is_enough(self, chance: float) -> bool:
        """Whether it is worth answering."""
        return chance >= self.calibration.abstain_below

    def state(self, standing: AnswerState, chance: float) -> AnswerState:
        """What an answer is called: grounded needs that it stands and that it is sure."""
        if standing == "grounded" and chance < self.grounded_at:
            return "partial"
        return standing


def cosines_of(hits: Sequence[Hit]) -> dict[ChunkId, float]:
    """Of the chunks that the vector search found, their cosine to the question."""
    return {h.chunk.chunk_id: h.vector_score for h in hits if h.vector_score is not None}


def quoting(near: Sequence[Near], citations: Sequence[Citation]) -> list[Near]:
    """Those sentences of which a citation has a part."""
    return [found for found in near if any(_has_part(one, found) for one in citations)]


def _has_part(citation: Citation, found: Near) -> bool:
    chunk, span = found.span.chunk, found.span
    return (
        citation.document_id == chunk.document_id
        and citation.start < chunk.start + span.end
        and chunk.start + span.start < citation.end
    )
