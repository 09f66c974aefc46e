"""Questions and their answers, written from stored documents and kept only if they hold.

The answer is a span of a passage, so that it is true of it; the generator words a question for it.
A question is kept if it goes the whole way back (round-trip consistency: Alberti et al., ACL 2019,
arXiv:1906.05416): it says nothing that the passage does not, a search for it finds the passage, the
sentence that the search's hits answer it with holds the answer, and the generator answers it from
the passage with the same words.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.evaluation.answers_scores import holds, token_f1
from rag_pipeline.generation.claims import claim_in
from rag_pipeline.generation.extraction import nearest
from rag_pipeline.retrieval.search import Retriever
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.texts.answers import Answer, answers_in
from rag_pipeline.synthetic.texts.question_writer import QuestionWriter
from storage.export import ExportedDocument, snapshot
from storage.records import LOCAL_OWNER, Hit, Principal, Vectors

Dropped = Literal[
    "says the answer", "says more than the passage", "asks too little", "asked before",
    "not found", "another sentence answers", "another answer",
]  # fmt: skip
"""Why a question is not kept; the first that holds."""

_FOUND_AMONG = 3
_SAME_ANSWER = 0.8
"""F1 of words."""
_LEAST_STEMS = 2
_ASKED_BEFORE = 0.95
"""Cosine to a question that is kept."""
_WORDS_OF_ASKING = claim_in("which year date number many").stems


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionsWanted:
    """How many questions, and of what."""

    count: int
    collection: str = DEFAULT_COLLECTION
    principal: Principal = LOCAL_OWNER
    per_document: int = 5
    """At most."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for none."""
        for name in ("count", "per_document"):
            if getattr(self, name) < 1:
                raise SyntheticError(f"{name} is {getattr(self, name)}: ask for 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQuestion:
    """A question that was kept, and the span that answers it."""

    question: str
    answer: str
    passage: str
    """The sentence that the answer stands in."""
    external_id: str
    source: str
    start: int
    end: int
    """Of the answer in the document's text."""
    generator: str

    def as_json(self, number: int) -> dict[str, Any]:
        """A line that `rag eval answers` and `rag tune generator --data` read."""
        return {
            "_id": f"s{number}",
            "question": self.question,
            "answers": [self.answer],
            "answer": self.answer,
            "passages": [self.passage],
            "group": self.external_id,
            "external_id": self.external_id,
            "source": self.source,
            "start": self.start,
            "end": self.end,
            "origin": "synthetic",
            "generator": self.generator,
        }


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many were written, and what became of them."""

    kept: int = 0
    dropped: Counter[Dropped] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        written = self.kept + self.dropped.total()
        return {"written": written, "kept": self.kept, "dropped": dict(self.dropped)}


def questions_of(
    parts: Composition,
    wanted: QuestionsWanted,
    *,
    tell: Callable[[Tally], None] = lambda _: None,
) -> Iterator[WrittenQuestion]:
    """Questions about a collection's real documents, as they are written and found to hold.

    Ends when there are enough, or no more documents. The same documents, generator and seed give
    the same questions. `tell` hears of every document that is done. Raises `NotFoundError`,
    `ModelError`, and `SettingsError` where no generator is set.
    """
    way_back = _WayBack(
        parts, parts.retriever(wanted.collection, principal=wanted.principal), wanted.principal
    )
    writing = _Writing(parts, QuestionWriter(parts.language_model), way_back, wanted, Tally())
    for document in _documents(parts, wanted):
        for kept in writing.about(document):
            yield kept
            if writing.tally.kept == wanted.count:
                tell(writing.tally)
                return
        tell(writing.tally)


def _documents(parts: Composition, wanted: QuestionsWanted) -> Iterator[ExportedDocument]:
    """In an order that the seed says; a text and its near copies once."""
    who = wanted.principal
    with snapshot(parts.database, wanted.collection, principal=who) as taken:
        documents = taken.documents(with_text=False)
        found = [*{one.near_sha256 or one.content_sha256: one for one in documents}.values()]
        generation = taken.position.generation
    for at in np.random.default_rng(wanted.seed).permutation(len(found)).tolist():
        document = found[at]
        stored = parts.reader.document_texts(
            [document.document_id], principal=who, generation=generation
        )
        # One that was forgotten meanwhile has no text any more.
        for text in stored.values():
            yield replace(document, text=text.text)


@dataclass(frozen=True, slots=True)
class _Writing:
    """What is asked about each document."""

    parts: Composition
    writer: QuestionWriter
    way_back: "_WayBack"
    wanted: QuestionsWanted
    tally: Tally

    def about(self, document: ExportedDocument) -> Iterator[WrittenQuestion]:
        answers = [*answers_in(document.text, self.parts.recogniser, document.language)]
        chance = np.random.default_rng([self.wanted.seed, int(document.content_sha256[:8], 16)])
        kept = 0
        for at in chance.permutation(len(answers)).tolist():
            found = self._kept(document, answers[at])
            if found is not None:
                kept += 1
                yield found
            if kept == self.wanted.per_document:
                return

    def _kept(self, document: ExportedDocument, answer: Answer) -> WrittenQuestion | None:
        """The first question for that answer that holds."""
        source = document.sources[0]
        sentence = " ".join(document.text[answer.sentence_start : answer.sentence_end].split())
        told = " ".join(document.text[answer.start : answer.end].split())
        passage = f"{source.title}: {sentence}" if source.title else sentence
        for question in self.writer.questions(passage, told, answer.kind):
            why = (
                _untold(question, told, passage)
                or self.way_back.why_not(question, told, document, answer)
                or self._answered_otherwise(question, told, passage)
            )
            if why is not None:
                self.tally.dropped[why] += 1
                continue
            self.way_back.keep(question)
            self.tally.kept += 1
            return WrittenQuestion(
                question=question,
                answer=told,
                passage=sentence,
                external_id=source.external_id,
                source=source.uri,
                start=answer.start,
                end=answer.end,
                generator=self.writer.model.name,
            )
        return None

    def _answered_otherwise(self, question: str, told: str, passage: str) -> Dropped | None:
        same = token_f1(self.writer.answer(passage, question), [told]) >= _SAME_ANSWER
        return None if same else "another answer"


def _untold(question: str, answer: str, passage: str) -> Dropped | None:
    """What is wrong with the words of a question."""
    asked = claim_in(question).stems - _WORDS_OF_ASKING
    if holds(question, [answer]) or claim_in(answer).stems <= asked:
        return "says the answer"
    if not asked <= claim_in(passage).stems:
        return "says more than the passage"
    return "asks too little" if len(asked) < _LEAST_STEMS else None


@dataclass(slots=True)
class _WayBack:
    """Searches for what was written."""

    parts: Composition
    retriever: Retriever
    principal: Principal
    _asked: list[Vectors] = field(default_factory=list)
    """Vectors of the questions that are kept."""

    def why_not(
        self, question: str, told: str, document: ExportedDocument, answer: Answer
    ) -> Dropped | None:
        vector = self.parts.embedder.embed([question])[0]
        if self._asked and float(np.max(np.stack(self._asked) @ vector)) >= _ASKED_BEFORE:
            return "asked before"
        hits = self.retriever.search(
            question, principal=self.principal, limit=_FOUND_AMONG, collapse=True
        ).hits
        if not any(_holds_span(hit, document, answer) for hit in hits):
            return "not found"
        near = nearest(question, [hit.chunk for hit in hits], embed=self.parts.embedder.embed)
        answered = bool(near) and holds(near[0].span.text, [told])
        return None if answered else "another sentence answers"

    def keep(self, question: str) -> None:
        self._asked.append(self.parts.embedder.embed([question])[0])


def _holds_span(hit: Hit, document: ExportedDocument, answer: Answer) -> bool:
    chunk = hit.chunk
    is_here = chunk.document_id == document.document_id
    return is_here and chunk.start <= answer.start and answer.end <= chunk.end


def write_judgments(questions: Sequence[WrittenQuestion], folder: Path) -> None:
    """The same as what `rag eval retrieval` reads: `queries.jsonl`, and `qrels.tsv` that says which
    document answers each. Raises `SyntheticError` for a folder that can't be written to."""
    queries = [{"_id": f"s{n}", "text": one.question} for n, one in enumerate(questions, 1)]
    grades = [f"s{n}\t{one.external_id}\t1" for n, one in enumerate(questions, 1)]
    lines = "".join(json.dumps(query, ensure_ascii=False) + "\n" for query in queries)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "queries.jsonl").write_text(lines, "utf-8")
        (folder / "qrels.tsv").write_text(
            "\n".join(["query-id\tcorpus-id\tscore", *grades, ""]), "utf-8"
        )
    except OSError as error:
        raise SyntheticError(
            f"{folder} can't be written to: {error.strerror}; name another folder"
        ) from error
