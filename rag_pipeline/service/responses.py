"""`/v1/responses`, whole and as a stream, in OpenAI's newer shape."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.desk import AtDesk
from rag_pipeline.service.errors import ServiceError, UnknownResponseError
from rag_pipeline.service.models import choice_of
from rag_pipeline.service.problems import problem_of
from rag_pipeline.service.questions import (
    Conversation,
    Message,
    Question,
    belonging_of,
    checked_length,
    conversation_of,
    sampling_of,
    session_of,
)
from rag_pipeline.service.response_objects import (
    RESPONSE_PREFIX,
    ResponseObject,
    Wishes,
    response,
    response_events,
)
from rag_pipeline.service.shapes import (
    Given,
    SamplingGiven,
    Text,
    Tokens,
)
from rag_pipeline.service.streaming import EventStream, checked_events, event
from rag_pipeline.service.telling import telling
from storage.errors import NotFoundError

router = APIRouter(prefix="/v1/responses", tags=["responses"])


class TextFormat(Given):
    """What form the text is to have."""

    type: Literal["text"] = "text"


class TextConfig(Given):
    """How the text is to be; only plain text can be had."""

    format: TextFormat | None = None


class Named(Given):
    """A conversation, by its id."""

    id: Text


class ResponseRequest(SamplingGiven):
    """A question, or a conversation, to answer."""

    only: ClassVar[dict[str, tuple[object, ...]]] = {
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "background": (False,),
        "prompt": (),
        "moderation": (),
        "top_logprobs": (0,),
    }

    model: Text
    input: Text | Annotated[list[Message], Field(min_length=1)]
    instructions: Text | None = None
    max_output_tokens: Tokens | None = None
    previous_response_id: Text | None = None
    conversation: Text | Named | None = None
    metadata: dict[str, Text] | None = None
    stream: bool | None = None
    text: TextConfig | None = None
    user: Text | None = None

    @property
    def wishes(self) -> Wishes:
        """What the response repeats."""
        return Wishes(
            instructions=self.instructions,
            max_output_tokens=self.max_output_tokens,
            metadata=self.metadata or {},
            previous_response_id=self.previous_response_id,
            temperature=self.temperature,
            top_p=self.top_p,
            user=self.user,
        )


@router.post("", response_model=ResponseObject)
async def respond(
    given: ResponseRequest, request: Request, rag: Rag, desk: AtDesk
) -> ResponseObject | Response:
    """Answer from the documents of the collection that `model` names.

    `previous_response_id` names the exchange that this one follows. Only what was checked against
    the documents is sent, also in a stream; `rag` says what it stands on.
    """
    question = await run_in_threadpool(_question, rag, given, request)
    answer = await desk.begin(lambda: telling(rag, question))
    if not given.stream:
        return response(given.wishes, await answer.told())
    await answer.settle()
    return EventStream(
        checked_events(
            answer, events=lambda told: response_events(given.wishes, told), failure=_failure
        )
    )


def _question(rag: RagPipeline, given: ResponseRequest, request: Request) -> Question:
    given.check_offered()
    said = _conversation(given)
    told_to = [text for text in (given.instructions, said.instructions) if text]
    return Question(
        text=said.question,
        choice=choice_of(rag, given.model),
        earlier=said.earlier,
        instructions="\n\n".join(told_to),
        sampling=sampling_of(rag, given, max_new_tokens=given.max_output_tokens),
        user=given.user,
        session=_conversation_id(given) or session_of(request, given.metadata),
        parent_id=_parent_id(rag, given.previous_response_id),
        belongs=belonging_of(request, given.metadata),
        base_url=str(request.base_url),
    )


def _conversation(given: ResponseRequest) -> Conversation:
    if isinstance(given.input, str):
        question = checked_length(given.input, field="input")
        return Conversation(question=question, earlier=(), instructions="")
    return conversation_of(given.input, field="input")


def _conversation_id(given: ResponseRequest) -> str | None:
    if given.conversation is not None and given.previous_response_id is not None:
        raise ServiceError(
            "'conversation' and 'previous_response_id' can't be used together", param="conversation"
        )
    return given.conversation.id if isinstance(given.conversation, Named) else given.conversation


def _parent_id(rag: RagPipeline, previous: str | None) -> str | None:
    """The exchange that a response was. Raises `ServiceError` if there is none of that id."""
    if previous is None:
        return None
    prompt_id = previous.removeprefix(RESPONSE_PREFIX)
    try:
        found = rag.history.show(prompt_id).prompt_id
    except NotFoundError:
        found = None
    if found is None or found != prompt_id:
        raise UnknownResponseError(
            f"there is no response {previous!r}", param="previous_response_id"
        )
    return found


def _failure(error: Exception) -> Iterator[bytes]:
    """An error after the status was sent: as it is documented, and as OpenAI's client raises it."""
    _, problem = problem_of(error)
    said = problem["error"]
    about = {"code": said["code"], "message": said["message"], "param": said["param"]}
    yield event({"type": "error", "sequence_number": 0, **about, **problem}, name="error")
