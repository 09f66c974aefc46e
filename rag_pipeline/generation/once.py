"""One answer for one idempotency key, however often it is asked for."""

from collections.abc import Callable

from rag_pipeline.generation.answer import Answer, AnswerStream, Asked
from rag_pipeline.generation.checking import uncited
from storage.errors import AlreadyAskedError
from storage.history import History
from storage.records import PromptRecord


def answered_once(
    asked: Asked, stream: Callable[[], AnswerStream], *, history: History, collection: str
) -> AnswerStream:
    """The answer that is on record under the key of `asked`, or else that of `stream`.

    Raises `AlreadyAskedError` while the answer is under way, `IdempotencyKeyError` for a key of
    another question, and whatever the stream raises.
    """
    known = _recorded(asked, history, collection)
    if known is not None:
        return known
    try:
        return (yield from stream())
    except AlreadyAskedError:
        # Somebody else was first, and may be done by now.
        known = _recorded(asked, history, collection)
        if known is None:
            raise
        return known


def _recorded(asked: Asked, history: History, collection: str) -> Answer | None:
    if asked.idempotency_key is None:
        return None
    record = history.answered_under(
        asked.idempotency_key,
        user=asked.user,
        question=asked.question,
        collection=collection,
        principal=asked.principal,
    )
    return None if record is None else answer_on_record(record)


def answer_on_record(record: PromptRecord) -> Answer:
    """The answer as it was given then, of a completed exchange with its citations."""
    assert record.answer is not None
    assert record.state is not None
    return Answer(
        prompt_id=record.prompt_id,
        text=record.answer,
        state=record.state,
        citations=record.citations,
        usage=record.usage,
        timings=record.timings,
        generation=record.generation,
        model=record.model,
        note=record.note,
        confidence=record.confidence or 0.0,
        finish_reason=record.finish_reason or "stop",
        unsupported=tuple(uncited(record.answer, record.citations)),
    )
