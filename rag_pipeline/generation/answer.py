"""Answers a question from the documents, says which parts it used, and keeps a record of it all.

The model only drafts. Whether there is anything to answer from is decided before it is asked, and
which of its sentences stand is decided after, both by the evidence. What no passage supports is
left out, and an answer without support says so.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from rag_pipeline.generation.evidence import Embed, support_for
from rag_pipeline.generation.grounding import Grounding, extract, ground
from rag_pipeline.generation.language_model import Completion, LanguageModel, Sampling
from rag_pipeline.generation.prompt import SYSTEM, TEMPLATE_SHA256, user_text
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.retrieval.search import Retriever, SearchResult
from storage.history import History
from storage.reading import CorpusReader
from storage.records import (
    AnswerState,
    Citation,
    DocumentId,
    Evidence,
    Hit,
    Principal,
    PromptEnd,
    PromptId,
    PromptStart,
)

NO_EVIDENCE_ANSWER = "The documents do not answer this question."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and who asks it in which conversation."""

    question: str
    principal: Principal
    user: str
    session: str | None = None
    parent_id: PromptId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A checked answer; every citation stands verbatim in a stored document."""

    prompt_id: PromptId
    text: str
    state: AnswerState
    citations: tuple[Citation, ...]
    usage: Mapping[str, int]
    timings: Mapping[str, float]
    """Seconds by step."""
    generation: int
    model: str


AnswerStream = Generator[str, None, Answer]
"""The draft, piece by piece as the model writes it; the return value is the checked answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """What is left of a draft once it was held against the documents."""

    text: str
    state: AnswerState
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Answers questions from one collection."""

    retriever: Retriever
    reader: CorpusReader
    embed: Embed
    model: LanguageModel
    history: History
    settings: GenerationSettings

    def stream(self, asked: Asked) -> AnswerStream:
        """Answer, giving the unchecked draft as it is written.

        The exchange is on record before the model is called. Closing the stream, or any error,
        is put on record too. Raises `QueryError`, `ModelError`, and what storage raises.
        """
        watch = _Stopwatch()
        result = self.retriever.search(
            asked.question, limit=self.settings.passages, principal=asked.principal
        )
        support = support_for(asked.question, result.hits, embed=self.embed)
        shown = self._fitting(result.hits) if support.sufficient else ()
        rendered = self.model.render(SYSTEM, user_text(asked.question, shown)) if shown else ""
        watch.lap("retrieve_s")
        prompt_id = self.history.start(
            self._start(asked, result, rendered), principal=asked.principal
        )
        try:
            draft, completion = "", _NOTHING_WRITTEN
            if shown:
                draft, completion = yield from self._draft(rendered)
            watch.lap("generate_s")
            checked = self._check(draft, asked, shown, result.generation)
            watch.lap("verify_s")
            answer = Answer(
                prompt_id=prompt_id,
                text=checked.text,
                state=checked.state,
                citations=checked.citations,
                usage=_usage(completion),
                timings=watch.laps,
                generation=result.generation,
                model=self.model.name,
            )
            self.history.complete(prompt_id, _end(answer))
        except (GeneratorExit, KeyboardInterrupt):
            self.history.fail(prompt_id, error="stopped by the reader", status="cancelled")
            raise
        except Exception as error:
            self.history.fail(prompt_id, error=f"{type(error).__name__}: {error}")
            raise
        return answer

    def _draft(self, rendered: str) -> Generator[str, None, tuple[str, Completion]]:
        pieces: list[str] = []
        stream = self.model.generate(rendered, sampling=self._sampling())
        while True:
            try:
                piece = next(stream)
            except StopIteration as ended:
                return "".join(pieces), ended.value
            pieces.append(piece)
            yield piece

    def _sampling(self) -> Sampling:
        return Sampling(
            max_new_tokens=self.settings.max_new_tokens,
            temperature=self.settings.temperature,
            top_p=self.settings.top_p,
            seed=self.settings.seed,
        )

    def _fitting(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The best hits that fit into the budget of tokens; the first in any case."""
        room = self.settings.shown_tokens
        shown: list[Hit] = []
        for hit in hits:
            room -= self.model.count_tokens(hit.chunk.text)
            if room < 0 and shown:
                break
            shown.append(hit)
        return tuple(shown)

    def _start(self, asked: Asked, result: SearchResult, rendered: str) -> PromptStart:
        sampling = self._sampling()
        return PromptStart(
            question=asked.question,
            user=asked.user,
            session=asked.session,
            parent_id=asked.parent_id,
            collection=self.retriever.collection.name,
            generation=result.generation,
            model=self.model.name,
            weights_sha256=self.model.weights_sha256,
            template_sha256=TEMPLATE_SHA256,
            rendered=rendered,
            sampling={
                "max_new_tokens": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": sampling.seed,
            },
            evidence=tuple(_evidence(hit) for hit in result.hits),
        )

    def _check(self, draft: str, asked: Asked, shown: Sequence[Hit], generation: int) -> _Checked:
        """What stands of the draft; where nothing does, the sentences that come nearest."""
        if not shown:
            return _no_evidence()
        passages = [hit.chunk for hit in shown]
        grounding = ground(draft, question=asked.question, passages=passages)
        refused = any(sentence.standing == "refusal" for sentence in grounding.sentences)
        if grounding.state == "no_evidence" and not refused:
            quoted = extract(asked.question, passages, embed=self.embed)
            grounding = quoted
        texts = self.reader.document_texts(
            {citation.document_id for citation in grounding.citations},
            principal=asked.principal,
            generation=generation,
        )
        return _standing(grounding, texts)


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._since, 4)
        self._since = now


_NOTHING_WRITTEN = Completion(prompt_tokens=0, completion_tokens=0, finish_reason="stop")


def _standing(grounding: Grounding, texts: Mapping[DocumentId, str]) -> _Checked:
    """The supported sentences alone, each citation checked once more against its document."""
    kept: list[str] = []
    citations: list[Citation] = []
    length = 0
    for sentence in grounding.sentences:
        citation = sentence.citation
        if citation is None or not _is_verbatim(citation, texts):
            continue
        text = grounding.answer[sentence.start : sentence.end]
        start = length + 1 if kept else 0
        length = start + len(text)
        kept.append(text)
        citations.append(replace(citation, answer_start=start, answer_end=length))
    if not kept:
        return _no_evidence()
    is_whole = grounding.state == "grounded" and len(citations) == len(grounding.citations)
    return _Checked(
        text=" ".join(kept),
        state="grounded" if is_whole else "partial",
        citations=tuple(citations),
    )


def _is_verbatim(citation: Citation, texts: Mapping[DocumentId, str]) -> bool:
    return texts.get(citation.document_id, "")[citation.start : citation.end] == citation.quote


def _no_evidence() -> _Checked:
    return _Checked(text=NO_EVIDENCE_ANSWER, state="no_evidence", citations=())


def _evidence(hit: Hit) -> Evidence:
    return Evidence(
        chunk_id=hit.chunk.chunk_id,
        document_id=hit.chunk.document_id,
        rank=hit.rank,
        score=hit.score,
        vector_rank=hit.vector_rank,
        keyword_rank=hit.keyword_rank,
    )


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }


def _end(answer: Answer) -> PromptEnd:
    return PromptEnd(
        answer=answer.text,
        state=answer.state,
        citations=answer.citations,
        usage=answer.usage,
        timings=answer.timings,
    )
