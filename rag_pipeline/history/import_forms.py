"""Conversations of other programs as exchanges of ours.

What nobody here has answered rests on no evidence of ours: nothing of it was checked, so its state
is `no_evidence`, and its generation 0. The id of an exchange is made of its time and its words, so
that the same file gives the same ids.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rag_pipeline.history.errors import HistoryError
from storage.prompts.llm_logs import LoggedResponse
from storage.prompts.whole import WholeExchange
from storage.records import Message, MessageRole, PromptId, PromptRecord

UNKNOWN = "unknown"
_STEP = timedelta(milliseconds=1)
_ROLES: Mapping[str, MessageRole] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """Where the exchanges of a file belong, as the file does not say it."""

    user: str
    collection: str
    application: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said, from the first message on."""

    said: tuple[Message, ...]
    model: str


def openai(row: Mapping[str, Any]) -> Conversation:
    """A line of OpenAI's chat form: `{"messages": [{"role", "content"}, …]}`.

    Raises `HistoryError`.
    """
    said = [_message(one, "role", "content") for one in _list(row, "messages")]
    return Conversation(said=tuple(said), model=_model(row))


def sharegpt(row: Mapping[str, Any]) -> Conversation:
    """A conversation of ShareGPT's form: `{"conversations": [{"from", "value"}, …]}`.

    Raises `HistoryError`.
    """
    system = row.get("system")
    first = [Message("system", system)] if isinstance(system, str) and system else []
    said = [_message(one, "from", "value") for one in _list(row, "conversations")]
    return Conversation(said=(*first, *said), model=_model(row))


def exchanges_of(
    conversation: Conversation, begun: datetime, belonging: Belonging
) -> Iterator[WholeExchange]:
    """Each question that was answered, a millisecond after the other; each follows the one before.

    Raises `HistoryError` where there is none.
    """
    parent: PromptId | None = None
    since = 0
    said = conversation.said
    for at, message in enumerate(said):
        if at == 0 or (said[at - 1].role, message.role) != ("user", "assistant"):
            continue
        record = _record(
            belonging,
            asked_at=begun,
            question=said[at - 1].content,
            answer=message.content,
            model=conversation.model,
            key=_key(belonging.user, said[: at + 1]),
        )
        before = sum(one.role != "system" for one in said[: at - 1])
        record = replace(record, parent_id=parent, circumstances={"told": before})
        yield WholeExchange(record=record, said=said[since : at + 1], continues=parent is not None)
        parent, since, begun = record.prompt_id, at + 1, begun + _STEP
    if parent is None:
        raise HistoryError("nothing in it was asked and answered")


def _list(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = row.get(name)
    if not isinstance(found, list):
        raise HistoryError(f"it has no list {name!r}")
    return found


def _message(one: Any, role_name: str, text_name: str) -> Message:
    if not isinstance(one, Mapping):
        raise HistoryError("a message is no object")
    role, text = one.get(role_name), _text(one.get(text_name))
    if not isinstance(role, str) or role not in _ROLES:
        raise HistoryError(f"a message is of {role!r}; only system, user and assistant can be kept")
    if text is None:
        raise HistoryError(f"a message of {role!r} has no text {text_name!r}")
    return Message(_ROLES[role], text)


def _text(content: Any) -> str | None:
    """Of a text, or of the parts of one as OpenAI has them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    given = [one.get("text") if isinstance(one, Mapping) else None for one in content]
    parts = [part for part in given if isinstance(part, str)]
    return "\n".join(parts) if parts and len(parts) == len(given) else None


def _model(row: Mapping[str, Any]) -> str:
    model = row.get("model")
    return model if isinstance(model, str) and model.strip() else UNKNOWN


def _key(user: str, said: Sequence[Message]) -> str:
    digest = hashlib.sha256(f"{user}\n".encode())
    for message in said:
        digest.update(f"{len(message.content)} {message.role}\n{message.content}\n".encode())
    return digest.hexdigest()


def _record(
    belonging: Belonging,
    *,
    asked_at: datetime,
    question: str,
    answer: str,
    model: str,
    key: str,
) -> PromptRecord:
    milliseconds = int(asked_at.timestamp() * 1000)
    return PromptRecord(
        prompt_id=PromptId(f"{milliseconds:012x}{key[:12]}"),
        parent_id=None,
        session=None,
        user=belonging.user,
        question=question,
        answer=answer,
        status="completed",
        state="no_evidence",
        error=None,
        created_at=asked_at,
        completed_at=asked_at,
        collection=belonging.collection,
        generation=0,
        model=model,
        weights_sha256="",
        template_sha256="",
        rendered="",
        sampling={},
        application=belonging.application,
    )


class LoggedExchanges:
    """Responses of the program `llm`, in order, as exchanges that follow each other."""

    def __init__(self, belonging: Belonging) -> None:
        self._belonging = belonging
        self._last: dict[str, tuple[PromptId, str | None, int]] = {}
        """By conversation: the last exchange, its instruction, and how much was said."""

    def exchange(self, logged: LoggedResponse) -> WholeExchange:
        """Raises `HistoryError` where it lacks a text, `InvalidRecordError` for its time."""
        values = logged.values
        question, answer = values["prompt"], values["response"]
        if not isinstance(question, str) or not isinstance(answer, str):
            raise HistoryError("it has no text that was asked, or none that was answered")
        key = hashlib.sha256(f"llm {values['id']}".encode()).hexdigest()
        record = _record(
            self._belonging,
            asked_at=logged.asked_at,
            question=question,
            answer=answer,
            model=str(values["model"] or UNKNOWN),
            key=key,
        )
        return self._following(_measured(record, values), values)

    def _following(self, record: PromptRecord, values: Mapping[str, Any]) -> WholeExchange:
        conversation = values["conversation_id"]
        system = values["system"] if isinstance(values["system"], str) else None
        parent, instruction, told = self._last.get(str(conversation), (None, None, 0))
        is_new = bool(system) and system != instruction
        first = [Message("system", system)] if system and is_new else []
        asked, said = Message("user", record.question), Message("assistant", record.answer or "")
        if conversation is not None:
            self._last[str(conversation)] = (record.prompt_id, system, told + 2)
        return WholeExchange(
            record=replace(
                record,
                parent_id=parent,
                session=None if conversation is None else str(conversation),
                circumstances={"told": told},
            ),
            said=(*first, asked, said),
            continues=parent is not None,
        )


def _measured(record: PromptRecord, values: Mapping[str, Any]) -> PromptRecord:
    """With the tokens and the time that it took, where they are logged."""
    read, written, took = (
        values[name] for name in ("input_tokens", "output_tokens", "duration_ms")
    )
    if isinstance(read, int) and isinstance(written, int):
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        record = replace(record, usage=usage)
    if isinstance(took, int) and took >= 0:
        ended = record.created_at + timedelta(milliseconds=took)
        record = replace(record, seconds=took / 1000, completed_at=ended)
    return record
