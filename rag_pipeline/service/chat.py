"""`/v1/chat/completions`, whole and as a stream, in OpenAI's shapes."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.desk import AtDesk
from rag_pipeline.service.models import choice_of
from rag_pipeline.service.questions import (
    Message,
    Question,
    belonging_of,
    conversation_of,
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
    UrlCitation,
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

router = APIRouter(prefix="/v1/chat", tags=["chat"])


class ChatRequest(SamplingGiven):
    """A conversation to answer."""

    only: ClassVar[dict[str, tuple[object, ...]]] = {
        "n": (1,),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "functions": ([],),
        "function_call": ("none", "auto"),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "logit_bias": ({},),
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "moderation": (),
        "web_search_options": (),
        "response_format": ({"type": "text"},),
    }

    model: Text
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    user: Text | None = None
    metadata: dict[str, Text] | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with what the answer cost."""
        return bool(self.stream_options and self.stream_options.include_usage)


class Annotation(Shape):
    """A citation, as OpenAI's clients know it."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class ChatMessage(Shape):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class ChatChoice(Shape):
    """The one answer that there is."""

    index: Literal[0] = 0
    message: ChatMessage
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(Shape):
    """An answer, and beside OpenAI's fields what it stands on."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    citations: list[str]
    rag: Grounds


class ChatDelta(Shape):
    """What a chunk adds."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    refusal: None = None
    annotations: list[Annotation] = Field(default_factory=list)


class ChunkChoice(Shape):
    """What a chunk adds to the one answer."""

    index: Literal[0]
    delta: ChatDelta
    logprobs: None
    finish_reason: FinishReason | None


class ChatChunk(Shape):
    """A piece of an answer; fields that say nothing are left out."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    citations: list[str] = Field(default_factory=list)
    rag: Grounds | None = None


@router.post("/completions", response_model=ChatCompletion)
async def complete_chat(
    given: ChatRequest, request: Request, rag: Rag, desk: AtDesk
) -> ChatCompletion | Response:
    """Answer the last message of the user from the documents of the collection that `model` names.

    Only what was checked against the documents is sent, also in a stream: signs of life come first,
    then the text. `citations` and `rag` say what it stands on.
    """
    question = await run_in_threadpool(_question, rag, given, request)
    answer = await desk.begin(lambda: telling(rag, question))
    if not given.stream:
        return _completion(await answer.told())
    await answer.settle()
    return EventStream(
        checked_events(
            answer,
            events=lambda told: _events(told, usage=given.wants_usage),
            failure=failure_events,
        )
    )


def _question(rag: RagPipeline, given: ChatRequest, request: Request) -> Question:
    given.check_offered()
    conversation = conversation_of(given.messages, field="messages")
    return Question(
        text=conversation.question,
        choice=choice_of(rag, given.model),
        earlier=conversation.earlier,
        instructions=conversation.instructions,
        sampling=sampling_of(
            rag, given, max_new_tokens=given.max_completion_tokens or given.max_tokens
        ),
        user=given.user,
        session=session_of(request, given.metadata),
        belongs=belonging_of(request, given.metadata),
        base_url=str(request.base_url),
    )


def _annotations(told: Told) -> list[Annotation]:
    return [Annotation(type="url_citation", url_citation=link) for link in told.links]


def _completion(told: Told) -> ChatCompletion:
    message = ChatMessage(content=told.text, annotations=_annotations(told))
    return ChatCompletion(
        id=_id(told),
        created=told.created,
        model=told.model,
        choices=[ChatChoice(message=message, finish_reason=told.finish_reason)],
        usage=told.usage,
        system_fingerprint=told.fingerprint,
        citations=told.urls,
        rag=told.grounds,
    )


def _id(told: Told) -> str:
    return f"chatcmpl-{told.answer.prompt_id}"


def _events(told: Told, *, usage: bool) -> Iterator[bytes]:
    """The role, the text, how it ended with its citations, and what it cost if that is asked."""
    yield event(_chunk(told, ChatDelta(role="assistant", content="", refusal=None), usage=usage))
    for piece in pieces(told.text):
        yield event(_chunk(told, ChatDelta(content=piece), usage=usage))
    last = _chunk(told, ChatDelta(annotations=_annotations(told)), usage=usage, ends=True)
    yield event(last.model_copy(update={"citations": told.urls, "rag": told.grounds}))
    if usage:
        yield event(_chunk(told, None, usage=True).model_copy(update={"usage": told.usage}))
    yield DONE


def _chunk(told: Told, delta: ChatDelta | None, *, usage: bool, ends: bool = False) -> ChatChunk:
    finish_reason = told.finish_reason if ends else None
    chunk = ChatChunk(
        id=_id(told),
        object="chat.completion.chunk",
        created=told.created,
        model=told.model,
        system_fingerprint=told.fingerprint,
        choices=[]
        if delta is None
        else [ChunkChoice(index=0, delta=delta, logprobs=None, finish_reason=finish_reason)],
    )
    return chunk.model_copy(update={"usage": None}) if usage else chunk
