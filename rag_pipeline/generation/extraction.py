"""The sentences of the passages that come nearest to answering a question, word for word.

They are what a model is shown, for a small one reads four sentences better than four pages, and
they are the answer where the model's own words do not stand.
"""

import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_pipeline.generation.asking import ASKS_NUMBER, has_what_is_asked, is_of_kind
from rag_pipeline.generation.claims import Claim, claim_in
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.grounding import Grounding, SentenceSupport, cited
from rag_pipeline.generation.matching import Span, about, single_spans
from storage.records import ChunkId, StoredChunk

_SECOND_SENTENCE = 0.9
"""A second sentence is extracted if it fits the question nearly as well as the first."""
_RANKING = (6.09, 5.44, -0.35, 4.72, 4.82)
"""Of the cosines of sentence and passage, the passage's place, and the question's words with what
stands around and without. Fitted as in `rag_pipeline/generation/calibration.py`: the best sentence
of SQuAD's held-out articles has the answer for 80.5 % of the questions; 79.9 % without the two
things that are new in it, what a sentence alludes to and `_OTHER_KIND`."""
_NO_NUMBER, _NO_NAME = 1.19, 1.75
"""What a sentence loses that has none where one is asked for."""
_OTHER_KIND = 2.0
"""What it loses that has no date, length, age, weight or share where one is asked for."""


@dataclass(frozen=True, slots=True)
class Near:
    """A sentence of a passage, and the chance that it is the one of all that answers."""

    span: Span
    fit: float
    cosine: float = 0.0
    """Of the sentence to the question."""
    passage_cosine: float = 0.0


def nearest(
    question: str,
    passages: Sequence[StoredChunk],
    *,
    embed: Embed,
    cosines: Mapping[ChunkId, float] | None = None,
) -> list[Near]:
    """The sentences that may answer, best first; each text once. Calls `embed` once.

    `passages` are in the order of their rank. Of those that `cosines` does not tell, the cosine to
    the question is found here.
    """
    claim = claim_in(question)
    spans = _telling_spans(passages, claim.stems)
    if not spans:
        return []
    known = dict(cosines or {})
    unknown = {one.chunk_id: one.text for one in passages if one.chunk_id not in known}
    vectors = embed([question, *unknown.values(), *(span.in_context for span in spans)])
    found = (vectors[1:] @ vectors[0]).tolist()
    known |= zip(unknown, found, strict=False)
    ranks = {one.chunk_id: rank for rank, one in reversed([*enumerate(passages)])}
    rarity = _rarity(claim.stems, spans)
    scores = [
        _score(question, claim, span, cosine, known, ranks, rarity)
        for span, cosine in zip(spans, found[len(unknown) :], strict=True)
    ]
    total = _log_sum(scores)
    near = [
        Near(span, math.exp(score - total), cosine, known[span.chunk.chunk_id])
        for span, cosine, score in zip(spans, found[len(unknown) :], scores, strict=True)
    ]
    # Sorting is stable: of equally good sentences the one in the better passage comes first.
    return sorted(near, key=lambda one: -one.fit)


def rare_coverage(wanted: frozenset[str], span: Span, rarity: Mapping[str, float]) -> float:
    """The part of `wanted` that the sentence has; what few sentences have weighs more."""
    total = sum(rarity[stem] for stem in wanted)
    return sum(rarity[stem] for stem in wanted & span.claim.stems) / total if total else 0.0


def _rarity(wanted: frozenset[str], spans: Sequence[Span]) -> dict[str, float]:
    """How telling each stem is among these sentences: its inverse document frequency."""
    counts = Counter(stem for span in spans for stem in span.claim.stems)
    return {stem: math.log((len(spans) + 1) / (counts[stem] + 0.5)) for stem in wanted}


def _score(
    question: str,
    claim: Claim,
    span: Span,
    cosine: float,
    passages: Mapping[ChunkId, float],
    ranks: Mapping[ChunkId, int],
    rarity: Mapping[str, float],
) -> float:
    """The logit of the chance that it is this sentence."""
    signals = (
        cosine,
        passages[span.chunk.chunk_id],
        float(ranks[span.chunk.chunk_id]),
        about(claim.stems, span),
        rare_coverage(claim.stems, span, rarity),
    )
    score = float(sum(map(operator.mul, _RANKING, signals)))
    if not is_of_kind(question, span.text):
        score -= _OTHER_KIND
    if has_what_is_asked(question, claim, span.claim):
        return score
    return score - (_NO_NUMBER if ASKS_NUMBER.search(question) else _NO_NAME)


def _log_sum(scores: Sequence[float]) -> float:
    """The logarithm of the sum of their exponentials."""
    most = max(scores)
    return most + math.log(sum(math.exp(score - most) for score in scores))


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
    """Whether it is neither a question nor a heading, marked or repeating the question's words."""
    is_heading = span.text.startswith("#") or (
        span.text[-1].isalnum() and span.claim.stems <= wanted
    )
    return not is_heading and not span.text.endswith("?")
