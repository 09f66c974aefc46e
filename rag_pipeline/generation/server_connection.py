"""A server that speaks OpenAI's protocol, through the `openai` client: what it says, as values of
ours, and what goes wrong with it, as errors of ours.

Servers differ in what they leave out and add, so only what is needed is read, and all of it is
checked. A key is shown to the server alone: it stands in no message and in no error.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from rag_pipeline.errors import (
    ContextLengthError,
    GenerationError,
    GeneratorRefusedError,
    GeneratorUnavailableError,
    SettingsError,
)
from rag_pipeline.generation.retrying import TryAgainError, retry_after_s

if TYPE_CHECKING:
    from openai import APIError, APIStatusError, OpenAI

_SAID_CHARACTERS = 300
"""Of what a server says of an error, at most."""
_BUSY = frozenset({408, 409, 429})
_NOT_OFFERED = frozenset({404, 405, 500, 501})
"""How servers answer who asks for a list of models that they don't have, or can't make."""
_NO_KEY = "none"
"""The client wants one; it is not sent."""


class Delta(BaseModel):
    """What a piece adds to an answer."""

    content: str | None = None


class Choice(BaseModel):
    """The one answer that was asked for."""

    delta: Delta | None = None
    finish_reason: str | None = None


class Usage(BaseModel):
    """What an answer cost, as the server counted it."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Chunk(BaseModel):
    """A piece of an answer."""

    choices: list[Choice] | None = None
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """What it adds to the answer; often nothing."""
        delta = self.choices[0].delta if self.choices else None
        return (delta.content if delta else None) or ""

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ends here, if it does."""
        return self.choices[0].finish_reason if self.choices else None


class _Meta(BaseModel):
    n_ctx: int | None = None


class ServedModel(BaseModel):
    """A model that a server has, with its context as vLLM, OpenRouter or llama.cpp state it."""

    id: str
    max_model_len: int | None = None
    context_length: int | None = None
    meta: _Meta | None = None

    @property
    def context_tokens(self) -> int | None:
        """The most tokens that prompt and answer may have together, if the server says so."""
        return self.max_model_len or self.context_length or (self.meta.n_ctx if self.meta else None)


class _Models(BaseModel):
    data: list[ServedModel]


def checked_url(url: str) -> str:
    """The address of a server without a slash at its end; `SettingsError` if it can't be one."""
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.scheme in {"http", "https"} and (parts.port or 1) > 0
    except ValueError as error:
        raise SettingsError(f"the generator's address is none: {error}") from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "the generator's address holds more than a place: give it as https://host/v1, and a"
            " key as generation.server.api_key"
        )
    if not known:
        raise SettingsError(f"the generator's address {url!r} is none: give it as https://host/v1")
    return url.rstrip("/")


def checked_key(key: SecretStr | None) -> SecretStr | None:
    """A key as it can stand in a header; `SettingsError`, which does not say it, for another."""
    shown = key.get_secret_value().strip() if key else ""
    if not (shown.isascii() and shown.isprintable()):
        raise SettingsError("generation.server.api_key can't be sent: give it in plain ASCII")
    return SecretStr(shown) if shown else None


@dataclass(frozen=True, kw_only=True)
class ServerConnection:
    """One server; its connections are kept open and shared by all threads."""

    url: str
    api_key: SecretStr | None
    timeout_s: float
    connect_s: float

    @cached_property
    def _client(self) -> "OpenAI":
        from openai import OpenAI, Timeout

        key = self.api_key.get_secret_value() if self.api_key else _NO_KEY
        return OpenAI(
            base_url=self.url,
            api_key=key,
            timeout=Timeout(self.timeout_s, connect=self.connect_s),
            max_retries=0,
        )

    @property
    def _headers(self) -> Mapping[str, Any]:
        """Leaves out what the client would take from variables meant for OpenAI's own service."""
        from openai import Omit

        absent = ["OpenAI-Organization", "OpenAI-Project"]
        if self.api_key is None:
            absent.append("Authorization")
        return {name: Omit() for name in absent}

    def models(self) -> list[ServedModel]:
        """What the server has, in its order; nothing if it doesn't tell.

        Raises `GeneratorRefusedError` for a key that it does not take, `GeneratorUnavailableError`.
        """
        from openai import APIStatusError

        with self._errors():
            try:
                listed = self._client.models.with_raw_response.list(extra_headers=self._headers)
            except APIStatusError as error:
                if error.status_code in _NOT_OFFERED:
                    return []
                raise
            return _Models.model_validate_json(listed.text).data

    def chat(self, request: Mapping[str, Any]) -> Generator[Chunk, None, None]:
        """The answer to a request of chat/completions; closing it closes the connection.

        Raises what `models` raises, `GenerationError` for a request that it does not take, and
        `ContextLengthError` for one that is too long.
        """
        with (
            self._errors(),
            self._client.chat.completions.create(
                **request, stream=True, extra_headers=self._headers
            ) as stream,
        ):
            for event in stream:
                yield _chunk(event)

    def close(self) -> None:
        """Give back its connections."""
        if "_client" in self.__dict__:
            self._client.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the client's errors as ours."""
        from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

        try:
            yield
        except APITimeoutError as error:
            raise GeneratorUnavailableError(
                f"The generator's server at {self.url} was silent for {self.timeout_s:g} s."
            ) from error
        except APIConnectionError as error:
            raise TryAgainError(
                f"The generator's server at {self.url} can't be reached, or hung up:"
                f" {self._told(error.__cause__ or error)}."
            ) from error
        except APIStatusError as error:
            # What the server says may hold the key, which no log should.
            raise self._of_status(error) from None
        except APIError as error:
            raise TryAgainError(
                f"The generator's server at {self.url} failed: {self._said(error)}."
            ) from None
        except ValueError as error:
            raise GeneratorUnavailableError(
                f"The generator's server at {self.url} does not speak OpenAI's protocol: its"
                " answer can't be read."
            ) from error

    def _of_status(self, error: "APIStatusError") -> Exception:
        status, said = error.status_code, self._said(error)
        answered = f"The generator's server at {self.url} answered {status}: {said}."
        if status in _BUSY or status >= 500:
            return TryAgainError(answered, after_s=retry_after_s(error.response.headers))
        if status in {401, 403}:
            return GeneratorRefusedError(f"{answered} Correct generation.server.api_key.")
        if status == 404:
            return GeneratorRefusedError(
                f"{answered} Correct generator, whose address mostly ends in /v1, or"
                " generation.server.model."
            )
        if _is_too_long(error, said):
            return ContextLengthError(f"{answered} Set generation.server.context_tokens.")
        return GenerationError(answered)

    def _said(self, error: "APIError") -> str:
        """What a server says of an error, on one line of bounded length, without the key."""
        body = error.body
        # OpenAI's own shape, FastAPI's, and that of servers that send a text alone.
        said = body.get("message") or body.get("detail") if isinstance(body, dict) else body
        return self._told(said or error.message)

    def _told(self, said: object) -> str:
        told = " ".join(str(said).split())
        if self.api_key:
            told = told.replace(self.api_key.get_secret_value(), "…")
        return told[:_SAID_CHARACTERS].rstrip(".")


def _is_too_long(error: "APIStatusError", said: str) -> bool:
    """Servers differ in the code, and agree in the words."""
    return error.code == "context_length_exceeded" or "context length" in said.lower()


def _chunk(event: object) -> Chunk:
    """What the client made of a piece, checked; `ValueError` if it is none."""
    if not isinstance(event, BaseModel):
        raise ValueError("a piece of the answer is no object")
    # What the client could not understand it passes on as it is, and warns of it when asked.
    return Chunk.model_validate(event.model_dump(warnings=False))
