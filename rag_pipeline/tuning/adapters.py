"""Which weights of a language model are trained, and how they become part of it again.

LoRA (Hu et al., ICLR 2022, arXiv:2106.09685) trains two thin matrices beside each matrix of the
blocks, which are added to it in the end. Or the last blocks themselves are trained, with the norm
after them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from rag_pipeline.training.errors import TrainingError
from rag_pipeline.weights.convert import quiet_transformers

if TYPE_CHECKING:
    from peft import LoraModel
    from transformers import PreTrainedModel

    from rag_pipeline.generation.loading import Loaded

Method = Literal["lora", "last-layers"]

_ADAPTER = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """What of a model is trained."""

    method: Method = "lora"
    rank: int = 8
    """Columns of the thin matrices."""
    alpha: int = 16
    """Their product is multiplied by alpha / rank."""
    layers: int = 2
    """The last so many blocks, where they are trained themselves."""

    def __post_init__(self) -> None:
        """Raise `TrainingError` for settings that nothing can be trained with."""
        for name in ("rank", "alpha", "layers"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} is {getattr(self, name)}: give a number above 0")


def check_peft() -> None:
    """Raise `TrainingError` where LoRA can't be had, before any work."""
    try:
        import peft  # noqa: F401  # asked for before the training, not after
    except ImportError as error:
        raise TrainingError(
            "LoRA needs peft: pip install 'rag-pipeline-service[tune]', or train the last layers"
        ) from error


class Adapted:
    """A model of which some weights are trained. Before any step it is what it was."""

    def __init__(self, loaded: "Loaded", settings: AdapterSettings, *, seed: int) -> None:
        """Raise `TrainingError` for a model that can't be trained so."""
        self._loaded = loaded
        self._lora: LoraModel | None = None
        if settings.method == "lora":
            self._lora = _with_lora(loaded.model, settings, seed)
        else:
            _thaw_last(loaded.model, settings.layers)

    @property
    def model(self) -> nn.Module:
        return self._loaded.model if self._lora is None else self._lora

    def save_adapter(self, folder: Path) -> None:
        """Write what LoRA trained by itself, as `peft` reads it; nothing where it did not."""
        from safetensors.torch import save_file

        if self._lora is None:
            return
        folder.mkdir(parents=True)
        weights = {
            f"base_model.{name.replace(f'.{_ADAPTER}.', '.')}": weight.detach().cpu().contiguous()
            for name, weight in self._lora.named_parameters()
            if weight.requires_grad
        }
        save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        stated = self._lora.peft_config[_ADAPTER].to_dict()
        # Folders of this machine, and sets, which JSON has no order for.
        about = {name: _in_order(value) for name, value in sorted(stated.items())}
        about["base_model_name_or_path"] = None
        (folder / "adapter_config.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")

    def save_merged(self, folder: Path) -> None:
        """Write the whole model with its tokenizer, as `loading.load` reads it, in float32: less
        would round off what was learnt. Afterwards this can't be trained any more.
        """
        model = self._loaded.model if self._lora is None else _merged(self._lora)
        with quiet_transformers():
            model.save_pretrained(folder)
            self._loaded.tokenizer.save_pretrained(folder)


def _with_lora(model: "PreTrainedModel", settings: AdapterSettings, seed: int) -> "LoraModel":
    check_peft()
    from peft import LoraConfig, LoraModel

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return LoraModel(model, config, _ADAPTER)
        except ValueError as error:
            raise TrainingError(
                f"LoRA can't be put into a model of the kind {type(model).__name__}: {error}"
            ) from error


def _merged(lora: "LoraModel") -> "PreTrainedModel":
    merged: PreTrainedModel = lora.merge_and_unload()  # type: ignore[assignment]  # as it was given
    return merged


def _in_order(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value


def _thaw_last(model: "PreTrainedModel", layers: int) -> None:
    """Leave only the last blocks, and the norms behind them, to be trained."""
    parent, blocks = _blocks(model)
    if layers > len(blocks):
        raise TrainingError(f"layers is {layers}: the model has {len(blocks)}")
    model.requires_grad_(False)
    for block in blocks[-layers:]:
        block.requires_grad_(True)
    for norm in _norms(parent):
        norm.requires_grad_(True)


def _blocks(model: "PreTrainedModel") -> tuple[nn.Module, nn.ModuleList]:
    """The list of the model's blocks, with what it is a part of."""
    wanted = model.config.get_text_config().num_hidden_layers
    for parent in model.modules():
        for part in parent.children():
            if isinstance(part, nn.ModuleList) and len(part) == wanted:
                return parent, part
    raise TrainingError(
        f"the blocks of a {type(model).__name__} can't be told: train it by the method lora"
    )


def _norms(parent: nn.Module) -> Iterator[nn.Module]:
    """The norms beside the blocks."""
    return (part for part in parent.children() if "norm" in type(part).__name__.lower())
