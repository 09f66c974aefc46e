"""Turning GGUF weights into a folder of safetensors, once, so that a model loads in a second."""

import importlib.util
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.weights.errors import PullError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NEEDED = ("gguf", "accelerate")


def check_converter() -> None:
    """Raise PullError unless the packages that read GGUF are installed."""
    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise PullError(
            f"Converting weights needs {' and '.join(absent)}: "
            "run `pip install 'rag-pipeline-service[convert]'`."
        )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write weights, configuration, tokenizer and chat template of `gguf` into `folder`.

    Weights are kept as float16: 4-bit weights lose next to nothing by it (greedy answers of
    SmolLM2 stayed the same, token for token), and the folder is half as large.
    """
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
    )

    place, file = gguf.parent, {"gguf_file": gguf.name, "local_files_only": True}
    # The reader of GGUF draws a progress bar that no setting of transformers turns off.
    with quiet_transformers(), redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(place, **file)
        reads_apart = AutoConfig.from_pretrained(place, **file).is_encoder_decoder
        kind = AutoModelForSeq2SeqLM if reads_apart else AutoModelForCausalLM
        model = kind.from_pretrained(place, dtype="float32", **file)
        _save_model(model, folder)
        tokenizer.save_pretrained(folder)


def _save_model(model: "PreTrainedModel", folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    weights = {
        name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    for tied in getattr(model, "all_tied_weights_keys", {}):
        weights.pop(tied, None)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # The weights are no longer quantised; a loader that read otherwise would look for the GGUF.
    del model.config.quantization_config
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep progress bars and advice of transformers off stderr, which is ours to write."""
    from transformers.utils import logging

    verbosity, showed_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_progress:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
