"""`/v1/completions`: one prompt, one answer, in OpenAI's older shape."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.desk import AtDesk
from rag_pipeline.service.errors import UnsupportedError
from rag_pipeline.service.models import choice_of
from rag_pipeline.service.questions import (
    Question,
    belonging_of,
    checked_length,
    sampling_of,
    session_of,
)
from rag_pipeline.service.shapes import (
    FinishReason,
    Grounds,
    SamplingGiven,
    Shape,
    StreamOptions,
    Text,
    Tokens,
    Usage,
)
from rag_pipeline.service.streaming import (
    DONE,
    EventStream,
    checked_events,
    event,
    failure_events,
    pieces,
)
from rag_pipeline.service.telling import Told, telling

router = APIRouter(prefix="/v1/completions", tags=["completions"])


class CompletionRequest(SamplingGiven):
    """A question to answer."""

    only: ClassVar[dict[str, tuple[object, ...]]] = {
        "n": (1,),
        "best_of": (1,),
        "echo": (False,),
        "suffix": ("",),
        "logprobs": (),
        "logit_bias": ({},),
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
    }

    model: Text
    prompt: Text | list[Text] | list[int] | list[list[int]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    user: Text | None = None

    @property
    def question(self) -> str:
        """The one prompt. Raises `UnsupportedError` for several, or for tokens."""
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) == 1 and isinstance(self.prompt[0], str):
            return self.prompt[0]
        raise UnsupportedError("send one prompt, as text", param="prompt")


class CompletionChoice(Shape):
    """The one answer that there is, or what a chunk adds to it."""

    index: Literal[0] = 0
    text: str
    logprobs: None = None
    finish_reason: FinishReason | None


class Completion(Shape):
    """An answer or a piece of one; fields that say nothing are left out of a piece."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    citations: list[str] = Field(default_factory=list)
    rag: Grounds | None = None


@router.post("", response_model=Completion)
async def complete(
    given: CompletionRequest, request: Request, rag: Rag, desk: AtDesk
) -> Completion | Response:
    """Answer a prompt from the documents of the collection that `model` names."""
    question = await run_in_threadpool(_question, rag, given, request)
    answer = await desk.begin(lambda: telling(rag, question))
    if not given.stream:
        return _whole(await answer.told())
    await answer.settle()
    usage = bool(given.stream_options and given.stream_options.include_usage)
    return EventStream(
        checked_events(
            answer, events=lambda told: _events(told, usage=usage), failure=failure_events
        )
    )


def _question(rag: RagPipeline, given: CompletionRequest, request: Request) -> Question:
    given.check_offered()
    return Question(
        text=checked_length(given.question, field="prompt"),
        choice=choice_of(rag, given.model),
        sampling=sampling_of(rag, given, max_new_tokens=given.max_tokens),
        user=given.user,
        session=session_of(request, None),
        belongs=belonging_of(request),
        base_url=str(request.base_url),
    )


def _whole(told: Told) -> Completion:
    whole = _completion(told, told.text, ends=True)
    return whole.model_copy(
        update={"usage": told.usage, "citations": told.urls, "rag": told.grounds}
    )


def _completion(told: Told, text: str | None, *, ends: bool = False) -> Completion:
    finish_reason = told.finish_reason if ends else None
    choice = CompletionChoice(index=0, text=text or "", logprobs=None, finish_reason=finish_reason)
    return Completion(
        id=f"cmpl-{told.answer.prompt_id}",
        object="text_completion",
        created=told.created,
        model=told.model,
        system_fingerprint=told.fingerprint,
        choices=[] if text is None else [choice],
    )


def _events(told: Told, *, usage: bool) -> Iterator[bytes]:
    for piece in pieces(told.text):
        yield event(_completion(told, piece))
    last = _completion(told, "", ends=True)
    yield event(last.model_copy(update={"citations": told.urls, "rag": told.grounds}))
    if usage:
        yield event(_completion(told, None).model_copy(update={"usage": told.usage}))
    yield DONE
