"""A checked answer in the shape of OpenAI's responses: the whole object, and the events of one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from rag_pipeline.service.shapes import Grounds, Probability, Shape
from rag_pipeline.service.streaming import event, pieces
from rag_pipeline.service.telling import Told

RESPONSE_PREFIX = "resp_"
"""Before the id of an exchange, that of the response which it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a request said, which a response repeats."""

    instructions: str | None
    max_output_tokens: int | None
    metadata: Mapping[str, str]
    previous_response_id: str | None
    temperature: float | None
    top_p: float | None
    user: str | None


class UrlAnnotation(Shape):
    """Which part of the text stands on what; code points of the text."""

    type: Literal["url_citation"]
    start_index: int
    end_index: int
    title: str
    url: str


class OutputText(Shape):
    """The text of the answer."""

    type: Literal["output_text"]
    text: str
    annotations: list[UrlAnnotation]
    logprobs: list[dict[str, Any]]


class OutputMessage(Shape):
    """The answer."""

    type: Literal["message"]
    id: str
    role: Literal["assistant"]
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[OutputText]


class InputTokensDetails(Shape):
    """How many tokens of a prompt need not be read again."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(Shape):
    """Tokens that are not seen in the answer."""

    reasoning_tokens: int


class ResponseUsage(Shape):
    """Tokens that the model read and wrote."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class IncompleteDetails(Shape):
    """Why an answer was cut."""

    reason: Literal["max_output_tokens"]


class ResponseObject(Shape):
    """An answer, and beside OpenAI's fields what it stands on."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["in_progress", "completed", "incomplete"]
    background: Literal[False]
    error: None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: Literal[False]
    previous_response_id: str | None
    store: Literal[True]
    temperature: Annotated[float, Field(ge=0)] | None
    text: dict[str, Any]
    tool_choice: Literal["none"]
    tools: list[dict[str, Any]]
    top_p: Probability | None
    truncation: Literal["disabled"]
    usage: ResponseUsage | None
    user: str | None
    rag: Grounds | None


def response(wishes: Wishes, told: Told) -> ResponseObject:
    """The whole of it."""
    is_cut = told.finish_reason == "length"
    status: Literal["completed", "incomplete"] = "incomplete" if is_cut else "completed"
    used = told.usage
    return _begun(wishes, told).model_copy(
        update={
            "status": status,
            "completed_at": told.created,
            "incomplete_details": IncompleteDetails(reason="max_output_tokens") if is_cut else None,
            "output": [_message(told, status, [_text(told)])],
            "usage": ResponseUsage(
                input_tokens=used.prompt_tokens,
                input_tokens_details=InputTokensDetails(
                    cached_tokens=used.prompt_tokens_details.cached_tokens, cache_write_tokens=0
                ),
                output_tokens=used.completion_tokens,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
                total_tokens=used.total_tokens,
            ),
            "rag": told.grounds,
        }
    )


def _begun(wishes: Wishes, told: Told) -> ResponseObject:
    """What is said of it before its text."""
    return ResponseObject(
        id=f"{RESPONSE_PREFIX}{told.answer.prompt_id}",
        object="response",
        created_at=told.created,
        completed_at=None,
        status="in_progress",
        background=False,
        error=None,
        incomplete_details=None,
        instructions=wishes.instructions,
        max_output_tokens=wishes.max_output_tokens,
        metadata=dict(wishes.metadata),
        model=told.model,
        output=[],
        parallel_tool_calls=False,
        previous_response_id=wishes.previous_response_id,
        store=True,
        temperature=wishes.temperature,
        text={"format": {"type": "text"}},
        tool_choice="none",
        tools=[],
        top_p=wishes.top_p,
        truncation="disabled",
        usage=None,
        user=wishes.user,
        rag=None,
    )


def _message(
    told: Told, status: Literal["in_progress", "completed", "incomplete"], content: list[OutputText]
) -> OutputMessage:
    return OutputMessage(
        type="message",
        id=f"msg_{told.answer.prompt_id}",
        role="assistant",
        status=status,
        content=content,
    )


def _text(told: Told) -> OutputText:
    return OutputText(
        type="output_text",
        text=told.text,
        annotations=[
            UrlAnnotation(type="url_citation", **link.model_dump()) for link in told.links
        ],
        logprobs=[],
    )


def response_events(wishes: Wishes, told: Told) -> Iterator[bytes]:
    """All events of a text, in OpenAI's order, numbered."""
    for number, (name, about) in enumerate(_steps(wishes, told)):
        yield event({"type": name, "sequence_number": number, **about}, name=name)


def _steps(wishes: Wishes, told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {"response": _begun(wishes, told).model_dump()}
    yield "response.created", begun
    yield "response.in_progress", begun
    opening = _message(told, "in_progress", []).model_dump()
    yield "response.output_item.added", {"output_index": 0, "item": opening}
    yield from _content_steps(told)
    whole = response(wishes, told)
    ended = whole.output[0].model_dump()
    yield "response.output_item.done", {"output_index": 0, "item": ended}
    yield f"response.{whole.status}", {"response": whole.model_dump()}


def _content_steps(told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    at = {"item_id": f"msg_{told.answer.prompt_id}", "output_index": 0, "content_index": 0}
    empty = OutputText(type="output_text", text="", annotations=[], logprobs=[])
    yield "response.content_part.added", {**at, "part": empty.model_dump()}
    for piece in pieces(told.text):
        yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
    part = _text(told).model_dump()
    for number, annotation in enumerate(part["annotations"]):
        about = {"annotation_index": number, "annotation": annotation}
        yield "response.output_text.annotation.added", {**at, **about}
    yield "response.output_text.done", {**at, "text": told.text, "logprobs": []}
    yield "response.content_part.done", {**at, "part": part}
