"""A model of an encoder and a decoder in this process: T5, BART and their like.

The encoder reads the prompt once; the decoder begins with nothing but its start token.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_pipeline.errors import ContextLengthError, GenerationError
from rag_pipeline.generation.chat_form import prompt_for
from rag_pipeline.generation.choosing import Choose, chooser
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream, Turn
from rag_pipeline.generation.loading import Dtype, Loaded, load
from rag_pipeline.generation.text_stream import text_stream


class Seq2SeqModel:
    """Any model of an encoder and a decoder; its weights are read when they are first needed.

    What it reads and what it writes have the same limit, each by itself.
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
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._folder = folder
        self._threads, self._device, self._dtype = threads, device, dtype
        self._loading = threading.Lock()
        self._stepping = threading.Lock()
        self._loaded: Loaded | None = None

    @property
    def context_tokens(self) -> int:
        """The most tokens that the encoder was trained to read."""
        return self._ready().context_tokens

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as the model reads it; nothing is added."""
        return len(self._ready().encode(text))

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The text that the encoder reads. An answer can't be begun for the decoder by it."""
        return prompt_for(self._ready(), turns)

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Stream an answer; tokens are made as the stream is read."""
        loaded = self._ready()
        prompt = loaded.encode(rendered)
        if not prompt or len(prompt) >= loaded.context_tokens:
            raise ContextLengthError(
                f"The prompt has {len(prompt):,} tokens and the model {self.name!r} reads 1 to "
                f"{loaded.context_tokens - 1:,}: show it fewer or shorter passages."
            )
        return text_stream(
            loaded,
            self._tokens(loaded, prompt, chooser(sampling)),
            prompt_tokens=len(prompt),
            limit=min(sampling.max_new_tokens, loaded.context_tokens),
            stop=sampling.stop,
        )

    def _tokens(self, loaded: Loaded, prompt: list[int], choose: Choose) -> Iterator[int]:
        """Tokens without end, up to one that ends the answer. The cache grows with each step."""
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        device = loaded.model.device
        with self._stepping, torch.inference_mode():
            read = loaded.model.get_encoder()(torch.tensor([prompt], device=device))
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        step = [_start_token(loaded)]
        while True:
            with self._stepping, torch.inference_mode():
                output = loaded.model(
                    encoder_outputs=read,
                    decoder_input_ids=torch.tensor([step], device=device),
                    past_key_values=cache,
                    use_cache=True,
                )
                token = choose(output.logits[0, -1].float().cpu())
            if token in loaded.end_tokens:
                return
            yield token
            step = [token]

    def _ready(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                self._loaded = load(
                    self._folder,
                    name=self.name,
                    threads=self._threads,
                    device=self._device,
                    dtype=self._dtype,
                )
            return self._loaded


def _start_token(loaded: Loaded) -> int:
    """What the decoder begins with: stated, or that which begins texts, or that which pads them."""
    stated = (
        getattr(loaded.model.generation_config, "decoder_start_token_id", None),
        getattr(loaded.model.config, "decoder_start_token_id", None),
        loaded.tokenizer.bos_token_id,
        loaded.tokenizer.pad_token_id,
    )
    found = next((token for token in stated if isinstance(token, int)), None)
    if found is None:
        raise GenerationError("The model doesn't say which token its decoder begins with.")
    return found
