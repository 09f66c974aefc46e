"""Which sentences of an answer stand, and on which spans of the source text.

Each sentence of an answer is held against every sentence, and every two adjacent sentences, of
the passages that the model was shown. One span must support it whole: it has nearly all of its
content words, clause by clause, and all of its numbers and names, and it denies what the sentence
denies. What two documents say together supports nothing. In doubt a sentence is not supported,
for a true sentence that goes uncited costs less than a false one with a citation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ingest.sentences import sentences
from rag_pipeline.generation.claims import Claim, claim_in
from rag_pipeline.generation.entailment import ENTAILED, EntailmentModel
from rag_pipeline.generation.matching import Shown, Span, held_against, support
from rag_pipeline.generation.wording import (
    asks_yes_or_no,
    is_filler,
    is_refusal,
    without_lead_in,
    without_markup,
    yes_or_no,
)
from storage.records import AnswerState, Citation, StoredChunk

Standing = Literal["supported", "unsupported", "refusal", "filler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSupport:
    """One sentence of an answer, `answer[start:end]`, and what it stands on."""

    start: int
    end: int
    standing: Standing
    citation: Citation | None = None
    """Present if and only if the sentence is supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """An answer's text, sentence by sentence, with the verified citations."""

    answer: str
    sentences: tuple[SentenceSupport, ...]

    @property
    def citations(self) -> tuple[Citation, ...]:
        """In the order of the sentences that they support."""
        return tuple(s.citation for s in self.sentences if s.citation is not None)

    @property
    def state(self) -> AnswerState:
        """How much of the answer stands."""
        return state_of([sentence.standing for sentence in self.sentences])


def ground(answer: str, *, question: str, passages: Sequence[StoredChunk]) -> Grounding:
    """Hold each sentence of `answer` against `passages`; of equally good spans the first wins.

    Deterministic; time grows with the product of the sentences on both sides.
    """
    shown = held_against(question, passages)
    return Grounding(
        answer=answer,
        sentences=tuple(_sentence_support(answer, span, shown) for span in sentences(answer)),
    )


def only_supported(grounding: Grounding) -> Grounding:
    """The same answer as if it had no sentence without support."""
    kept = tuple(one for one in grounding.sentences if one.standing != "unsupported")
    return replace(grounding, sentences=kept)


def only_entailed(grounding: Grounding, model: EntailmentModel) -> Grounding:
    """The same answer, without the support of quotes that do not entail what they support."""
    quotes = {one: one.citation.quote for one in grounding.sentences if one.citation is not None}
    pairs = [(quote, grounding.answer[one.start : one.end]) for one, quote in quotes.items()]
    refused = {
        one for one, chance in zip(quotes, model.entailed(pairs), strict=True) if chance < ENTAILED
    }
    return replace(
        grounding,
        sentences=tuple(
            replace(one, standing="unsupported", citation=None) if one in refused else one
            for one in grounding.sentences
        ),
    )


def state_of(standings: Sequence[Standing]) -> AnswerState:
    """grounded: every sentence is supported; partial: some; fillers count for neither."""
    claims = {standing for standing in standings if standing != "filler"}
    if "supported" not in claims:
        return "no_evidence"
    return "grounded" if claims == {"supported"} else "partial"


def verify(citation: Citation, text: str, text_start: int) -> bool:
    """Whether the quote stands verbatim where the citation says: in a document, or in the part of
    one that begins at `text_start`."""
    start, end = citation.start - text_start, citation.end - text_start
    return 0 <= start < end <= len(text) and text[start:end] == citation.quote


def _sentence_support(answer: str, place: tuple[int, int], shown: Shown) -> SentenceSupport:
    start, end = place
    sentence = without_markup(answer[start:end])
    claims = _claims(sentence, shown.question)
    scored = (
        (max((support(claim, span, shown) for claim in claims), default=0.0), span)
        for span in shown.spans
    )
    supporting = [(score, span) for score, span in scored if score > 0]
    if not supporting:
        return SentenceSupport(start=start, end=end, standing=_unsupported(sentence))
    # A second sentence always adds a word or two: it is quoted only where one does not suffice.
    score, span = max(supporting, key=lambda pair: (pair[1].is_single, pair[0]))
    return cited(span, start, end, score)


def _unsupported(sentence: str) -> Standing:
    if is_refusal(sentence):
        return "refusal"
    return "filler" if is_filler(sentence) else "unsupported"


def _claims(sentence: str, question: Claim) -> list[Claim]:
    """What the sentence may be taken to claim: itself, or itself without its lead-in.

    A mere "yes" claims what the question asks.
    """
    whole, rest = claim_in(sentence), claim_in(without_lead_in(sentence))
    if yes_or_no(sentence) == "yes" and not rest.stems:
        return [question] if asks_yes_or_no(question.words) else []
    return [whole] if whole == rest else [whole, rest]


def cited(span: Span, answer_start: int, answer_end: int, score: float) -> SentenceSupport:
    chunk, source = span.chunk, span.chunk.sources[0]
    citation = Citation(
        quote=span.text,
        source=source.source,
        document_id=chunk.document_id,
        external_id=source.external_id,
        chunk_id=chunk.chunk_id,
        start=chunk.start + span.start,
        end=chunk.start + span.end,
        answer_start=answer_start,
        answer_end=answer_end,
        score=score,
        origin=source.origin,
    )
    return SentenceSupport(
        start=answer_start, end=answer_end, standing="supported", citation=citation
    )
