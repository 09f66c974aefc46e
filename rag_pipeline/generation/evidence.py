"""Whether the retrieved passages are about the question at all, decided before a model is asked.

A small model answers whatever it is asked, with or without support. Four signals, none of which
depends on the size of the corpus, say how near the passages come to the question; a logistic
function weighs them.

The weights were fitted on every second article (the first, the third …) of a part of SQuAD 2.0's
dev set: 646 contexts as the corpus, the best five by MiniLM cosine as passages, answerable
questions against the same questions with their article taken out of the corpus. On the articles
that were not fitted 93.9 % of the answerable and 2.1 % of the foreign questions pass; on all of
them 91.3 % and 3.7 %. Fitted on the other half and measured on this one: 92.0 % and 8.7 %, since
its articles treat the same wars (Huguenots, the French and Indian War) and partly answer for each
other.

The gate recognises a question on a subject that the corpus does not treat. It can't see that
passages on the right subject leave one fact out: of SQuAD's unanswerable questions, which are all
of this kind, 77 % pass. Their answers are for `grounding` to check.
"""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import astuple, dataclass

from ingest.sentences import sentences
from rag_pipeline.generation.claims import claim_in, content
from storage.records import Hit, Vectors

Embed = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, float32 (texts, dimension), in the same order."""

_WEIGHTS = (9.00, 7.00, 6.28, 1.88)
_BIAS = -12.22
_THRESHOLD = 0.6
_LONGEST_WEIGHT = 8
"""Letters beyond this many make a word no more telling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """How near the passages come to a question; each at most 1, best passage or sentence."""

    passage_cosine: float
    sentence_cosine: float
    coverage: float
    """The part of the question's content words that one sentence and its title have."""
    names: float
    """The part of the question's names and numbers that one passage has; 1 if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What the gate decided, and on which grounds; `signals` is None if there is no passage."""

    sufficient: bool
    probability: float
    signals: Signals | None = None


def support_for(question: str, hits: Sequence[Hit], *, embed: Embed) -> Support:
    """Decide whether `hits` bear on `question`. Calls `embed` once; deterministic."""
    if not hits:
        return Support(sufficient=False, probability=0.0)
    signals = _signals(question, hits, embed)
    weighted = sum(w * s for w, s in zip(_WEIGHTS, astuple(signals), strict=True))
    probability = 1 / (1 + math.exp(-(weighted + _BIAS)))
    return Support(sufficient=probability >= _THRESHOLD, probability=probability, signals=signals)


def coverage(wanted: Set[str], found: Set[str]) -> float:
    """The part of the `wanted` stems that is `found`; long words, being rarer, weigh more."""
    total = sum(map(_weight, wanted))
    return sum(map(_weight, wanted & found)) / total if total else 0.0


def _weight(stem: str) -> int:
    return min(len(stem), _LONGEST_WEIGHT)


def _signals(question: str, hits: Sequence[Hit], embed: Embed) -> Signals:
    wanted = claim_in(question)
    marks = wanted.names.union(*(content(number) for number in wanted.numbers))
    titled = [(hit.chunk.title, sentence) for hit in hits for sentence in _sentences(hit)]
    passage_cosine, sentence_cosine = _cosines(question, hits, [text for _, text in titled], embed)
    return Signals(
        passage_cosine=passage_cosine,
        sentence_cosine=sentence_cosine,
        coverage=max((coverage(wanted.stems, _stems(*pair)) for pair in titled), default=0.0),
        names=max(coverage(marks, _stems(hit.chunk.title, hit.chunk.text)) for hit in hits)
        if marks
        else 1.0,
    )


def _cosines(
    question: str, hits: Sequence[Hit], texts: Sequence[str], embed: Embed
) -> tuple[float, float]:
    """The question's best cosine to a passage and to a sentence.

    Passages that only the keyword search found come without a cosine and are embedded here.
    """
    known = [hit.vector_score for hit in hits if hit.vector_score is not None]
    unknown = [hit.chunk.text for hit in hits if hit.vector_score is None]
    vectors = embed([question, *unknown, *texts])
    cosines = (vectors[1:] @ vectors[0]).tolist()
    of_passages = known + cosines[: len(unknown)]
    return max(of_passages), max(cosines[len(unknown) :], default=0.0)


def _sentences(hit: Hit) -> list[str]:
    text = hit.chunk.text
    return [text[start:end] for start, end in sentences(text)]


def _stems(title: str, text: str) -> frozenset[str]:
    return frozenset(content(f"{title} {text}"))
