"""A causal language model and its tokenizer, from a folder: weights whole, or a clear error."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.errors import GeneratorUnavailableError
from rag_pipeline.weights.convert import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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


def load(folder: Path, *, name: str, threads: int) -> Loaded:
    """The model `name` in `folder`; `threads` are those of one forward pass, process-wide.

    Raises `GeneratorUnavailableError` for files that are missing, damaged or of no such model.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, absent = _read_weights(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_loaded(name, folder, str(error)) from error
    if absent:
        raise _not_loaded(name, folder, f"its weights lack {absent[0]!r}")
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        controls=_control_tokens(tokenizer),
        context_tokens=model.config.get_text_config().max_position_embeddings,
        end_tokens=_end_tokens(model, tokenizer),
    )


def _not_loaded(name: str, folder: Path, reason: str) -> GeneratorUnavailableError:
    return GeneratorUnavailableError(
        f"The model {name!r} can't be loaded from {str(folder)!r}: {reason}"
    )


def _read_weights(folder: Path) -> tuple["PreTrainedModel", list[str]]:
    """The model, and the names of the weights that its files lack.

    transformers fills such gaps with random numbers, and only warns.
    """
    import torch
    from transformers import AutoModelForCausalLM

    # Typed by transformers as if it always gave a model alone.
    loaded: tuple[PreTrainedModel, dict[str, set[str]]] = AutoModelForCausalLM.from_pretrained(  # type: ignore[assignment]
        folder,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
    )
    model, report = loaded
    return model, sorted(report["missing_keys"])


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
