"""What can be told of a candidate by reading it beside the query, without a model.

Scores say how many words of a query a text has; these features say how it has them: the rare ones,
next to each other, in the title.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from rag_pipeline.retrieval.rerank.port import RerankCandidate
from storage.keyword_index.analysis import analyse
from storage.keyword_index.languages import read_as
from storage.ranking import Scores

FEATURES: Final = (
    "fusion",  # the score of the fusion
    "vector",  # the cosine; 0 where that side did not list it
    "keyword",  # the keyword score, of the best among the candidates
    "vector_rank",  # 1 / rank; 0 where that side did not list it
    "keyword_rank",
    "text_terms",  # which share of the query's terms the text has, rare ones counting more
    "title_terms",  # the same of title and headings
    "pairs",  # which share of the query's neighbours are neighbours in the text
    "exact",  # 1 where the text has all of the query, word by word
    "nearness",  # share of the query's terms in a span, times their share of it, at its greatest
    "length",  # natural logarithm of 1 + terms of the text
)
"""The columns of `features`. Shares are from 0 to 1."""


def features(query: str, candidates: Sequence[RerankCandidate]) -> Scores:
    """One row a candidate, float64 (n, len(FEATURES))."""
    if not candidates:
        return np.empty((0, len(FEATURES)))
    languages = [read_as(candidate.chunk.language) for candidate in candidates]
    asked = {language: analyse(query, language) for language in set(languages)}
    texts = [
        analyse(candidate.chunk.text, language)
        for candidate, language in zip(candidates, languages, strict=True)
    ]
    rarity = _rarity([{*text} for text in texts])
    best = max(candidate.keyword_score or 0.0 for candidate in candidates) or 1.0
    rows = [
        (
            *_of_sides(candidate, best),
            *_of_words(candidate, language, asked[language], text, rarity),
        )
        for candidate, language, text in zip(candidates, languages, texts, strict=True)
    ]
    return np.array(rows, np.float64)


def _of_sides(candidate: RerankCandidate, best_keyword: float) -> tuple[float, ...]:
    ranks = (candidate.vector_rank, candidate.keyword_rank)
    return (
        candidate.score,
        candidate.vector_score or 0.0,
        (candidate.keyword_score or 0.0) / best_keyword,
        *(1 / rank if rank else 0.0 for rank in ranks),
    )


def _of_words(
    candidate: RerankCandidate,
    language: str,
    asked: Sequence[str],
    text: Sequence[str],
    rarity: Mapping[str, float],
) -> tuple[float, ...]:
    chunk = candidate.chunk
    named = {term for line in (chunk.title, *chunk.headings) for term in analyse(line, language)}
    neighbours = {*pairwise(asked)}
    return (
        _share({*asked}, {*text}, rarity),
        _share({*asked}, named, rarity),
        len(neighbours & {*pairwise(text)}) / len(neighbours) if neighbours else 0.0,
        float(_has_run(text, asked)),
        _density(text, {*asked}),
        math.log1p(len(text)),
    )


def _rarity(texts: Sequence[set[str]]) -> dict[str, float]:
    """How telling each term is among these texts: natural logarithm of 1 + all / those with it."""
    having: dict[str, int] = {}
    for text in texts:
        for term in text:
            having[term] = having.get(term, 0) + 1
    return {term: math.log1p(len(texts) / count) for term, count in having.items()}


def _share(asked: set[str], found: set[str], rarity: Mapping[str, float]) -> float:
    # A term that no candidate has tells none from another.
    known = sorted(term for term in asked if term in rarity)
    total = sum(rarity[term] for term in known)
    return sum(rarity[term] for term in known if term in found) / total if total else 0.0


def _has_run(text: Sequence[str], asked: Sequence[str]) -> bool:
    length = len(asked)
    return length > 0 and any(
        term == asked[0] and text[at : at + length] == asked for at, term in enumerate(text)
    )


def _density(text: Sequence[str], asked: set[str]) -> float:
    """Of a span of the text: which share of the query's terms it holds, times which share of it
    they are; where that is greatest.

    Spans begin and end with a match and hold no term twice. A single match has no neighbours, and
    counts nothing.
    """
    places = [(at, term) for at, term in enumerate(text) if term in asked]
    best = 0.0
    begin, seen = 0, dict.fromkeys(asked, -1)
    for end, (at, term) in enumerate(places):
        begin = max(begin, seen[term] + 1)
        seen[term] = end
        for start in range(begin, end):
            matched = end - start + 1
            best = max(best, matched * matched / ((at - places[start][0] + 1) * len(asked)))
    return best
