"""Embeds on the local machine: packs texts by length and keeps every core busy.

Texts of like length are embedded together, up to a budget of tokens, so that little is computed on
padding; and each core runs forward passes of its own, which for a small model is faster than
sharing each pass between them.

The weights are loaded when the first text is embedded, not before: counting tokens, comparing
spaces and finding that nothing changed need none of it.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ingest.embedders.model_folder import ModelFolder
from ingest.embedders.word_ids import TokenIds
from ingest.errors import EmbeddingError
from storage.records import EmbeddingSpace, Vectors


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """A text, and what the model reads of it."""

    text: str
    ids: TokenIds
    """Marks included; no more than the model reads."""


class TextEncoder(Protocol):
    """A model in memory. Many threads may call it at once."""

    @property
    def batch_tokens(self) -> int:
        """Tokens in one forward pass, padding included, at which it is fastest."""

    @property
    def passes_ahead(self) -> int:
        """Passes to hand to it beyond those that run, so that no core waits for Python."""

    def begin_thread(self) -> None:
        """Is called once in each thread that runs passes beside others, before the first."""

    def encode(self, texts: Sequence[TokenizedText]) -> Vectors:
        """One forward pass: unit vectors, float32 (len(texts), dimension).

        Raises RuntimeError or ValueError if it fails.
        """


class LocalEmbedder:
    """A model folder and whatever runs it."""

    def __init__(
        self,
        model: ModelFolder,
        load: Callable[[], TextEncoder],
        *,
        name: str,
        weights_sha256: str,
        threads: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        """`load` is called once, for the first text that is embedded."""
        self.model = model
        self.max_tokens = model.max_tokens
        self.space = EmbeddingSpace(
            model=name, weights_sha256=weights_sha256, dimension=model.dimension
        )
        self._load = load
        self._threads = threads or available_cores()
        self._batch_tokens = batch_tokens
        self._loading = threading.Lock()

    def count(self, texts: Sequence[str]) -> list[int]:
        return self.model.count(texts)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return self.model.offsets(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        if not texts:
            return vectors
        encoder = self.encoder
        read = [*map(TokenizedText, texts, self.model.token_ids(texts))]
        budget = self._batch_tokens or encoder.batch_tokens
        batches = list(_packed([len(text.ids) for text in read], budget=budget))

        def forward(batch: list[int]) -> None:
            vectors[batch] = encoder.encode([read[row] for row in batch])

        try:
            if len(batches) == 1:
                forward(batches[0])
            else:
                list(self._pool.map(forward, batches))
        except (RuntimeError, ValueError) as error:
            raise EmbeddingError(f"the embedder {self.space.model!r} failed: {error}") from error
        return vectors

    @property
    def encoder(self) -> TextEncoder:
        """The model in memory."""
        with self._loading:
            return self._loaded_encoder

    @cached_property
    def _loaded_encoder(self) -> TextEncoder:
        return self._load()

    @property
    def _pool(self) -> ThreadPoolExecutor:
        with self._loading:
            return self._made_pool

    @cached_property
    def _made_pool(self) -> ThreadPoolExecutor:
        encoder = self._loaded_encoder
        return ThreadPoolExecutor(
            self._threads + encoder.passes_ahead,
            thread_name_prefix="embed",
            initializer=encoder.begin_thread,
        )


def available_cores() -> int:
    """Cores that this process may use."""
    return os.cpu_count() or 1


def _packed(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Rows in batches of like length, longest first, each within the budget of tokens."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(row)
    yield batch
