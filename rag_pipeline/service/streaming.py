"""Server-Sent Events: only what was checked is sent, and a sign of life until then."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from rag_pipeline.service.desk import AnswerUnderWay
from rag_pipeline.service.problems import problem_of

KEEP_ALIVE = b": still there\n\n"
DONE = b"data: [DONE]\n\n"
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""JSON leaves them as they are; some readers of events take them for the end of a line."""
_WORDS_A_PIECE = 4
_WORD = re.compile(r"\S+\s*|\s+")

Told = TypeVar("Told")


class EventStream(StreamingResponse):
    """Events as they come, which no cache and no proxy is to hold back."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def event(about: BaseModel | Mapping[str, Any], *, name: str | None = None) -> bytes:
    """One event; fields that a shape was not given are left out."""
    if isinstance(about, BaseModel):
        text = about.model_dump_json(exclude_unset=True)
    else:
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
    text = text.translate(_LINE_ENDS)
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {text}\n\n".encode()


def pieces(text: str) -> Iterator[str]:
    """A few words each; joined, they are `text`."""
    words = _WORD.findall(text)
    for at in range(0, len(words), _WORDS_A_PIECE):
        yield "".join(words[at : at + _WORDS_A_PIECE])


async def checked_events(
    answer: AnswerUnderWay[Told],
    *,
    events: Callable[[Told], Iterable[bytes]],
    failure: Callable[[Exception], Iterable[bytes]],
) -> AsyncIterator[bytes]:
    """Signs of life while an answer is made, then `events` of it; of an error, `failure`."""
    try:
        async for _ in answer.pulses():
            yield KEEP_ALIVE
        told = await answer.told()
    except Exception as error:  # noqa: BLE001 - the status is sent: an event is what is left
        for failed in failure(error):
            yield failed
        return
    for made in events(told):
        yield made


def failure_events(error: Exception) -> Iterator[bytes]:
    """An error after the status was sent, as clients of chats and completions raise it."""
    _, problem = problem_of(error)
    yield event(problem)
    yield DONE
