"""What a request asks: the question, what was said before, and how it is to be answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fastapi import Request

from rag_pipeline.defaults import Origins
from rag_pipeline.generation.language_model import Sampling, Turn
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.query import MAX_QUERY_CHARACTERS
from rag_pipeline.service.errors import ServiceError, TooLongError, UnsupportedError
from rag_pipeline.service.models import Choice
from rag_pipeline.service.shapes import Given, SamplingGiven, Text

_LEAST_TOP_P = 1e-6
"""What 0 means to others: the likeliest token alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """Where an exchange belongs, on record."""

    application: str | None = None
    category: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    """The same one from the same user is the same exchange."""


NOWHERE = Belonging()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one collection."""

    text: str
    choice: Choice
    earlier: tuple[Turn, ...] = ()
    instructions: str = ""
    sampling: Sampling | None = None
    user: str | None = None
    session: str | None = None
    parent_id: str | None = None
    strict: bool | None = None
    """Whether sentences without support are left out; None: as the settings say."""
    origins: Origins = "real"
    """Which documents it may be answered from."""
    template: str | None = None
    """A prompt template; None: as the settings say."""
    belongs: Belonging = NOWHERE
    base_url: str
    """Of this service, as the client knows it; ends with a slash."""


class Part(Given):
    """A part of what was said; only text can be read."""

    type: str
    text: Text | None = None


class Message(Given):
    """What one side said."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[Part] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages, sorted by what they are to us."""

    question: str
    earlier: tuple[Turn, ...]
    instructions: str


_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})


def conversation_of(messages: Sequence[Message], *, field: str) -> Conversation:
    """The last that the user said is the question; what the system said holds for the answer.

    Raises `UnsupportedError` for what is no text, `ServiceError` where the user said nothing.
    """
    texts = [_text_of(message, f"{field}[{at}]") for at, message in enumerate(messages)]
    asked = [at for at, message in enumerate(messages) if message.role == "user"]
    if not asked:
        raise ServiceError(f"{field!r} holds no message of role 'user' to answer", param=field)
    said = zip(messages[: asked[-1]], texts, strict=False)
    return Conversation(
        question=checked_length(texts[asked[-1]], field=field),
        earlier=tuple(
            Turn(message.role, text)
            for message, text in said
            if (message.role == "user" or message.role == "assistant") and text
        ),
        instructions="\n\n".join(
            text
            for message, text in zip(messages, texts, strict=True)
            if message.role in ("system", "developer") and text
        ),
    )


def checked_length(question: str, *, field: str) -> str:
    """The same. Raises `TooLongError` for more than can be searched for."""
    if len(question) > MAX_QUERY_CHARACTERS:
        raise TooLongError(
            f"the question has {len(question)} characters; ask in at most {MAX_QUERY_CHARACTERS}",
            param=field,
        )
    return question


def _text_of(message: Message, field: str) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    for at, part in enumerate(message.content):
        if part.type not in _TEXT_PARTS:
            raise UnsupportedError(
                f"a part of type {part.type!r} can't be read here; send text",
                param=f"{field}.content[{at}].type",
            )
    return "\n".join(part.text for part in message.content if part.text)


def sampling_of(rag: RagPipeline, given: SamplingGiven, *, max_new_tokens: int | None) -> Sampling:
    """How the model is to choose its words: as the settings say, but for what is given."""
    usual = rag.settings.generation.sampling
    return replace(
        usual,
        max_new_tokens=usual.max_new_tokens if max_new_tokens is None else max_new_tokens,
        temperature=usual.temperature if given.temperature is None else given.temperature,
        top_p=usual.top_p if given.top_p is None else max(given.top_p, _LEAST_TOP_P),
        seed=usual.seed if given.seed is None else given.seed,
        stop=given.stop_strings,
    )


def belonging_of(request: Request, metadata: Mapping[str, str] | None = None) -> Belonging:
    """Where a request says that it belongs, in its metadata (tags between commas), and the key of
    its `Idempotency-Key` header."""
    said = metadata or {}
    tags = (tag.strip() for tag in said.get("tags", "").split(","))
    return Belonging(
        application=said.get("application"),
        category=said.get("category"),
        tags=tuple(tag for tag in tags if tag),
        idempotency_key=idempotency_key_of(request),
    )


def idempotency_key_of(request: Request) -> str | None:
    """What a client calls this request, however often it sends it."""
    return request.headers.get("idempotency-key")


def session_of(request: Request, metadata: dict[str, str] | None) -> str | None:
    """The conversation that a request names, in its metadata or in a header."""
    return (metadata or {}).get("session") or request.headers.get("x-session") or None
