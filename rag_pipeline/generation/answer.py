"""Answers a question from the documents, says which parts it used, and keeps a record of it all.

The model only drafts. Whether there is anything to answer from is decided before it is asked, by
the evidence; what of its draft stands is decided after it, by the documents. So every sentence of
an answer has its source, and without one it says so.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from rag_pipeline.generation.checking import (
    NOTHING_STANDS,
    Checked,
    standing,
    supported,
    uncited,
)
from rag_pipeline.generation.circumstances import Circumstances, chosen, fingerprint
from rag_pipeline.generation.confidence import Judge, cosines_of, quoting
from rag_pipeline.generation.conversation import (
    LAST_EXCHANGES,
    Rewrite,
    exchanges,
    said,
    standalone,
)
from rag_pipeline.generation.cost import Price, cost
from rag_pipeline.generation.drafting import (
    Draft,
    Drafter,
    DraftStream,
    Extractive,
    Prompted,
    prompted,
)
from rag_pipeline.generation.entailment import EntailmentModel
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.extraction import Near, nearest
from rag_pipeline.generation.guard import Admitted, admitted
from rag_pipeline.generation.language_model import FinishReason, Sampling, Turn
from rag_pipeline.generation.output_filter import Filtered, filtered, safe
from rag_pipeline.generation.prompt import DEFAULT_TEMPLATE, Framing, Template
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.retrieval.query import MAX_QUERY_CHARACTERS, AsOf
from rag_pipeline.retrieval.search import Retriever, SearchResult
from storage.engine import Database
from storage.names import check_name, check_text
from storage.prompts.conversations import chain_to, latest_in_session
from storage.reading import REAL_ONLY, CorpusReader
from storage.records import (
    AnswerState,
    Citation,
    Evidence,
    Hit,
    Message,
    Origin,
    Principal,
    PromptEnd,
    PromptId,
    PromptStart,
    PromptStatus,
    QuestionVector,
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
    strict: bool | None = None
    """Whether sentences without support are left out, or marked; None: as the settings say."""
    origins: frozenset[Origin] = REAL_ONLY
    """What may be evidence."""
    as_of: AsOf | None = None
    """A generation or a time, to answer from the documents as they were then."""
    fence: str | None = None
    """What the passages are fenced with, to ask again exactly what was asked; None: anew."""
    follows: tuple[PromptId, ...] = ()
    """The exchanges on record that `earlier` is of; empty: whoever asks tells it."""
    application: str | None = None
    """The program that asks, as it calls itself."""
    category: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    """The same one from the same user is the same exchange."""


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
    confidence: float = 0.0
    """The chance that it is right; without evidence, that the best sentence would have been."""
    finish_reason: FinishReason = "stop"
    """"length": the model wrote it, and was cut by a limit on tokens."""
    unsupported: tuple[tuple[int, int], ...] = ()
    """Parts of the text, by start and end, that nothing in the documents bears out."""


AnswerStream = Generator[str, None, Answer]
"""The draft, piece by piece as the model writes it; the return value is the checked answer."""


class Recorder(Protocol):
    """Where an exchange is put on record."""

    @property
    def database(self) -> Database:
        """Where the exchanges before it are."""

    def start(self, prompt: PromptStart, *, principal: Principal) -> PromptId:
        """Before the model is called."""

    def complete(self, prompt_id: PromptId, end: PromptEnd) -> None:
        """When the answer is there."""

    def fail(
        self,
        prompt_id: PromptId,
        *,
        error: str,
        status: PromptStatus = "failed",
        timings: Mapping[str, float] | None = None,
        seconds: float | None = None,
    ) -> None:
        """When there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Answers questions from one collection."""

    retriever: Retriever
    reader: CorpusReader
    embed: Embed
    drafter: Drafter
    history: Recorder
    settings: GenerationSettings
    judge: Judge
    template: Template = DEFAULT_TEMPLATE
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By the names of models."""
    rewrite: Rewrite = standalone
    entailment: EntailmentModel | None = None

    def stream(self, asked: Asked) -> AnswerStream:
        """Answer, giving the unchecked draft as it is written.

        The exchange is on record before the model is called. Closing the stream, or any error,
        is put on record too. Raises `QueryError`, `ModelError`, and what storage raises.
        """
        watch = _Stopwatch()
        _check_storable(asked)
        asked = self._in_conversation(asked)
        question = self._standalone(asked)
        result = self.retriever.search(
            question,
            limit=self.settings.passages,
            principal=asked.principal,
            origins=asked.origins,
            collapse=True,
            as_of=asked.as_of,
        )
        embed = _remembering(self.embed)
        allowed = admitted(question, result.hits, is_guarded=self.settings.guard, fence=asked.fence)
        near, chance = self._near(question, allowed.hits, embed)
        sampling = asked.sampling or self.settings.sampling
        framing = Framing(
            template=self.template,
            instructions=asked.instructions,
            fence=allowed.fence,
            earlier=asked.earlier,
        )
        prompt = prompted(
            self.drafter,
            question,
            near,
            framing=framing,
            max_new_tokens=sampling.max_new_tokens,
        )
        watch.lap("retrieve_s")
        start = self._start(asked, question, result, prompt, sampling, framing)
        prompt_id = self.history.start(start, principal=asked.principal)
        try:
            draft = yield from self._shown(prompt.draft(sampling), near)
            watch.lap("generate_s")
            checked = NOTHING_STANDS
            if near:
                checked = self._checked(draft, question, asked, result, allowed, embed)
                chance = self.judge.chance(question, quoting(near, checked.citations), near)
            shown = self._filtered(checked)
            watch.lap("verify_s")
            answer = Answer(
                prompt_id=prompt_id,
                text=shown.text,
                state=self.judge.state(checked.state, chance),
                citations=shown.citations,
                usage=draft.usage,
                timings=watch.laps,
                generation=result.generation,
                model=prompt.drafter.name,
                note=draft.note,
                confidence=round(chance, 4),
                finish_reason=_finish_reason(draft, shown.text),
                unsupported=tuple(uncited(shown.text, shown.citations)),
            )
            end = _end(
                answer,
                checks=allowed.checks(shown.removed),
                seconds=watch.seconds,
                cost=cost(answer.model, answer.usage, self.prices),
            )
            self.history.complete(prompt_id, end)
        except (GeneratorExit, KeyboardInterrupt):
            self._fail(prompt_id, watch, "stopped by the reader", "cancelled")
            raise
        except Exception as error:
            self._fail(prompt_id, watch, f"{type(error).__name__}: {error}", "failed")
            raise
        return answer

    def _fail(
        self, prompt_id: PromptId, watch: "_Stopwatch", error: str, status: PromptStatus
    ) -> None:
        self.history.fail(
            prompt_id, error=error, status=status, timings=watch.laps, seconds=watch.seconds
        )

    def _in_conversation(self, asked: Asked) -> Asked:
        """`asked` with what was said before it, where it names an exchange or a session.

        Raises `NotFoundError` for an exchange that may not be read.
        """
        database, principal = self.history.database, asked.principal
        if asked.parent_id is not None:
            before = chain_to(database, asked.parent_id, principal=principal, limit=LAST_EXCHANGES)
        elif asked.session is not None:
            before = latest_in_session(
                database,
                asked.session,
                user=asked.user,
                principal=principal,
                limit=LAST_EXCHANGES,
            )
        else:
            return asked
        last = before[-1].prompt_id if before else None
        if asked.earlier:
            return replace(asked, parent_id=last)
        follows = tuple(record.prompt_id for record in before)
        return replace(asked, parent_id=last, earlier=said(before), follows=follows)

    def _standalone(self, asked: Asked) -> str:
        """The question by itself; as it was asked where that is too long to be searched for."""
        question = self.rewrite(asked.question, exchanges(asked.earlier))
        return question if len(question) <= MAX_QUERY_CHARACTERS else asked.question

    def _near(self, question: str, hits: Sequence[Hit], embed: Embed) -> tuple[list[Near], float]:
        """The sentences nearest to an answer, best first, and the chance that the best is right;
        no sentences if that is too small."""
        chunks = [hit.chunk for hit in hits]
        near = nearest(question, chunks, embed=embed, cosines=cosines_of(hits))
        chance = self.judge.chance(question, near[:1], near)
        return (near if self.judge.is_enough(chance) else []), chance

    def _shown(self, draft: DraftStream, near: Sequence[Near]) -> DraftStream:
        """The draft as it may be shown while it is written."""
        if not self.settings.guard:
            return draft
        return safe(draft, [found.span.text for found in near])

    def _filtered(self, checked: Checked) -> Filtered:
        """What is said in the end."""
        if not self.settings.guard:
            return Filtered(checked.text, checked.citations, ())
        return filtered(checked.text, checked.citations)

    def _checked(
        self,
        draft: Draft,
        question: str,
        asked: Asked,
        result: SearchResult,
        allowed: Admitted,
        embed: Embed,
    ) -> Checked:
        is_strict = self.settings.strict if asked.strict is None else asked.strict
        grounding = supported(
            draft.text,
            question=question,
            passages=[hit.chunk for hit in allowed.hits],
            embed=embed,
            cosines=cosines_of(allowed.hits),
            is_strict=is_strict,
            entailment=self.entailment,
        )
        texts = self.reader.document_texts(
            {citation.document_id for citation in grounding.citations},
            principal=asked.principal,
            generation=result.generation,
        )
        return standing(grounding, texts, is_strict=is_strict)

    def _start(
        self,
        asked: Asked,
        question: str,
        result: SearchResult,
        prompt: Prompted,
        sampling: Sampling,
        framing: Framing,
    ) -> PromptStart:
        return PromptStart(
            question=asked.question,
            standalone=None if question == asked.question else question,
            user=asked.user,
            session=asked.session,
            parent_id=asked.parent_id,
            collection=self.retriever.collection.name,
            generation=result.generation,
            model=prompt.drafter.name,
            weights_sha256=prompt.drafter.weights_sha256,
            template_sha256=self.template.sha256,
            template_id=self.template.template_id,
            system=prompt.drafter.system(framing),
            earlier=() if asked.follows else _messages(asked.earlier),
            application=asked.application,
            category=asked.category,
            tags=asked.tags,
            idempotency_key=asked.idempotency_key,
            rendered=prompt.rendered,
            sampling=sampling.as_json(),
            evidence=tuple(_evidence(hit) for hit in result.hits),
            circumstances=self._circumstances(asked, framing.fence).as_json(),
            question_vector=self._question_vector(result),
        )

    def _question_vector(self, result: SearchResult) -> QuestionVector | None:
        """What the search found the passages by: nothing is embedded for it."""
        space = self.retriever.collection.space
        if space is None or result.vector is None:
            return None
        return QuestionVector(text=result.query, space=space, vector=result.vector)

    def _circumstances(self, asked: Asked, fence: str) -> Circumstances:
        retrieval, space = self.retriever.settings, self.retriever.collection.space
        return Circumstances(
            principal=asked.principal,
            extractive=isinstance(self.drafter, Extractive),
            strict=self.settings.strict if asked.strict is None else asked.strict,
            origins=asked.origins,
            instructions=asked.instructions,
            fence=fence,
            follows=asked.follows,
            told=0 if asked.follows else len(asked.earlier),
            settings=chosen(self.settings, retrieval),
            settings_sha256=fingerprint(self.settings, retrieval, self.judge, space),
        )


def _finish_reason(draft: Draft, text: str) -> FinishReason:
    """How the draft ended, where it is what is said; whole sentences stand in for it otherwise."""
    return draft.completion.finish_reason if draft.text == text else "stop"


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = self._since = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return round(time.perf_counter() - self._began, 4)

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


def _check_storable(asked: Asked) -> None:
    """Before any work. Raises `InvalidRecordError` for what could not be put on record."""
    for text, what in ((asked.question, "the question"), (asked.instructions, "the instruction")):
        check_text(text, what)
    for name, what in ((asked.user, "a user"), (asked.session, "a session")):
        check_name(name, what)


def _messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    return tuple(Message(turn.role, turn.text) for turn in turns)


def _end(
    answer: Answer, *, checks: Mapping[str, Any] | None, seconds: float, cost: float | None
) -> PromptEnd:
    return PromptEnd(
        answer=answer.text,
        state=answer.state,
        citations=answer.citations,
        usage=answer.usage,
        timings=answer.timings,
        confidence=answer.confidence,
        checks=checks,
        seconds=seconds,
        cost=cost,
        finish_reason=answer.finish_reason,
        note=answer.note,
    )
