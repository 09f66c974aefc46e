"""A model that is known and is not here: whoever asks it is told why, and answers without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.errors import GeneratorUnavailableError
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream, Turn
from rag_pipeline.generation.messages import name_sha256


@dataclass(frozen=True)
class AbsentModel:
    """Raises `GeneratorUnavailableError` for whatever it is asked."""

    name: str
    because: str

    @property
    def weights_sha256(self) -> str:
        """Of its name."""
        return name_sha256(self.name)

    @property
    def context_tokens(self) -> int:
        """Not known."""
        raise GeneratorUnavailableError(self.because)

    def count_tokens(self, text: str) -> int:
        """Not known."""
        raise GeneratorUnavailableError(self.because)

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """Not possible."""
        raise GeneratorUnavailableError(self.because)

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Not possible."""
        raise GeneratorUnavailableError(self.because)
