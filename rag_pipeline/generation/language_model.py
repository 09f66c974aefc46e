"""The port to whatever writes answers: a local model, a server, or an echo in tests."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from rag_pipeline.errors import SettingsError

FinishReason = Literal["stop", "length"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says in a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy: the likeliest token, every time."""

    max_new_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability are drawn from; (0, 1]."""
    seed: int = 0
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these texts."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SettingsError(f"max_new_tokens is {self.max_new_tokens}: ask for 1 or more.")
        if not self.temperature >= 0:
            raise SettingsError(f"temperature is {self.temperature}: give 0 (greedy) or more.")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p is {self.top_p}: give more than 0 and at most 1.")

    def as_json(self) -> dict[str, int | float | list[str]]:
        """As the history keeps it."""
        return {
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": [*self.stop],
        }


GREEDY = Sampling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """How an answer ended and what it cost. "length": it was cut by a limit on tokens."""

    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason
    estimated: bool = False
    """The tokens were not counted by what made them."""


TextStream = Generator[str, None, Completion]
"""Pieces of text as they are made, none empty; the generator's return value says how it ended.

Closing it stops the model. A reader that pauses keeps nobody else waiting.
"""


class LanguageModel(Protocol):
    """Writes text after a prompt."""

    @property
    def name(self) -> str:
        """What the history calls this model."""

    @property
    def weights_sha256(self) -> str:
        """Which weights it runs, in hexadecimal."""

    @property
    def context_tokens(self) -> int:
        """The most tokens that prompt and answer may have together."""

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has, control tokens of a rendered prompt included."""

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The exact text that the model reads; nothing in a turn's text ends that turn.

        `begun` is how the answer begins, where the model can be made to go on from there; it is
        no part of what `generate` gives.
        """

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Answer a rendered prompt; the same prompt and sampling give the same text.

        Raises GenerationError, before anything is made, if the prompt fills the context.
        """


@runtime_checkable
class EstimatesTokens(Protocol):
    """A language model that can't see its tokens: `count_tokens` is an estimate."""

    estimates_tokens: Literal[True]


def complete(stream: TextStream) -> tuple[str, Completion]:
    """The whole text of a stream, and how it ended."""
    pieces: list[str] = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as ended:
            return "".join(pieces), ended.value
