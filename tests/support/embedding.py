"""A real, tiny embedder: words hashed into a few dimensions. No weights, no torch, all exact."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from ingest.errors import EmbeddingError
from storage.records import EmbeddingSpace, Vectors

_WORD = re.compile(r"\w+")


class WordEmbedder:
    """Texts that share words are near each other. Records what it was asked to embed."""

    def __init__(self, *, max_tokens: int = 32, dimension: int = 64, version: str = "1") -> None:
        self.max_tokens = max_tokens
        self.space = EmbeddingSpace(
            model="words",
            weights_sha256=hashlib.sha256(version.encode()).hexdigest(),
            dimension=dimension,
        )
        self.embedded: list[str] = []
        self.fails = False

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _WORD.finditer(text)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.fails:
            raise EmbeddingError("the embedder 'words' failed: it was told to")
        self.embedded += texts
        vectors = np.zeros((len(texts), self.space.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                vectors[row, digest[0] % self.space.dimension] += 1 if digest[1] % 2 else -1
            vectors[row, 0] += 0.01
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
