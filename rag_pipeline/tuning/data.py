"""What an embedder is trained on, stopped by and judged by; no question is in two of these."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.evaluation.judgments import Judgments
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.examples import Kinship, Triple, groups
from rag_pipeline.tuning.ranking import RankingSet
from storage.versions.datasets import Member

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
LEAST_QUESTIONS = 5
"""Of each of the three."""
_VALIDATED = 500
"""Passages that a validation ranks, all that answer among them: it is done again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Judged questions that nothing was trained on, and the documents that are searched."""

    validation: RankingSet
    """Stops the training."""
    records: Sequence[Mapping[str, Any]]
    """`{_id, title, text}` of each document; `test` judges them by `_id`."""
    test: Judgments
    """Judges what came of it, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningData:
    """All that a training needs to know."""

    source: str
    """As it is told: documents, history, or the file's name."""
    triples: Sequence[Triple]
    held_out: HeldOut
    members: Sequence[Member]
    """What the triples were made of, to be kept with them."""


def divided(triples: Sequence[Triple], *, seed: int) -> tuple[list[Triple], HeldOut]:
    """Triples to train on, and the questions of the others over the passages of all.

    Questions of the same words, and those whose answers say nearly the same, are in one of the
    three. Raises `ExamplesError` for too few.
    """
    parts = split(triples, groups(triples), seed=seed)
    check_enough(parts)
    every = (text for triple in triples for text in triple.passages)
    kin = Kinship.among(every)
    return parts["train"], HeldOut(
        validation=_ranking_set(parts["validation"], kin),
        records=[{"_id": _id(at), "text": text} for at, text in enumerate(kin.name_of)],
        test=_judgments(parts["test"], kin),
    )


def split(triples: Sequence[Triple], names: Sequence[str], *, seed: int) -> dict[str, list[Triple]]:
    """Triples by their split; those of one name are in one."""
    plan = SplitPlan(shares=SHARES, seed=seed)
    parts: dict[str, list[Triple]] = {name: [] for name in SHARES}
    for triple, name in zip(triples, names, strict=True):
        parts[plan.split_of(name)].append(triple)
    return parts


def check_enough(parts: Mapping[str, Sequence[Triple]]) -> None:
    """Raise `ExamplesError` unless there are questions enough to learn and to judge by."""
    found = {name: len({triple.question for triple in part}) for name, part in parts.items()}
    short = [name for name, count in found.items() if count < LEAST_QUESTIONS]
    if short:
        told = ", ".join(f"{count} for {name}" for name, count in found.items())
        raise ExamplesError(
            f"there are too few questions to train on and to judge by: {told}; it takes"
            f" {LEAST_QUESTIONS} for each, so give some dozens that differ"
        )


def limited(
    texts: Sequence[tuple[str, str]], needed: Callable[[str], bool], *, limit: int = _VALIDATED
) -> list[tuple[str, str]]:
    """The (document, passage) pairs of needed documents, and others from all over up to `limit`."""
    wanted = [pair for pair in texts if needed(pair[0])]
    others = [pair for pair in texts if not needed(pair[0])]
    room = max(0, limit - len(wanted))
    step = max(1, -(-len(others) // room)) if room else 0
    return wanted + (others[::step] if room else [])


def _ranking_set(triples: Sequence[Triple], kin: Kinship) -> RankingSet:
    questions, grades = _graded(triples, kin)
    answers = {name for found in grades.values() for name in found}
    own = {text for triple in triples for text in triple.passages}
    texts = [(_id(at), text) for at, text in enumerate(kin.name_of)]
    near = {name for name, text in texts if text in own}
    chosen = limited(texts, lambda name: name in answers or name in near)
    return RankingSet(
        questions=questions,
        passages=[text for _, text in chosen],
        documents=[name for name, _ in chosen],
        grades=grades,
    )


def _judgments(triples: Sequence[Triple], kin: Kinship) -> Judgments:
    questions, grades = _graded(triples, kin)
    return Judgments(texts=questions, qrels=grades)


def _graded(
    triples: Sequence[Triple], kin: Kinship
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Questions by id, and what answers each: its positives and whatever says nearly the same."""
    place = {text: _id(at) for at, text in enumerate(kin.name_of)}
    copies: dict[str, list[str]] = {}
    for text, name in kin.name_of.items():
        copies.setdefault(name, []).append(place[text])
    ids = {text: f"q{at}" for at, text in enumerate(dict.fromkeys(one.question for one in triples))}
    grades: dict[str, dict[str, int]] = {}
    for triple in triples:
        answers = grades.setdefault(ids[triple.question], {})
        answers |= dict.fromkeys(copies[kin.name_of[triple.positive]], 1)
    return {name: text for text, name in ids.items()}, grades


def _id(at: int) -> str:
    return f"p{at}"
