"""`rag eval answers`, wired: asks questions whose answers are known, and judges what is said."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.evaluation.answers_questions import (
    KnownQuestion,
    fingerprint,
    read_questions,
    sample,
)
from rag_pipeline.evaluation.answers_report import (
    Answered,
    AnswersReport,
    check_scorers,
    report,
)
from rag_pipeline.evaluation.criteria import Criterion
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.generation.answer import Answer, Answerer, Asked
from rag_pipeline.generation.drafting import EXTRACTIVE
from storage.records import LOCAL_OWNER, Principal

USER = "rag eval"
"""Who has asked, in the history."""

Progress = Callable[[int, int], None]
"""Told how many questions are answered, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of which collection, and who answers."""

    collection: str = DEFAULT_COLLECTION
    extractive: bool = False
    sample: int | None = None
    """So many questions, half of them answerable; None: all."""
    seed: int = 0
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersWanted:
    """What is to be said of the answers."""

    criteria: Sequence[Criterion] = ()
    """Conditions under which the evaluation fails."""
    baseline: Evaluation | None = None


def evaluate_answers(
    parts: Composition,
    path: Path,
    asking: Asking,
    wanted: AnswersWanted,
    progress: Progress | None = None,
) -> AnswersReport:
    """Ask the questions of the file at `path`, and judge the answers. Each is put on record.

    Raises `EvaluationError`, and what asking raises.
    """
    check_scorers()
    questions = read_questions(path)
    if asking.sample is not None:
        questions = sample(questions, asking.sample, asking.seed)
    answerer = parts.answerer(
        asking.collection, principal=asking.principal, extractive=asking.extractive
    )
    answers = [*answered(answerer, questions, asking.principal, progress)]
    return report(
        answers,
        sha256=fingerprint(questions),
        settings=_settings(parts, asking),
        generation=parts.reader.served().generation,
        baseline=wanted.baseline,
        criteria=wanted.criteria,
    )


def answered(
    answerer: Answerer,
    questions: Sequence[KnownQuestion],
    principal: Principal,
    progress: Progress | None = None,
) -> Iterator[Answered]:
    """The answers, in the order of the questions."""
    for number, question in enumerate(questions, start=1):
        began = time.perf_counter()
        answer = _asked(answerer, question.text, principal)
        seconds = time.perf_counter() - began
        yield _judged(answerer, question, answer, principal, seconds)
        if progress is not None:
            progress(number, len(questions))


def _asked(answerer: Answerer, question: str, principal: Principal) -> Answer:
    stream = answerer.stream(Asked(question=question, principal=principal, user=USER))
    while True:
        try:
            next(stream)
        except StopIteration as ended:
            answer: Answer = ended.value
            return answer


def _judged(
    answerer: Answerer,
    question: KnownQuestion,
    answer: Answer,
    principal: Principal,
    seconds: float,
) -> Answered:
    texts = answerer.reader.document_texts(
        {citation.document_id for citation in answer.citations},
        principal=principal,
        generation=answer.generation,
    )
    verbatim = sum(
        texts[one.document_id].text[one.start : one.end] == one.quote
        for one in answer.citations
        if one.document_id in texts
    )
    marked = sum(end - start for start, end in answer.unsupported)
    return Answered(
        question=question,
        text=answer.text,
        state=answer.state,
        confidence=answer.confidence,
        quotes=tuple(citation.quote for citation in answer.citations),
        verbatim=verbatim,
        unsupported=marked / max(1, len(answer.text)),
        seconds=seconds,
    )


def _settings(parts: Composition, asking: Asking) -> dict[str, Any]:
    settings = parts.settings
    return {
        "collection": asking.collection,
        "generator": EXTRACTIVE if asking.extractive else settings.generator,
        "sample": asking.sample,
        "seed": asking.seed,
        "generation": settings.generation.model_dump(mode="json"),
    }
