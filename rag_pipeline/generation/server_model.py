"""A language model on a server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, or ours."""

import threading
from collections.abc import Generator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

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
    UNSTATED_CONTEXT,
    as_messages,
    estimated_tokens,
    from_messages,
    name_sha256,
)
from rag_pipeline.generation.retrying import Patience, retried
from rag_pipeline.generation.server_connection import (
    Chunk,
    ServedModel,
    ServerConnection,
    Usage,
    checked_key,
    checked_url,
)
from rag_pipeline.generation.settings import ServerSettings

_STOP_STRINGS = 4
"""That the protocol takes; the others are looked for here."""
_CHARACTERS_PER_TOKEN = 32
"""No token has so many: a server that writes more does not heed the limit on tokens."""
_CONTINUING = {"add_generation_prompt": False, "continue_final_message": True}
"""How vLLM is told to go on with the last message; others do so unasked, or not at all."""


class ServerModel:
    """One model of a server. Nothing is asked of it before it is needed."""

    estimates_tokens: Literal[True] = True

    def __init__(self, url: str, settings: ServerSettings) -> None:
        self._settings = settings
        self._connection = ServerConnection(
            url=checked_url(url),
            api_key=checked_key(settings.api_key),
            timeout_s=settings.timeout_s,
            connect_s=settings.connect_s,
        )
        self._patience = Patience(attempts=settings.attempts, longest_asked_s=settings.timeout_s)
        self._looking = threading.Lock()
        self._seen: ServedModel | None = None

    @property
    def name(self) -> str:
        """What the server calls it; its address for as long as that is not known."""
        if self._settings.model is not None:
            return self._settings.model
        return self._seen.id if self._seen else self._connection.url

    @property
    def weights_sha256(self) -> str:
        """A hash of the server's address and the model's name, for its weights can't be seen."""
        return name_sha256(self._connection.url, self.name)

    @property
    def context_tokens(self) -> int:
        """As set, else as the server says.

        Raises `GeneratorUnavailableError`, and `GeneratorRefusedError` if the server has several
        models, or none.
        """
        if self._settings.context_tokens is not None:
            return self._settings.context_tokens
        return self._served().context_tokens or UNSTATED_CONTEXT

    def count_tokens(self, text: str) -> int:
        """An estimate: the server's tokenizer can't be seen."""
        return estimated_tokens(text)

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The messages in JSON, as they are sent."""
        return as_messages(turns, begun=begun if self._settings.continues else "")

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Stream an answer; the server is asked when the stream is first read.

        Then it raises what `context_tokens` raises, `GenerationError` for what the server does not
        take, and `GeneratorUnavailableError` also in the middle, where it breaks off.
        """
        return self._stream(rendered, from_messages(rendered), sampling)

    def close(self) -> None:
        """Give back the connections to the server."""
        self._connection.close()

    def _stream(self, rendered: str, turns: Sequence[Turn], sampling: Sampling) -> TextStream:
        answer = _Answer(sampling)
        chunks = self._chunks(self._request(rendered, turns, sampling))
        try:
            for chunk in chunks:
                piece = answer.take(chunk)
                if piece:
                    yield piece
                if answer.ended:
                    break
        finally:
            chunks.close()
        if rest := answer.rest():
            yield rest
        return self._completion(rendered, answer)

    def _request(
        self, rendered: str, turns: Sequence[Turn], sampling: Sampling
    ) -> Mapping[str, Any]:
        room = self.context_tokens - estimated_tokens(rendered)
        request = {
            "model": self._settings.model or self._served().id,
            "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
            "max_tokens": max(1, min(sampling.max_new_tokens, room)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stream_options": {"include_usage": True},
        }
        if sampling.stop:
            request["stop"] = [*sampling.stop[:_STOP_STRINGS]]
        if turns[-1].role == "assistant":
            request["extra_body"] = _CONTINUING
        return request

    def _chunks(self, request: Mapping[str, Any]) -> Generator[Chunk, None, None]:
        """The pieces of an answer; until the first one with text the server is asked again."""
        first, rest = retried(lambda: _begun(self._connection.chat(request)), self._patience)
        try:
            yield from chain(first, rest)
        finally:
            rest.close()

    def _completion(self, rendered: str, answer: "_Answer") -> Completion:
        said: FinishReason = "length" if answer.finish_reason == "length" else "stop"
        if answer.usage is not None and answer.ended is None:
            return Completion(
                prompt_tokens=answer.usage.prompt_tokens,
                completion_tokens=answer.usage.completion_tokens,
                finish_reason=said,
            )
        if answer.finish_reason is None and answer.ended is None:
            raise GeneratorUnavailableError(
                f"The generator's server at {self._connection.url} broke off in its answer."
            )
        return Completion(
            prompt_tokens=estimated_tokens(rendered),
            completion_tokens=estimated_tokens(answer.text),
            finish_reason=answer.ended or said,
            estimated=True,
        )

    def _served(self) -> ServedModel:
        """The model as the server lists it, asked once."""
        with self._looking:
            if self._seen is None:
                models = retried(self._connection.models, self._patience)
                self._seen = self._chosen(models)
            return self._seen

    def _chosen(self, models: Sequence[ServedModel]) -> ServedModel:
        wanted = self._settings.model
        if wanted is not None:
            # It may be known by more names than are listed: whoever is asked for it will say.
            return next((model for model in models if model.id == wanted), ServedModel(id=wanted))
        if len(models) == 1:
            return models[0]
        listed = ", ".join(repr(model.id) for model in models[:10]) or "none"
        raise GeneratorRefusedError(
            f"The generator's server at {self._connection.url} lists these models: {listed}. Name"
            " one as generation.server.model; the address mostly ends in /v1."
        )


class _Answer(GrowingText):
    """An answer as it grows, and what the server says of its end."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(sampling, longest=sampling.max_new_tokens * _CHARACTERS_PER_TOKEN)
        self.finish_reason: str | None = None
        self.usage: Usage | None = None

    def take(self, chunk: Chunk) -> str:
        """What can be shown now that `chunk` has come."""
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        return self.add(chunk.text)


def _begun(
    chunks: Generator[Chunk, None, None],
) -> tuple[Sequence[Chunk], Generator[Chunk, None, None]]:
    """The chunks up to the first one with text, and those that follow."""
    first: list[Chunk] = []
    for chunk in chunks:
        first.append(chunk)
        if chunk.text or chunk.finish_reason:
            break
    return first, chunks
