"""`/api/ask`: the same JSON as `rag ask --json`, or events of it for a page."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field

from ingest.sentences import sentences
from rag_pipeline.defaults import DEFAULT_COLLECTION, Origins
from rag_pipeline.generation.answer_json import answer_json
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.desk import AnswerUnderWay, AtDesk
from rag_pipeline.service.models import Choice
from rag_pipeline.service.problems import problem_of
from rag_pipeline.service.questions import (
    Belonging,
    Question,
    checked_length,
    idempotency_key_of,
    sampling_of,
    session_of,
)
from rag_pipeline.service.shapes import Given, SamplingGiven, Shape, Text, Tokens
from rag_pipeline.service.streaming import KEEP_ALIVE, EventStream, event
from rag_pipeline.service.telling import Told, telling
from storage.prompts.tags import MAX_TAGS

router = APIRouter(prefix="/api/ask", tags=["ask"])


class Said(Given):
    """What one side said before."""

    role: Literal["user", "assistant"]
    text: Text


class AskRequest(SamplingGiven):
    """A question, and how it is to be answered."""

    question: Text
    collection: Text = DEFAULT_COLLECTION
    extractive: bool = False
    """Answer with sentences of the documents; ask no model."""
    session: Text | None = None
    user: Text | None = None
    parent_id: Text | None = None
    """The exchange that this one follows."""
    earlier: Annotated[list[Said], Field(max_length=200, default_factory=list)]
    instructions: Text = ""
    strict: bool | None = None
    """Leave out sentences that nothing bears out; null: as the settings say."""
    origins: Origins = "real"
    """Which documents it may be answered from."""
    template: Text | None = None
    """NAME or NAME@VERSION of a prompt template; null: as the settings say."""
    application: Text | None = None
    """The program that asks."""
    category: Text | None = None
    tags: Annotated[list[Text], Field(max_length=MAX_TAGS, default_factory=list)]
    """To find it again."""
    max_tokens: Tokens | None = None
    stream: bool = False


class AskAnswer(Shape):
    """An answer and all that it stands on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    prompt_id: str
    answer: str
    state: Literal["grounded", "partial", "no_evidence"]
    citations: list[dict[str, Any]]
    usage: dict[str, int]
    timings: dict[str, float]
    generation: int
    model: str
    note: str | None
    confidence: float


@router.post("", response_model=AskAnswer)
async def ask(given: AskRequest, request: Request, rag: Rag, desk: AtDesk) -> Any:
    """Answer a question from the documents, with citations that were checked.

    With `stream`, events: `status` with a step, `sentence` for each of the checked answer, then
    `answer` with all that is answered without `stream`; or `error`.
    """
    question = await run_in_threadpool(_question, rag, given, request)
    answer = await desk.begin(lambda: telling(rag, question))
    if given.stream:
        return EventStream(_events(answer))
    return answer_json((await answer.told()).answer)


def _question(rag: RagPipeline, given: AskRequest, request: Request) -> Question:
    # Raises `NotFoundError` while there still is a status to answer with.
    rag.parts.reader.collection(given.collection, principal=rag.principal)
    return Question(
        text=checked_length(given.question, field="question"),
        choice=Choice(
            name=given.collection, collection=given.collection, extractive=given.extractive
        ),
        earlier=tuple(Turn(said.role, said.text) for said in given.earlier),
        instructions=given.instructions,
        sampling=sampling_of(rag, given, max_new_tokens=given.max_tokens),
        user=given.user,
        session=given.session or session_of(request, None),
        parent_id=given.parent_id,
        strict=given.strict,
        origins=given.origins,
        template=given.template,
        belongs=Belonging(
            application=given.application,
            category=given.category,
            tags=tuple(given.tags),
            idempotency_key=idempotency_key_of(request),
        ),
        base_url=str(request.base_url),
    )


async def _events(answer: AnswerUnderWay[Told]) -> AsyncIterator[bytes]:
    try:
        yield _status("searching")
        async for _ in answer.begins():
            yield KEEP_ALIVE
        yield _status("writing")
        async for _ in answer.pulses():
            yield KEEP_ALIVE
        told = await answer.told()
    except Exception as error:  # noqa: BLE001 - the status is sent: an event is what is left
        _, problem = problem_of(error)
        yield event(problem, name="error")
        return
    for sentence in _sentences(told.text):
        yield event({"text": sentence}, name="sentence")
    yield event(answer_json(told.answer), name="answer")


def _status(step: Literal["searching", "writing"]) -> bytes:
    return event({"step": step}, name="status")


def _sentences(text: str) -> Iterator[str]:
    """Each sentence with what stands before the next; joined, they are `text`."""
    ends = [*[start for start, _ in sentences(text)][1:], len(text)]
    start = 0
    for end in ends:
        yield text[start:end]
        start = end
