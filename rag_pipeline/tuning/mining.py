"""Passages that a search takes for answers and that are none: hard negatives.

The search is the collection's own, by vectors and by words, so that what is learnt is what it gets
wrong. A text that says nearly the same as the answer is none, and one that is nearly as close to
the question as the answer may well be another answer that nobody marked: it is kept out by a margin
(Moreira et al. 2024, arXiv:2407.15831, who keep what is below 95 % of the answer's score).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipeline.tuning.examples import Triple
from rag_pipeline.tuning.pseudo_queries import PseudoQuery
from storage.records import Vectors

MARGIN = 0.95


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that a search found, and the document (or near copies of it) that it is of."""

    document: str
    text: str


Search = Callable[[Sequence[str]], Sequence[Sequence[Found]]]
"""For each question the passages found, best first."""
Embed = Callable[[Sequence[str]], Vectors]


def mined(
    queries: Sequence[PseudoQuery],
    *,
    search: Search,
    embed: Embed,
    negatives: int,
    margin: float = MARGIN,
) -> list[Triple]:
    """Each question with its answer and the first `negatives` passages that are below the margin.

    A question for which there are fewer is left out: all triples have as many.
    """
    if not queries:
        return []
    found = search([one.question for one in queries])
    foreign = [
        [hit.text for hit in hits if hit.document != one.document]
        for one, hits in zip(queries, found, strict=True)
    ]
    near = _cosines(embed, queries, foreign)
    triples: list[Triple] = []
    for one, texts, (own, cosines) in zip(queries, foreign, near, strict=True):
        hard = [t for t, cosine in zip(texts, cosines, strict=True) if cosine < margin * own]
        if len(hard) >= negatives:
            triples.append(
                Triple(
                    question=one.question,
                    positive=one.positive,
                    negatives=tuple(hard[:negatives]),
                )
            )
    return triples


def _cosines(
    embed: Embed, queries: Sequence[PseudoQuery], foreign: Sequence[Sequence[str]]
) -> list[tuple[float, list[float]]]:
    """Of each question to its answer, and to each foreign passage, about the passages' mean: many
    models crowd all texts into one corner, where every cosine is high."""
    texts = [*dict.fromkeys(text for found in foreign for text in found)]
    place = {text: at for at, text in enumerate(texts)}
    passages = embed(texts)
    middle = passages.mean(axis=0) if texts else 0
    questions = _unit(embed([one.question for one in queries]) - middle)
    answers = _unit(embed([one.positive for one in queries]) - middle)
    passages = _unit(passages - middle)
    return [
        (
            float(question @ answer),
            (passages[[place[text] for text in found]] @ question).tolist(),
        )
        for question, answer, found in zip(questions, answers, foreign, strict=True)
    ]


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-9)
    return unit
