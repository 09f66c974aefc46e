"""Any chat model of LangChain as the one that writes a pipeline's answers."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from pydantic import SecretStr

from rag_pipeline.errors import GeneratorRefusedError, GeneratorUnavailableError
from rag_pipeline.generation.growing_text import GrowingText
from rag_pipeline.generation.language_model import (
    GREEDY,
    Completion,
    FinishReason,
    Sampling,
    TextStream,
    Turn,
)
from rag_pipeline.generation.messages import (
    BYTES_PER_TOKEN,
    UNSTATED_CONTEXT,
    as_messages,
    estimated_tokens,
    from_messages,
    name_sha256,
)

_SAID_CHARACTERS = 300
_AT_ITS_LIMIT = frozenset({"length", "max_tokens", "MAX_TOKENS"})
"""What the makers of models call an end at the limit on tokens."""
_REASONS = ("finish_reason", "stop_reason", "done_reason")
_MISTAKES = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)

CallArguments = Callable[[Sampling], Mapping[str, Any]]
"""How the calls of a chat model are told to sample, by the names that it knows."""


def _none(_: Sampling) -> Mapping[str, Any]:
    return {}


class LangChainModel:
    """A chat model that fits the port of generators.

    LangChain has no common names for sampling but for stop strings, so the chat model samples as it
    was made, unless `arguments` says how its calls are told. The limit on tokens is kept here too,
    by an estimate. An answer can't be begun for it.
    """

    estimates_tokens: Literal[True] = True

    def __init__(
        self,
        chat_model: BaseChatModel,
        *,
        context_tokens: int | None = None,
        arguments: CallArguments = _none,
    ) -> None:
        self._chat_model = chat_model
        self._arguments = arguments
        self.name = _name(chat_model)
        self.weights_sha256 = name_sha256(type(chat_model).__qualname__, self.name)
        self.context_tokens = context_tokens or _context_tokens(chat_model)

    def count_tokens(self, text: str) -> int:
        """An estimate: LangChain's own count may ask a hub for a tokenizer."""
        return estimated_tokens(text)

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The messages in JSON."""
        return as_messages(turns)

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Stream an answer; the chat model is asked when the stream is first read.

        Then it raises `GeneratorRefusedError` where the chat model is refused (its key, its name,
        its request), and `GeneratorUnavailableError` for anything else that it raises.
        """
        return self._stream(rendered, _messages(from_messages(rendered)), sampling)

    def _stream(
        self, rendered: str, messages: Sequence[BaseMessage], sampling: Sampling
    ) -> TextStream:
        answer = _Answer(sampling)
        with closing(self._chunks(messages, sampling)) as chunks:
            for chunk in chunks:
                if piece := answer.take(chunk):
                    yield piece
                if answer.ended:
                    break
        if rest := answer.rest():
            yield rest
        return answer.completion(rendered)

    def _chunks(
        self, messages: Sequence[BaseMessage], sampling: Sampling
    ) -> Generator[AIMessage, None, None]:
        stream = self._chat_model.stream(
            [*messages], stop=[*sampling.stop] or None, **self._arguments(sampling)
        )
        try:
            yield from stream
        except Exception as error:  # noqa: BLE001 - each maker's package has its own errors
            raise self._of(error) from None

    def _of(self, error: Exception) -> Exception:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        for secret in _secrets(self._chat_model):
            told = told.replace(secret, "…")
        said = f"The chat model {self.name!r} failed: {told[:_SAID_CHARACTERS].rstrip('.')}."
        if getattr(error, "status_code", None) in _MISTAKES:
            return GeneratorRefusedError(said)
        return GeneratorUnavailableError(said)


class _Answer(GrowingText):
    """An answer as it grows, and what the chat model says of its end."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(sampling, longest=sampling.max_new_tokens * BYTES_PER_TOKEN)
        self.usage: UsageMetadata | None = None
        self.finish_reason: FinishReason = "stop"

    def take(self, chunk: AIMessage) -> str:
        """What can be shown now that `chunk` has come."""
        if chunk.usage_metadata is not None:
            self.usage = add_usage(self.usage, chunk.usage_metadata)
        if any(chunk.response_metadata.get(name) in _AT_ITS_LIMIT for name in _REASONS):
            self.finish_reason = "length"
        return self.add(str(chunk.text))

    def completion(self, rendered: str) -> Completion:
        """How it ended and what it cost; by an estimate where the chat model doesn't say."""
        if self.usage is not None and self.ended is None:
            return Completion(
                prompt_tokens=self.usage["input_tokens"],
                completion_tokens=self.usage["output_tokens"],
                finish_reason=self.finish_reason,
            )
        return Completion(
            prompt_tokens=estimated_tokens(rendered),
            completion_tokens=estimated_tokens(self.text),
            finish_reason=self.ended or self.finish_reason,
            estimated=True,
        )


def _name(chat_model: BaseChatModel) -> str:
    named = (getattr(chat_model, attribute, None) for attribute in ("model_name", "model"))
    return next((name for name in named if isinstance(name, str) and name), chat_model.get_name())


def _context_tokens(chat_model: BaseChatModel) -> int:
    stated = (chat_model.profile or {}).get("max_input_tokens")
    return stated if isinstance(stated, int) and stated > 0 else UNSTATED_CONTEXT


def _messages(turns: Sequence[Turn]) -> list[BaseMessage]:
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[turn.role](content=turn.text) for turn in turns]


def _secrets(chat_model: BaseChatModel) -> list[str]:
    """The keys that the chat model holds."""
    held = (value for value in vars(chat_model).values() if isinstance(value, SecretStr))
    return [secret for value in held if (secret := value.get_secret_value())]
