"""A language model on this machine's CPU, run by transformers from a local folder.

The loop over tokens is our own: it can be left at any token, it holds the model for one step at a
time, so that several answers take turns, and it needs no thread of its own.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.language_model import GREEDY, Completion, Sampling, TextStream, Turn
from rag_pipeline.generation.loading import Loaded, load, neutralised
from rag_pipeline.generation.stop_strings import before_stop, settled

if TYPE_CHECKING:
    from torch import Tensor

_Choose = Callable[["Tensor"], int]
"""Logits, float32 (vocabulary,), to the next token."""

_MOST_THREADS = 8
"""A token's matrices are too small for more: threads would spend their time waiting."""


class TransformersModel:
    """Any causal language model with a chat template, in float32; read when first needed.

    `threads` are those of one forward pass; PyTorch has one such number for the whole process.
    """

    def __init__(
        self, folder: Path, *, name: str, weights_sha256: str, threads: int | None = None
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._folder = folder
        self._threads = threads or _default_threads()
        self._loading = threading.Lock()
        self._stepping = threading.Lock()
        self._loaded: Loaded | None = None

    @property
    def context_tokens(self) -> int:
        """The most tokens that the model was trained to read and write together."""
        return self._ready().context_tokens

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as the model reads it; nothing is added."""
        return len(self._ready().encode(text))

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The chat template filled in, up to where the answer begins, and `begun`.

        Control tokens written out in a turn are broken by a space after their first character, so
        that a passage which says "<|im_end|>" can't end the user's turn.
        """
        loaded = self._ready()
        if loaded.tokenizer.chat_template is None:
            raise GenerationError(
                f"The model {self.name!r} has no chat template: choose one tuned to follow "
                "instructions."
            )
        messages = [
            {"role": turn.role, "content": neutralised(turn.text, loaded.controls)}
            for turn in turns
        ]
        rendered = loaded.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return f"{rendered}{begun}"

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Stream an answer; tokens are made as the stream is read."""
        loaded = self._ready()
        prompt = loaded.encode(rendered)
        room = loaded.context_tokens - len(prompt)
        if not prompt or room < 1:
            raise GenerationError(
                f"The prompt has {len(prompt):,} tokens and the model {self.name!r} reads 1 to "
                f"{loaded.context_tokens - 1:,}: show it fewer or shorter passages."
            )
        return self._stream(loaded, prompt, min(sampling.max_new_tokens, room), sampling)

    def _stream(
        self, loaded: Loaded, prompt: list[int], limit: int, sampling: Sampling
    ) -> TextStream:
        answer: list[int] = []
        text, shown, stopped = "", 0, False
        for token in islice(self._tokens(loaded, prompt, _chooser(sampling)), limit):
            answer.append(token)
            # Decoded as a whole: a character may have its bytes in several tokens.
            text, stopped = before_stop(loaded.decode(answer), sampling.stop)
            if stopped:
                break
            piece = settled(text, sampling.stop)[shown:]
            if piece:
                yield piece
                shown += len(piece)
        if text[shown:]:
            yield text[shown:]
        return Completion(
            prompt_tokens=len(prompt),
            completion_tokens=len(answer),
            finish_reason="stop" if stopped or len(answer) < limit else "length",
        )

    def _tokens(self, loaded: Loaded, prompt: list[int], choose: _Choose) -> Iterator[int]:
        """Tokens without end, up to one that ends the answer. The cache grows with each step."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=loaded.model.config)
        step = prompt
        while True:
            with self._stepping, torch.inference_mode():
                output = loaded.model(
                    input_ids=torch.tensor([step]),
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                token = choose(output.logits[0, -1])
            if token in loaded.end_tokens:
                return
            yield token
            step = [token]

    def _ready(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                self._loaded = load(self._folder, name=self.name, threads=self._threads)
            return self._loaded


def _chooser(sampling: Sampling) -> _Choose:
    """Greedy, or drawn from the nucleus (Holtzman et al. 2020, arXiv:1904.09751) by the seed."""
    import torch

    if sampling.temperature == 0:
        return lambda logits: int(logits.argmax())
    generator = torch.Generator().manual_seed(sampling.seed)

    def draw(logits: "Tensor") -> int:
        chances, tokens = torch.softmax(logits / sampling.temperature, dim=-1).sort(
            descending=True, stable=True
        )
        before = chances.cumsum(dim=-1) - chances
        chances[before >= sampling.top_p] = 0
        return int(tokens[torch.multinomial(chances, 1, generator=generator)])

    return draw


def _default_threads() -> int:
    """Half of the processors that this process may run on, which are mostly pairs of one core.

    Threads wait for one another at every matrix, so one too many on a busy machine costs far more
    than it can gain: on two busy processors two threads wrote an answer 2 to 9 times as slowly as
    one, and on two idle ones no faster.
    """
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(usable // 2, _MOST_THREADS))
