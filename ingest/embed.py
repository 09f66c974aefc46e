"""The port to whatever turns texts into vectors; `ingest.embedders` holds what does."""

from collections.abc import Sequence
from typing import Protocol

from storage.records import EmbeddingSpace, Vectors


class Embedder(Protocol):
    """Gives texts vectors of one space. Several threads may call it at once."""

    @property
    def space(self) -> EmbeddingSpace:
        """What the vectors can be compared with."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; it ignores the rest."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the marks that the model adds."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` begins and ends, in code points."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 (len(texts), dimension), in the order of `texts`."""
