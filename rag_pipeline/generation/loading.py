"""A language model and its tokenizer, from a folder: weights whole, or a clear error.

Causal models and those of an encoder and a decoder are read alike; which of the two a folder holds
can be told without reading it.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rag_pipeline.errors import GeneratorUnavailableError, SettingsError
from rag_pipeline.weights.convert import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""Of weights in memory; "auto": float32 on a CPU, the best half precision on a GPU."""

_MOST_THREADS = 8
"""A token's matrices are too small for more: threads would spend their time waiting."""

_UNSTATED_CONTEXT = 2048
"""Tokens, of a model that says nothing of it: most read more, none that we know of less."""
_NO_LIMIT = 10**9
"""Tokenizers that know no limit state one beyond this."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, and how its text becomes tokens."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    controls: re.Pattern[str]
    context_tokens: int
    end_tokens: frozenset[int]

    def encode(self, text: str) -> list[int]:
        encoded = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return list(encoded["input_ids"])

    def decode(self, tokens: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def load(
    folder: Path,
    *,
    name: str,
    threads: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Loaded:
    """The model `name` in `folder`, on `device`: "cpu", "cuda", "cuda:1" …, or "auto", which is a
    GPU if there is one. `threads` are those of one forward pass, process-wide; None: as many as
    pay.

    Raises `GeneratorUnavailableError` for files that are missing, damaged or of no such model, and
    `SettingsError` for a device that is not there.
    """
    import torch

    torch.set_num_threads(threads or _default_threads())
    place = _device(device)
    try:
        with quiet_transformers():
            loaded, absent = _read(folder, place, _dtype(dtype, place))
    # What is damaged makes tokenizers raise no more than `Exception`.
    except Exception as error:
        raise _not_loaded(name, folder, str(error)) from error
    if absent:
        raise _not_loaded(name, folder, f"its weights lack {absent[0]!r}")
    return loaded


def _read(
    folder: Path, place: "torch.device", dtype: "torch.dtype"
) -> tuple[Loaded, Sequence[str]]:
    """The model with its tokenizer, which was tried once, and the weights that its files lack."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    model, absent = _read_weights(folder, dtype)
    model.to(place)  # type: ignore[arg-type]  # typed by transformers as if bound
    loaded = Loaded(
        model=model,
        tokenizer=tokenizer,
        controls=_control_tokens(tokenizer),
        context_tokens=_context_tokens(model, tokenizer),
        end_tokens=_end_tokens(model, tokenizer),
    )
    loaded.encode("a")
    return loaded, absent


def reads_apart(folder: Path) -> bool:
    """Whether the model in `folder` reads with an encoder what its decoder answers, like T5.

    Costs a look at `config.json`; a folder without one is found out when it is loaded.
    """
    try:
        stated = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(stated, dict) and stated.get("is_encoder_decoder") is True


def _not_loaded(name: str, folder: Path, reason: str) -> GeneratorUnavailableError:
    return GeneratorUnavailableError(
        f"The model {name!r} can't be loaded from {str(folder)!r}: {reason}"
    )


def _device(wanted: str) -> "torch.device":
    """Where the model runs; `SettingsError` if that is not there."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return torch.device("cuda" if gpus else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise SettingsError(
            f"generation.device is {wanted!r} and PyTorch finds {gpus} GPUs here: set it to 'auto'."
        )
    return device


def _dtype(wanted: Dtype, device: "torch.device") -> "torch.dtype":
    import torch

    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            wanted
        ]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _read_weights(folder: Path, dtype: "torch.dtype") -> tuple["PreTrainedModel", list[str]]:
    """The model, and the names of the weights that its files lack.

    transformers fills such gaps with random numbers, and only warns.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if reads_apart(folder) else AutoModelForCausalLM
    # Typed by transformers as if it always gave a model alone.
    loaded: tuple[PreTrainedModel, dict[str, set[str]]] = kind.from_pretrained(  # type: ignore[assignment]
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    model, report = loaded
    return model, sorted(report["missing_keys"])


def _context_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int:
    """What the model was trained to read; models without positions leave it to the tokenizer."""
    config = model.config.get_text_config()
    stated = (
        getattr(config, "max_position_embeddings", None),
        getattr(config, "n_positions", None),
        tokenizer.model_max_length,
    )
    known = (limit for limit in stated if isinstance(limit, int) and 0 < limit < _NO_LIMIT)
    return next(known, _UNSTATED_CONTEXT)


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


def neutralised(text: str, controls: re.Pattern[str]) -> str:
    """`text` in which no control token is left whole."""
    return controls.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)


def _control_tokens(tokenizer: "PreTrainedTokenizerBase") -> re.Pattern[str]:
    """What the tokenizer reads as control: special tokens, and those its template is made of."""
    template = str(tokenizer.chat_template or "")
    found = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if len(token.content.strip()) > 1 and (token.special or token.content in template)
    }
    longest_first = sorted(found, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _end_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    known = [*listed, tokenizer.eos_token_id]
    return frozenset(token for token in known if isinstance(token, int))
