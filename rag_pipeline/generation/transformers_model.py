"""A language model in this process, on CPU or GPU, run by transformers from a local folder.

The loop over tokens is our own (`decoding.py`): several answers share the model, what comes back is
not read again, and it needs no thread of its own.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.errors import ContextLengthError
from rag_pipeline.generation.chat_form import prompt_for
from rag_pipeline.generation.choosing import chooser
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream, Turn
from rag_pipeline.generation.loading import Dtype, Loaded, load
from rag_pipeline.generation.text_stream import text_stream

if TYPE_CHECKING:
    from rag_pipeline.generation.running import Tokens

_log = logging.getLogger(__name__)

KEPT_BYTES = 256 * 1024**2
"""Of keys and values: some 5,800 tokens of a model with 135 million parameters."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A model in memory, and what makes its tokens."""

    loaded: Loaded
    tokens: "Tokens"


class TransformersModel:
    """Any causal language model; its weights are read when they are first needed.

    `threads` are those of one forward pass; PyTorch has one such number for the whole process.
    What was read of recent prompts is kept in `kept_bytes` of memory at most.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        weights_sha256: str,
        threads: int | None = None,
        device: str = "auto",
        dtype: Dtype = "auto",
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._folder = folder
        self._threads = threads
        self._device, self._dtype = device, dtype
        self._kept_bytes = kept_bytes
        self._loading = threading.Lock()
        self._model: _Ready | None = None

    @property
    def context_tokens(self) -> int:
        """The most tokens that the model was trained to read and write together."""
        return self._ready().loaded.context_tokens

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as the model reads it; nothing is added."""
        return len(self._ready().loaded.encode(text))

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """Its chat template filled in, or a plain form; see `chat_form`."""
        return prompt_for(self._ready().loaded, turns, begun=begun)

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Stream an answer; tokens are made as the stream is read."""
        loaded = self._ready().loaded
        prompt = loaded.encode(rendered)
        room = loaded.context_tokens - len(prompt)
        if not prompt or room < 1:
            raise ContextLengthError(
                f"The prompt has {len(prompt):,} tokens and the model {self.name!r} reads 1 to "
                f"{loaded.context_tokens - 1:,}: show it fewer or shorter passages."
            )
        return _stream(self._ready(), prompt, min(sampling.max_new_tokens, room), sampling)

    def _ready(self) -> _Ready:
        with self._loading:
            if self._model is None:
                self._model = self._read()
            return self._model

    def _read(self) -> _Ready:
        from rag_pipeline.generation.running import UnfaithfulError, plain, quick

        loaded = self._load()
        try:
            tokens = quick(loaded, kept_bytes=self._kept_bytes)
        except UnfaithfulError as error:
            _log.warning(
                "The model %r runs on transformers alone, more slowly: %s", self.name, error
            )
            loaded, tokens = self._load(), None
        return _Ready(loaded, tokens or plain(loaded, kept_bytes=self._kept_bytes))

    def _load(self) -> Loaded:
        return load(
            self._folder,
            name=self.name,
            threads=self._threads,
            device=self._device,
            dtype=self._dtype,
        )


def _stream(model: _Ready, prompt: Sequence[int], limit: int, sampling: Sampling) -> TextStream:
    tokens = model.tokens(prompt, chooser(sampling), limit=limit)
    with closing(tokens):
        return (
            yield from text_stream(
                model.loaded,
                tokens,
                prompt_tokens=len(prompt),
                limit=limit,
                stop=sampling.stop,
            )
        )
