"""From recorded exchanges to examples that models are trained on.

What people rated well, or corrected, is what an answer should be: supervised pairs. Where one
answer to a question was preferred to another, by a correction or by its rating, the two are a
preference. What an answer cites answers its question; what was shown beside it and not cited does
not, though the search took it for likely: a hard negative (Karpukhin et al., EMNLP 2020,
arXiv:2004.04906).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from storage.prompts.export import Exchange
from storage.prompts.listing import rating_of
from storage.records import PromptId, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question and what is to be answered."""

    prompt_id: PromptId
    question: str
    passages: tuple[str, ...]
    """What it was answered from, best first."""
    answer: str
    score: float | None
    """The mean of what each user said last; None for a correction that nobody rated."""
    is_corrected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two answers to a question, of which one is better."""

    prompt_id: PromptId
    question: str
    passages: tuple[str, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A question, a passage that answers it, and one that was shown and does not."""

    prompt_id: PromptId
    question: str
    positive: str
    negative: str


Example = Pair | Preference | Triple


def correction(scores: Sequence[Score]) -> str | None:
    """What was last said that the answer should have been."""
    return next((score.correction for score in reversed(scores) if score.correction), None)


def group_of(question: str) -> str:
    """The same for questions of the same words: they belong into one split."""
    return hashlib.sha256(" ".join(question.casefold().split()).encode()).hexdigest()


def pairs(exchanges: Iterable[Exchange], *, min_score: float | None) -> Iterator[Pair]:
    """Corrections, and answers that stand on evidence and are rated `min_score` or better.

    Without a `min_score` an answer need not be rated at all.
    """
    for one in exchanges:
        prompt, score = one.prompt, rating_of(one.prompt.scores)
        corrected = correction(prompt.scores)
        if corrected is None and (not _stands(one) or not _is_rated(score, min_score)):
            continue
        yield Pair(
            prompt_id=prompt.prompt_id,
            question=asked(one),
            passages=_passages(one),
            answer=corrected or prompt.answer or "",
            score=score if corrected is None else None,
            is_corrected=corrected is not None,
        )


def preferences(exchanges: Iterable[Exchange]) -> Iterator[Preference]:
    """What was corrected, against what it was corrected to; and of the answers to one question
    the best rated against each that was rated lower."""
    rated: dict[tuple[str, str], list[tuple[float, Exchange]]] = {}
    for one in exchanges:
        corrected, score = correction(one.prompt.scores), rating_of(one.prompt.scores)
        if one.prompt.answer is None:
            continue
        if corrected is not None and corrected != one.prompt.answer:
            yield _preference(one, corrected, one)
        elif score is not None:
            key = (one.prompt.collection, group_of(asked(one)))
            rated.setdefault(key, []).append((score, one))
    for answers in rated.values():
        best_score, best = max(answers, key=lambda answer: answer[0])
        for score, other in answers:
            if score < best_score and other.prompt.answer != best.prompt.answer:
                yield _preference(best, best.prompt.answer or "", other)


def triples(exchanges: Iterable[Exchange], *, min_score: float | None) -> Iterator[Triple]:
    """Each cited passage with each that was shown and not cited."""
    for one in exchanges:
        if not _stands(one) or not _is_rated(rating_of(one.prompt.scores), min_score):
            continue
        shown = [found for found in one.prompt.evidence if found.chunk_id in one.passages]
        negatives = [one.passages[found.chunk_id] for found in shown if not found.cited]
        for found in shown:
            if not found.cited:
                continue
            for negative in negatives:
                yield Triple(
                    prompt_id=one.prompt.prompt_id,
                    question=asked(one),
                    positive=one.passages[found.chunk_id],
                    negative=negative,
                )


def asked(one: Exchange) -> str:
    """The question as it stands by itself."""
    return (one.prompt.standalone or one.prompt.question).strip()


def _stands(one: Exchange) -> bool:
    return one.prompt.status == "completed" and one.prompt.state in ("grounded", "partial")


def _is_rated(score: float | None, least: float | None) -> bool:
    return least is None or (score is not None and score >= least)


def _passages(one: Exchange) -> tuple[str, ...]:
    found = (one.passages.get(shown.chunk_id) for shown in one.prompt.evidence)
    return tuple(text for text in found if text is not None)


def _preference(asked_in: Exchange, chosen: str, rejected: Exchange) -> Preference:
    return Preference(
        prompt_id=asked_in.prompt.prompt_id,
        question=asked(asked_in),
        passages=_passages(asked_in),
        chosen=chosen,
        rejected=rejected.prompt.answer or "",
    )
