"""Answers a question from the documents, says which parts it used, and keeps a record of it all.

The model only drafts. Whether there is anything to answer from is decided before it is asked, by
the evidence. After it, its sentence stands if one passage supports it and that passage is among
those that come nearest to the question; if not, the nearest sentences themselves are the answer,
word for word. So every sentence of an answer has its source, and without one it says so.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.sentences import sentences
from rag_pipeline.generation.claims import claim_in
from rag_pipeline.generation.evidence import Embed, support_for
from rag_pipeline.generation.extraction import (
    Near,
    has_what_is_asked,
    in_reading_order,
    nearest,
    quoted,
)
from rag_pipeline.generation.grounding import Grounding, ground, verify
from rag_pipeline.generation.language_model import Completion, LanguageModel, Sampling
from rag_pipeline.generation.prompt import SYSTEM, TEMPLATE_SHA256, begun, user_turn
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.retrieval.search import Retriever, SearchResult
from storage.history import History
from storage.outline import heading_path, page_at
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
    StoredText,
    Vectors,
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
            asked.question,
            limit=self.settings.passages,
            principal=asked.principal,
            collapse=True,
        )
        embed = _remembering(self.embed)
        near = self._near(asked.question, result, embed)
        rendered = self._rendered(asked.question, near)
        watch.lap("retrieve_s")
        start = self._start(asked, result, rendered)
        prompt_id = self.history.start(start, principal=asked.principal)
        try:
            draft, completion = "", _NOTHING_WRITTEN
            if near:
                draft, completion = yield from self._draft(rendered)
            watch.lap("generate_s")
            grounding = _supported(draft, asked.question, result, embed) if near else _NOTHING_SAID
            checked = _standing(grounding, self._cited_texts(grounding, result, asked.principal))
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

    def _near(self, question: str, result: SearchResult, embed: Embed) -> list[Near]:
        """The sentences nearest to an answer, best first; none if there is nothing to go by."""
        if not support_for(question, result.hits, embed=embed).sufficient:
            return []
        return nearest(question, [hit.chunk for hit in result.hits], embed=embed)

    def _rendered(self, question: str, near: Sequence[Near]) -> str:
        """The prompt, or nothing if the model is not to be asked."""
        if not near:
            return ""
        shown = in_reading_order(self._fitting(near[: self.settings.sentences]))
        return begun(self.model.render(SYSTEM, user_turn(question, shown)))

    def _fitting(self, near: Sequence[Near]) -> list[Near]:
        """The best sentences that fit into the budget of tokens; the first in any case."""
        room = self.settings.shown_tokens
        shown: list[Near] = []
        for found in near:
            room -= self.model.count_tokens(found.span.text)
            if room < 0 and shown:
                break
            shown.append(found)
        return shown

    def _draft(self, rendered: str) -> Generator[str, None, tuple[str, Completion]]:
        """One sentence: a small model's second one is rarely about the question."""
        stream = self.model.generate(rendered, sampling=self._sampling())
        text = ""
        while len(sentences(text)) <= 1:
            try:
                piece = next(stream)
            except StopIteration as ended:
                return _tidied(text), ended.value
            text += piece
            yield piece
        stream.close()
        completion = Completion(
            prompt_tokens=self.model.count_tokens(rendered),
            completion_tokens=self.model.count_tokens(text),
            finish_reason="stop",
        )
        return _tidied(text), completion

    def _cited_texts(
        self, grounding: Grounding, result: SearchResult, principal: Principal
    ) -> dict[DocumentId, StoredText]:
        return self.reader.document_texts(
            {citation.document_id for citation in grounding.citations},
            principal=principal,
            generation=result.generation,
        )

    def _sampling(self) -> Sampling:
        return Sampling(
            max_new_tokens=self.settings.max_new_tokens,
            temperature=self.settings.temperature,
            top_p=self.settings.top_p,
            seed=self.settings.seed,
        )

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


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._since, 4)
        self._since = now


_NOTHING_SAID = Grounding(answer="", sentences=())
_NOTHING_WRITTEN = Completion(prompt_tokens=0, completion_tokens=0, finish_reason="stop")


def _remembering(embed: Embed) -> Embed:
    """The same vectors, but no text is embedded twice: several steps look at one sentence."""
    known: dict[str, Vectors] = {}

    def remembered(texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, embed(missing), strict=True))
        return np.stack([known[text] for text in texts])

    return remembered


def _tidied(draft: str) -> str:
    """The first sentence of what was written after the begun answer, with a capital letter."""
    first = next((draft[start:end] for start, end in sentences(draft)), "")
    return first[:1].upper() + first[1:]


def _supported(draft: str, question: str, result: SearchResult, embed: Embed) -> Grounding:
    """The draft if it stands and answers from where the answer should be, else quotations.

    Also a draft that does not stand says what an answer would look like, and so helps to find it
    (HyDE: Gao et al., ACL 2023, arXiv:2212.10496), unless it lacks what was asked for.
    """
    passages = [hit.chunk for hit in result.hits]
    if not has_what_is_asked(question, claim_in(question), claim_in(draft)):
        return quoted(nearest(question, passages, embed=embed))
    quotations = quoted(nearest(f"{question} {draft}", passages, embed=embed))
    grounding = ground(draft, question=question, passages=passages)
    is_near = any(
        _overlap(given, expected)
        for given in grounding.citations
        for expected in quotations.citations
    )
    return grounding if grounding.state == "grounded" and is_near else quotations


def _overlap(one: Citation, other: Citation) -> bool:
    """Whether both quote some of the same characters."""
    same = one.document_id == other.document_id
    return same and one.start < other.end and other.start < one.end


def _standing(grounding: Grounding, texts: Mapping[DocumentId, StoredText]) -> _Checked:
    """The supported sentences alone, each citation checked once more against its document."""
    kept: list[str] = []
    citations: list[Citation] = []
    length = 0
    for sentence in grounding.sentences:
        citation = _located(sentence.citation, texts)
        if citation is None:
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


def _located(citation: Citation | None, texts: Mapping[DocumentId, StoredText]) -> Citation | None:
    """The citation, if its quote stands in the document, with the page and headings of its place
    in that very text."""
    found = None if citation is None else texts.get(citation.document_id)
    if citation is None or found is None or not verify(citation, found.text, 0):
        return None
    return replace(
        citation,
        page=page_at(found.outline, citation.start),
        headings=heading_path(found.outline, citation.start),
    )


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
