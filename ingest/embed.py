"""Turns texts into vectors with a sentence-transformers model on the local machine.

Texts of like length are embedded together, up to a budget of tokens, so that little is computed on
padding; and each core runs forward passes of its own, which for a small model is faster than
sharing each pass between them. The vectors equal the plain model's to float32 rounding.

torch is imported when the first text is embedded, not before: counting tokens, comparing spaces
and finding that nothing changed need none of it.
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ingest.errors import EmbeddingError
from storage.records import EmbeddingSpace, Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

_MARKS = 2
"""Tokens that the model adds to each text: its beginning and its end."""
_TEXTS_A_COUNT = 2_000


class Embedder(Protocol):
    """Gives texts vectors of one space."""

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


class SentenceTransformerEmbedder:
    """A model folder in the sentence-transformers layout."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        weights_sha256: str,
        threads: int | None = None,
        batch_tokens: int = 2048,
    ) -> None:
        """Raise `EmbeddingError` if `folder` holds no such model. Loads no weights yet."""
        self._folder = folder
        self._threads = threads or os.cpu_count() or 1
        self._batch_tokens = batch_tokens
        self._loading = threading.Lock()
        config = _read_json(folder / "config.json")
        limits = _read_json(folder / "sentence_bert_config.json", default={})
        self.max_tokens = int(limits.get("max_seq_length") or 512) - _MARKS
        self.space = EmbeddingSpace(
            model=name, weights_sha256=weights_sha256, dimension=_dimension(folder, config)
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for at in range(0, len(texts), _TEXTS_A_COUNT):
            step = list(texts[at : at + _TEXTS_A_COUNT])
            encoded = self._tokenizer.encode_batch_fast(step, add_special_tokens=False)
            counts += [len(encoding) for encoding in encoded]
        return counts

    def offsets(self, text: str) -> list[tuple[int, int]]:
        offsets: list[tuple[int, int]] = self._tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return offsets

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        if not texts:
            return vectors
        model = self._model
        batches = list(self._packed(self.count(texts)))

        def forward(batch: list[int]) -> None:
            vectors[batch] = _forward(model, [texts[row] for row in batch])

        try:
            if len(batches) == 1:
                forward(batches[0])
            else:
                list(self._pool.map(forward, batches))
        except (RuntimeError, ValueError) as error:
            raise EmbeddingError(f"the embedder {self.space.model!r} failed: {error}") from error
        return vectors

    def _packed(self, counts: Sequence[int]) -> Iterator[list[int]]:
        """Rows in batches of like length, longest first, each within the budget of tokens."""
        lengths = [min(count, self.max_tokens) + _MARKS for count in counts]
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
            if batch and (len(batch) + 1) * lengths[batch[0]] > self._batch_tokens:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        path = self._folder / "tokenizer.json"
        if not path.is_file():
            raise EmbeddingError(f"{self._folder} has no tokenizer.json; give a model that has one")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(
            self._threads, thread_name_prefix="embed", initializer=_one_core_a_thread
        )

    @property
    def _model(self) -> "SentenceTransformer":
        with self._loading:
            return self._loaded_model

    @cached_property
    def _loaded_model(self) -> "SentenceTransformer":
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return SentenceTransformer(str(self._folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise EmbeddingError(
                f"the embedder in {self._folder} can't be loaded: {reason}"
            ) from error


def _one_core_a_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _forward(model: "SentenceTransformer", texts: list[str]) -> Vectors:
    """One forward pass; unit vectors (len(texts), dimension)."""
    import torch

    with torch.inference_mode():
        features = model.preprocess(texts)
        vectors = model(features)["sentence_embedding"]
        unit: Vectors = torch.nn.functional.normalize(vectors, dim=1).numpy()
        return unit


def _dimension(folder: Path, config: dict[str, Any]) -> int:
    dimension = config.get("hidden_size")
    if not isinstance(dimension, int):
        raise EmbeddingError(
            f"{folder / 'config.json'} has no hidden_size: give a model of the BERT family"
        )
    return dimension


def _read_json(path: Path, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if default is not None:
            return default
        raise EmbeddingError(f"{path} is missing: {path.parent} is no embedding model") from error
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise EmbeddingError(f"{path} holds no object: {path.parent} is no embedding model")
    return found
