"""How well one span of the source text bears out one sentence of an answer.

One span must support a claim whole: it has nearly all of its content words, clause by clause, all
of its numbers and names, as often and in the same places, and it denies what the claim denies.
Thresholds were chosen on 400 questions of SQuAD with `benchmarks/grounding.py`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.sentences import sentences
from rag_pipeline.generation.allusion import antecedents
from rag_pipeline.generation.claims import (
    Claim,
    claim_in,
    content,
    joined,
    lower_case_stems,
    opposed,
    same_places,
    same_polarity,
)
from rag_pipeline.generation.evidence import coverage
from storage.records import StoredChunk

_SENTENCE_COVERAGE = 0.7
_OWN_COVERAGE = 0.5
_CLAUSE_COVERAGE = 0.5
_PRONOUNS = frozenset({"he", "she", "it", "they", "his", "her", "its", "their"})
_SUBJECT_STEMS = 4
"""So many content words at the beginning of a sentence may be its subject."""
_CLAIM_STEMS = 3
"""Fewer content words than this claim nothing by themselves."""
_BARE_WORDS = 6
"""An answer of so few words may be a mere name or number, the answer to a question."""
_QUESTION_COVERAGE = 0.4
"""How much of the question the place of a bare answer must have."""
_FOCUS = 0.5
"""And how much of it, compared with the sentence that has most."""
_SPLICE_STEMS = 2
"""So many content words of its own make a second sentence part of what is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`chunk.text[start:end]`, one sentence or two adjacent ones, taken apart."""

    chunk: StoredChunk
    start: int
    end: int
    claim: Claim
    parts: tuple[Claim, ...]
    around: frozenset[str]
    """Stems of the title and of the sentence before: what a pronoun may stand for."""
    antecedent: str = ""
    """What its first words allude to, if they do."""

    @property
    def text(self) -> str:
        return self.chunk.text[self.start : self.end]

    @property
    def in_context(self) -> str:
        """The text, with what it alludes to before it: what an embedding has to know."""
        return f"{self.antecedent}: {self.text}" if self.antecedent else self.text

    @property
    def is_single(self) -> bool:
        """Whether it is one sentence."""
        return len(self.parts) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that the sentences of one answer are held against."""

    question: Claim
    spans: tuple[Span, ...]
    common: frozenset[str]
    """Stems that a passage or the question writes in lower case: as first words, no names."""
    focus: float
    """How much of the question the sentence has that has most of it."""


def held_against(question: str, passages: Sequence[StoredChunk]) -> Shown:
    """Take the question and the passages apart, once for all sentences of an answer."""
    spans = [span for passage in passages for span in _spans(passage)]
    asked = claim_in(question)
    return Shown(
        question=asked,
        spans=tuple(spans),
        focus=max((coverage(asked.stems, span.parts[0].stems) for span in spans), default=0.0),
        common=lower_case_stems(" ".join([question, *(passage.text for passage in passages)])),
    )


def _spans(passage: StoredChunk) -> Iterator[Span]:
    singles = single_spans(passage)
    yield from singles
    for first, second in pairwise(singles):
        yield Span(
            chunk=passage,
            start=first.start,
            end=second.end,
            claim=joined(first.claim, second.claim),
            parts=(first.claim, second.claim),
            around=first.around,
        )


def single_spans(passage: StoredChunk) -> list[Span]:
    """The sentences of a passage, in order."""
    spans: list[Span] = []
    title = frozenset(content(passage.title))
    places = sentences(passage.text)
    alluded = antecedents((passage.text[start:end] for start, end in places), passage.title)
    for (start, end), antecedent in zip(places, alluded, strict=True):
        claim = claim_in(passage.text[start:end])
        around = title | spans[-1].claim.stems if spans else title
        spans.append(
            Span(
                chunk=passage,
                start=start,
                end=end,
                claim=claim,
                parts=(claim,),
                around=around,
                antecedent=antecedent,
            )
        )
    return spans


def support(claim: Claim, span: Span, shown: Shown) -> float:
    """How well the span supports the claim: 0 not at all, 1 word for word."""
    if claim.words and claim.words == span.claim.words:
        return 1.0
    return max(_score_of_claim(claim, span, shown), _score_of_bare_answer(claim, span, shown))


def _score_of_claim(claim: Claim, span: Span, shown: Shown) -> float:
    if len(claim.stems) < _CLAIM_STEMS:
        return 0.0
    own = coverage(claim.stems, span.claim.stems)
    if own < _OWN_COVERAGE:
        return 0.0
    borrowed = _borrowed(claim, span, shown)
    known = span.claim.stems | borrowed
    covered = coverage(claim.stems, known)
    holds = (
        covered >= _SENTENCE_COVERAGE
        and _covers_clauses(claim, known)
        and _has_marks(claim, span, borrowed, shown)
        and same_polarity(claim, _by_coverage(claim, span)[0])
        and same_polarity(claim, span.claim)
        and not opposed(claim, span.claim)
    )
    return covered if holds else 0.0


def _borrowed(claim: Claim, span: Span, shown: Shown) -> frozenset[str]:
    """What the claim may take from the question where the span only alludes: "Rollo" for "he".

    If the claim leaves out a name of the span, one name may stand in another's place. It does not
    where the span's subject is a pronoun and what is borrowed stands for it.
    """
    alluded = shown.question.stems & span.around
    if not span.claim.names_given(shown.common) - claim.stems:
        return claim.stems & alluded
    if _begins_with_pronoun(span.claim) and not _begins_with_pronoun(claim):
        return frozenset(claim.order[:_SUBJECT_STEMS]) & alluded
    return frozenset()


def _begins_with_pronoun(claim: Claim) -> bool:
    return not _PRONOUNS.isdisjoint(claim.words[:1])


def _covers_clauses(claim: Claim, known: frozenset[str]) -> bool:
    """A claim that is half true has a clause of which the span knows little."""
    return all(
        coverage(clause, known) >= _CLAUSE_COVERAGE for clause in claim.clauses if len(clause) > 1
    )


def _has_marks(claim: Claim, span: Span, borrowed: frozenset[str], shown: Shown) -> bool:
    """Whether the span has the claim's names and numbers, as often and in the same places."""
    said, there = claim.marks(shown.common), span.claim.marks(shown.common)
    enough = all(
        span.claim.order.count(mark) >= count or there[mark] >= count or mark in borrowed
        for mark, count in said.items()
    )
    return enough and same_places(claim, span.claim) and not _is_splice(claim, span, shown)


def _is_splice(claim: Claim, span: Span, shown: Shown) -> bool:
    """Whether the claim is one sentence of the span with a name or number of the other put in."""
    if span.is_single:
        return False
    main, other = _by_coverage(claim, span)
    marks = claim.marks(shown.common)
    taken = (claim.stems & other.stems) - main.stems
    dropped = main.marks(shown.common) - Counter(claim.order) - claim.numbers
    return bool(dropped) and len(taken - marks.keys()) < _SPLICE_STEMS


def _by_coverage(claim: Claim, span: Span) -> list[Claim]:
    """The sentences of the span, the one that has most of the claim first."""
    return sorted(span.parts, key=lambda part: -coverage(claim.stems, part.stems))


def _score_of_bare_answer(claim: Claim, span: Span, shown: Shown) -> float:
    """For "Paris" or "in 1889": it stands verbatim in a sentence that is about the question."""
    if not span.is_single or not _stands_in(claim, span.claim):
        return 0.0
    wanted = shown.question.stems - claim.stems
    covered = about(wanted, span)
    bears = covered >= _QUESTION_COVERAGE and (
        coverage(wanted, span.claim.stems) >= _FOCUS * shown.focus
    )
    return covered if bears and same_polarity(shown.question, span.claim) else 0.0


def _stands_in(claim: Claim, span: Claim) -> bool:
    """Whether a short claim that denies nothing stands word for word in what the span affirms."""
    if not claim.stems or claim.denied or len(claim.words) > _BARE_WORDS:
        return False
    affirmed = all(claim.stems.isdisjoint(denied) for denied in span.denied)
    return affirmed and f" {' '.join(_core(claim.words))} " in f" {' '.join(span.words)} "


def about(wanted: frozenset[str], span: Span) -> float:
    """How much of what is asked a sentence and its surroundings have."""
    return coverage(wanted, span.claim.stems | span.around)


def _core(words: Sequence[str]) -> Sequence[str]:
    """The words from the first to the last that is no stop word."""
    telling = [place for place, word in enumerate(words) if content(word)]
    return words[telling[0] : telling[-1] + 1]
