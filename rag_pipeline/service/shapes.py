"""What the shapes of requests and answers have in common."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rag_pipeline.service.errors import UnsupportedError

_LARGEST_INT64 = 2**63 - 1


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("the text holds the character U+0000, which no document has")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the text holds half a character at {error.start}") from error
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text that every database can keep."""
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Given(BaseModel):
    """What a client sends. Numbers are no text; fields that we do not know are left alone."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    only: ClassVar[dict[str, tuple[object, ...]]] = {}
    """Fields of others' that are not offered here, and the values of them that ask for nothing."""

    def check_offered(self) -> None:
        """Raise `UnsupportedError` for a wish that would not be fulfilled."""
        wishes = self.model_extra or {}
        for name, value in wishes.items():
            if name == "tools" and wishes.get("tool_choice") == "none":
                continue
            if value is not None and value not in self.only.get(name, (value,)):
                raise UnsupportedError(
                    f"{name!r} can't be {_short(value)} here; leave it out", param=name
                )


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


class Shape(BaseModel):
    """What a client is sent."""

    model_config = ConfigDict(frozen=True)


class StreamOptions(Given):
    """What a stream is to end with."""

    include_usage: bool | None = None


class SamplingGiven(Given):
    """How the model is to choose its words, in OpenAI's terms."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Probability | None = None
    seed: Annotated[int, Field(ge=-_LARGEST_INT64, le=_LARGEST_INT64)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The answer ends before the first of these."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)


Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]
FinishReason = Literal["stop", "length"]


class PromptTokensDetails(Shape):
    """How many tokens of a prompt need not be read again."""

    cached_tokens: int


class CompletionTokensDetails(Shape):
    """Tokens that are not seen in the answer."""

    reasoning_tokens: int = 0


class Usage(Shape):
    """Tokens that the model read and wrote; none where the documents answer without it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class UrlCitation(Shape):
    """Which part of the answer stands on what; code points of the answer."""

    start_index: int
    end_index: int
    title: str
    url: str


class Grounds(Shape):
    """What an answer stands on, which OpenAI's shapes have no fields for."""

    prompt_id: str
    state: Literal["grounded", "partial", "no_evidence"]
    confidence: float
    generation: int
    citations: list[dict[str, Any]]
    note: str | None
