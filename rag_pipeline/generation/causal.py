"""The forward pass of any causal model, by transformers itself, one sequence after another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from rag_pipeline.generation.forward import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CachedPast:
    """The cache of transformers, and which tokens it has."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.tokens: list[int] = []
        self._model = model
        self.cache = DynamicCache(config=model.config)

    @property
    def nbytes(self) -> int:
        return sum(keys.nbytes + values.nbytes for keys, values in self._layers())

    def crop(self, tokens: int) -> None:
        surplus = len(self.tokens) - tokens
        if surplus > 0:
            self.cache.crop(-surplus)
            del self.tokens[tokens:]

    def copied(self, tokens: int, *, room: int) -> "CachedPast":
        copy = CachedPast(self._model)
        for at, (keys, values) in enumerate(self._layers()):
            copy.cache.update(keys[:, :, :tokens].clone(), values[:, :, :tokens].clone(), at)
        copy.tokens = self.tokens[:tokens]
        return copy

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        return [
            (layer.keys, layer.values)
            for layer in self.cache.layers
            if isinstance(layer, DynamicLayer)
            and layer.keys is not None
            and layer.values is not None
        ]


class Causal:
    """Whatever `AutoModelForCausalLM` opens, on its own device and in its own precision."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model
        layers = CachedPast(model).cache.layers
        self.forgets = all(type(layer) is DynamicLayer for layer in layers)

    def begin(self, *, room: int) -> CachedPast:
        return CachedPast(self._model)

    @torch.inference_mode()
    def __call__(self, runs: Sequence[Run[CachedPast]]) -> list[Tensor]:
        return [self._read(run) for run in runs]

    def _read(self, run: Run[CachedPast]) -> Tensor:
        output = self._model(
            input_ids=torch.tensor([run.tokens], device=self._model.device),
            past_key_values=run.past.cache,
            use_cache=True,
            logits_to_keep=max(run.wanted, 1),
        )
        run.past.tokens.extend(run.tokens)
        logits: Tensor = output.logits[0, -run.wanted :] if run.wanted else output.logits[0, :0]
        return logits.float().cpu()
