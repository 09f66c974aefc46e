"""What is left of a draft once it was held against the documents.

A draft stands if one passage supports it and that passage is among those that come nearest to the
question; if not, the nearest sentences themselves are the answer, word for word. Each citation is
then looked up once more in the stored text of its document.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rag_pipeline.generation.asking import has_what_is_asked
from rag_pipeline.generation.claims import claim_in
from rag_pipeline.generation.entailment import EntailmentModel
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.extraction import nearest, quoted
from rag_pipeline.generation.grounding import (
    Grounding,
    ground,
    only_entailed,
    only_supported,
    verify,
)
from storage.outline import heading_path, page_at
from storage.records import (
    AnswerState,
    ChunkId,
    Citation,
    DocumentId,
    StoredChunk,
    StoredText,
)

NO_EVIDENCE_ANSWER = "The documents do not answer this question."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An answer of sentences that stand, each with a citation that was looked up."""

    text: str
    state: AnswerState
    citations: tuple[Citation, ...]


NOTHING_STANDS = Checked(text=NO_EVIDENCE_ANSWER, state="no_evidence", citations=())


def supported(
    draft: str,
    *,
    question: str,
    passages: Sequence[StoredChunk],
    embed: Embed,
    cosines: Mapping[ChunkId, float] | None = None,
    is_strict: bool = True,
    entailment: EntailmentModel | None = None,
) -> Grounding:
    """What of the draft stands and answers from where the answer should be, else quotations.

    Unless this is strict, what does not stand stays beside what does.

    Also a draft that does not stand says what an answer would look like, and so helps to find it
    (HyDE: Gao et al., ACL 2023, arXiv:2212.10496), unless it lacks what was asked for.
    """
    if not has_what_is_asked(question, claim_in(question), claim_in(draft)):
        return quoted(nearest(question, passages, embed=embed, cosines=cosines))
    like_it = nearest(f"{question} {draft}", passages, embed=embed, cosines=cosines)
    quotations = quoted(like_it)
    grounding = ground(draft, question=question, passages=passages)
    if entailment is not None:
        grounding = only_entailed(grounding, entailment)
    is_near = any(
        _overlap(given, expected)
        for given in grounding.citations
        for expected in quotations.citations
    )
    if not is_near:
        return quotations
    return only_supported(grounding) if is_strict else grounding


def _overlap(one: Citation, other: Citation) -> bool:
    """Whether both quote some of the same characters."""
    same = one.document_id == other.document_id
    return same and one.start < other.end and other.start < one.end


def uncited(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, int]]:
    """The parts of an answer between its citations, by start and end; blanks are none."""
    if not citations:
        return
    places = sorted((citation.answer_start, citation.answer_end) for citation in citations)
    done = 0
    for start, end in [*places, (len(text), len(text))]:
        gap = text[done:start]
        if any(letter.isalnum() for letter in gap):
            yield done + len(gap) - len(gap.lstrip()), done + len(gap.rstrip())
        done = max(done, end)


def standing(
    grounding: Grounding, texts: Mapping[DocumentId, StoredText], *, is_strict: bool = True
) -> Checked:
    """The supported sentences, each citation checked once more against its document; unless this
    is strict, with the unsupported ones where they stood."""
    kept: list[str] = []
    citations: list[Citation] = []
    length = 0
    for sentence in grounding.sentences:
        citation = _located(sentence.citation, texts)
        if citation is None and (is_strict or sentence.standing != "unsupported"):
            continue
        text = grounding.answer[sentence.start : sentence.end]
        start = length + 1 if kept else 0
        length = start + len(text)
        kept.append(text)
        if citation is not None:
            citations.append(replace(citation, answer_start=start, answer_end=length))
    if not citations:
        return NOTHING_STANDS
    is_whole = grounding.state == "grounded" and len(citations) == len(grounding.citations)
    return Checked(
        text=" ".join(kept),
        state="grounded" if is_whole else "partial",
        citations=tuple(citations),
    )


def _located(citation: Citation | None, texts: Mapping[DocumentId, StoredText]) -> Citation | None:
    """The citation, if its quote stands in the document, with the page and headings of its place
    in that very text."""
    found = None if citation is None else texts.get(citation.document_id)
    if citation is None or found is None or not verify(citation, found.text, 0):
        return None
    return replace(
        citation,
        page=page_at(found.outline, citation.start),
        headings=heading_path(found.outline, citation.start),
    )
