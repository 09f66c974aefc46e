"""Answers a question from the documents, says which parts it used, and keeps a record of it all.

The model only drafts. Whether there is anything to answer from is decided before it is asked, by
the evidence; what of its draft stands is decided after it, by the documents. So every sentence of
an answer has its source, and without one it says so.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipeline.generation.checking import NOTHING_STANDS, Checked, standing, supported
from rag_pipeline.generation.drafting import NOTHING_WRITTEN, Draft, Drafter
from rag_pipeline.generation.evidence import Embed, support_for
from rag_pipeline.generation.extraction import Near, nearest
from rag_pipeline.generation.language_model import Sampling, Turn
from rag_pipeline.generation.prompt import TEMPLATE_SHA256
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.retrieval.search import Retriever, SearchResult
from storage.history import History
from storage.reading import CorpusReader
from storage.records import (
    AnswerState,
    Citation,
    Evidence,
    Hit,
    Principal,
    PromptEnd,
    PromptId,
    PromptStart,
    Vectors,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, who asks it in which conversation, and how it is to be answered."""

    question: str
    principal: Principal
    user: str
    session: str | None = None
    parent_id: PromptId | None = None
    earlier: tuple[Turn, ...] = ()
    """What was said before, oldest first."""
    instructions: str = ""
    """What else the model is told about how to answer."""
    sampling: Sampling | None = None
    """None: as the settings say."""


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
    note: str | None = None
    """What the reader should know of how it was made: that the model could not be reached."""


AnswerStream = Generator[str, None, Answer]
"""The draft, piece by piece as the model writes it; the return value is the checked answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Answers questions from one collection."""

    retriever: Retriever
    reader: CorpusReader
    embed: Embed
    drafter: Drafter
    history: History
    settings: GenerationSettings

    def stream(self, asked: Asked) -> AnswerStream:
        """Answer, giving the unchecked draft as it is written.

        The exchange is on record before the model is called. Closing the stream, or any error,
        is put on record too. Raises `QueryError`, `ModelError`, and what storage raises.
        """
        watch = _Stopwatch()
        result = self.retriever.search(
            asked.question,
            limit=self.settings.passages,
            principal=asked.principal,
            collapse=True,
        )
        embed = _remembering(self.embed)
        near = self._near(asked.question, result, embed)
        sampling = asked.sampling or self.settings.sampling
        rendered = self.drafter.rendered(asked.question, near, instructions=asked.instructions)
        watch.lap("retrieve_s")
        start = self._start(asked, result, rendered, sampling)
        prompt_id = self.history.start(start, principal=asked.principal)
        try:
            draft = NOTHING_WRITTEN
            if rendered:
                draft = yield from self.drafter.draft(rendered, sampling)
            watch.lap("generate_s")
            checked = NOTHING_STANDS
            if near:
                checked = self._checked(draft, asked, result, embed)
            watch.lap("verify_s")
            answer = Answer(
                prompt_id=prompt_id,
                text=checked.text,
                state=checked.state,
                citations=checked.citations,
                usage=draft.usage,
                timings=watch.laps,
                generation=result.generation,
                model=self.drafter.name,
                note=draft.note,
            )
            self.history.complete(prompt_id, _end(answer))
        except (GeneratorExit, KeyboardInterrupt):
            self.history.fail(prompt_id, error="stopped by the reader", status="cancelled")
            raise
        except Exception as error:
            self.history.fail(prompt_id, error=f"{type(error).__name__}: {error}")
            raise
        return answer

    def _near(self, question: str, result: SearchResult, embed: Embed) -> list[Near]:
        """The sentences nearest to an answer, best first; none if there is nothing to go by."""
        if not support_for(question, result.hits, embed=embed).sufficient:
            return []
        return nearest(question, [hit.chunk for hit in result.hits], embed=embed)

    def _checked(self, draft: Draft, asked: Asked, result: SearchResult, embed: Embed) -> Checked:
        passages = [hit.chunk for hit in result.hits]
        grounding = supported(draft.text, question=asked.question, passages=passages, embed=embed)
        texts = self.reader.document_texts(
            {citation.document_id for citation in grounding.citations},
            principal=asked.principal,
            generation=result.generation,
        )
        return standing(grounding, texts)

    def _start(
        self, asked: Asked, result: SearchResult, rendered: str, sampling: Sampling
    ) -> PromptStart:
        return PromptStart(
            question=asked.question,
            user=asked.user,
            session=asked.session,
            parent_id=asked.parent_id,
            collection=self.retriever.collection.name,
            generation=result.generation,
            model=self.drafter.name,
            weights_sha256=self.drafter.weights_sha256,
            template_sha256=TEMPLATE_SHA256,
            rendered=rendered,
            sampling=sampling.as_json(),
            evidence=tuple(_evidence(hit) for hit in result.hits),
        )


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._since, 4)
        self._since = now


def _remembering(embed: Embed) -> Embed:
    """The same vectors, but no text is embedded twice: several steps look at one sentence."""
    known: dict[str, Vectors] = {}

    def remembered(texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, embed(missing), strict=True))
        return np.stack([known[text] for text in texts])

    return remembered


def _evidence(hit: Hit) -> Evidence:
    return Evidence(
        chunk_id=hit.chunk.chunk_id,
        document_id=hit.chunk.document_id,
        rank=hit.rank,
        score=hit.score,
        vector_rank=hit.vector_rank,
        keyword_rank=hit.keyword_rank,
    )


def _end(answer: Answer) -> PromptEnd:
    return PromptEnd(
        answer=answer.text,
        state=answer.state,
        citations=answer.citations,
        usage=answer.usage,
        timings=answer.timings,
    )
