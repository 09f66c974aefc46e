"""What a folder in the sentence-transformers layout says of its model, without the weights."""

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.embedders.word_ids import TokenIds, WordIds, reads_word_by_word
from ingest.errors import EmbeddingError
from storage.bulk import batches

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MARKS = 2
"""Tokens that the model adds to each text: its beginning and its end."""
_TEXTS_A_STEP = 256


class ModelFolder:
    """An embedding model on this disk: its settings and its tokenizer."""

    def __init__(self, path: Path) -> None:
        """Raise `EmbeddingError` if there is no such model. Loads no weights."""
        self.path = path
        self.config = read_json(path / "config.json")
        self.limits = read_json(path / "sentence_bert_config.json", default={})
        self.max_tokens = int(self.limits.get("max_seq_length") or 512) - MARKS
        self.dimension = _dimension(path, self.config)
        self._loading = threading.Lock()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without marks and without limit."""
        return [len(ids) for ids in self._ids(texts)]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` begins and ends, in code points."""
        offsets: list[tuple[int, int]] = self.tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return offsets

    def token_ids(self, texts: Sequence[str]) -> list[TokenIds]:
        """What the model reads of each text: its first `max_tokens` tokens between the marks."""
        begin, end = self._marks
        return [np.concatenate([begin, ids[: self.max_tokens], end]) for ids in self._ids(texts)]

    def _ids(self, texts: Sequence[str]) -> Iterator[TokenIds]:
        """The ids of each text, without marks and without limit."""
        for step in batches(texts, _TEXTS_A_STEP):
            if self._words is not None:
                yield from self._words.of(step)
            else:
                encoded = self.tokenizer.encode_batch_fast(step, add_special_tokens=False)
                yield from (np.array(encoding.ids, np.int32) for encoding in encoded)

    @cached_property
    def _words(self) -> WordIds | None:
        return WordIds(self.tokenizer) if reads_word_by_word(self.tokenizer) else None

    @cached_property
    def _marks(self) -> tuple[TokenIds, TokenIds]:
        """What the model adds before and after a text."""
        encoding = self.tokenizer.encode("a")
        ids, is_mark = np.array(encoding.ids, np.int32), encoding.special_tokens_mask
        first, last = is_mark.index(0), len(ids) - is_mark[::-1].index(0)
        return ids[:first], ids[last:]

    def settings_sha256(self) -> str:
        """One SHA-256 for every file that decides, beside the weights, what the model says."""
        digest = hashlib.sha256()
        for file in sorted([*self.path.glob("*.json"), *self.path.glob("*/config.json")]):
            content = file.read_bytes()
            name = file.relative_to(self.path).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    @property
    def tokenizer(self) -> "Tokenizer":
        """The model's own, neither cutting nor filling up."""
        with self._loading:
            return self._loaded_tokenizer

    @cached_property
    def _loaded_tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        path = self.path / "tokenizer.json"
        if not path.is_file():
            raise EmbeddingError(f"{self.path} has no tokenizer.json; give a model that has one")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def _dimension(folder: Path, config: dict[str, Any]) -> int:
    # DistilBERT calls it otherwise.
    dimension = config.get("hidden_size", config.get("dim"))
    if not isinstance(dimension, int):
        raise EmbeddingError(
            f"{folder / 'config.json'} has no hidden_size: give a model of the BERT family"
        )
    return dimension


def read_json(path: Path, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object in the file at `path`, or `default` where there is no file."""
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
