"""Whether a passage entails a sentence, by a model that was trained to tell.

Such a model knows what words alone don't show: who does what to whom. It can only take support
away; numbers, names and negations must be in the source as without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rag_pipeline.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

ENTAILED = 0.5
"""A sentence of less chance than this has no support."""
_NEEDED = ("config.json", "model.safetensors")
_BATCH = 16


class EntailmentModel(Protocol):
    """Tells whether a premise bears out a claim."""

    def entailed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Of each (premise, claim) the chance that the claim follows; 0 to 1, in their order."""


@dataclass(slots=True)
class EntailmentClassifier:
    """An `EntailmentModel` over a folder as transformers saves a classifier of NLI."""

    folder: Path
    _model: "CrossEncoder | None" = None
    _loading: Lock = field(default_factory=Lock)

    def entailed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The model is loaded with the first call. Raises `ModelError` where it can't be used."""
        if not pairs:
            return []
        model = self._loaded()
        chances = model.predict(
            list(pairs), batch_size=_BATCH, apply_softmax=True, show_progress_bar=False
        )
        column = _entailing(model, self.folder)
        return [float(chance) for chance in np.asarray(chances, np.float64)[:, column]]

    def _loaded(self) -> "CrossEncoder":
        with self._loading:
            self._model = self._model or _opened(self.folder)
            return self._model


def _opened(folder: Path) -> "CrossEncoder":
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} is no entailment model: it lacks {missing[0]}; name a folder that"
            " transformers saved, with weights as safetensors, in generation.entailment"
        )
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    try:
        model: CrossEncoder = CrossEncoder(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the entailment model in {folder} can't be loaded: {error}") from error
    _entailing(model, folder)
    return model


def _entailing(model: "CrossEncoder", folder: Path) -> int:
    """Which output is the one for entailment."""
    labels = getattr(model.config, "id2label", None) or {}
    for column, label in labels.items():
        if len(labels) > 1 and str(label).lower().startswith("entail"):
            return int(column)
    raise ModelError(
        f"the model in {folder} tells {', '.join(map(str, labels.values()))}: an entailment model"
        " needs an output named entailment"
    )
