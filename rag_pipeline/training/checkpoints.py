"""How far a training has come, in one file: safetensors, put in place by one rename.

Weights, the optimizers' moments and what was measured so far are all that a step depends on; what
is drawn at random is drawn by the step's number. A file that was made by other settings or from
other examples is not taken for one of this training.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.training.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

Weights = Mapping[str, "Tensor"]
"""By the parameter's name."""

_EVERY_S = 60.0
_PARTS = ("weights", "best", "averages", "means", "squares", "counts")


@dataclass(frozen=True, slots=True)
class Validation:
    """What was measured on examples held back after so many steps."""

    step: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that a training needs to go on."""

    losses: tuple[float, ...]
    validations: tuple[Validation, ...]
    planned_steps: int
    halvings: int
    weights: Weights
    best: Weights
    """Those of the best validation."""
    averages: Weights
    """Of the weights of each step; empty where nothing is averaged."""
    means: Weights
    squares: Weights
    """The optimizers' moments, of each parameter that has any."""
    counts: Weights
    """Steps that are in them."""


@dataclass(slots=True, kw_only=True)
class CheckpointFile:
    """The newest checkpoint of one training."""

    path: Path
    fingerprint: str
    """The same for trainings that take the same steps."""
    every_s: float = _EVERY_S
    """How much time may be lost to a kill."""
    _saved_at: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.every_s

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the file, whole or not at all. Raises `TrainingError` if it can't be written."""
        from safetensors.torch import save

        tensors = {
            f"{part}.{name}": tensor.detach().contiguous()
            for part in _PARTS
            for name, tensor in getattr(checkpoint, part).items()
        }
        about = {
            "fingerprint": self.fingerprint,
            "losses": checkpoint.losses,
            "validations": [(one.step, one.value) for one in checkpoint.validations],
            "planned_steps": checkpoint.planned_steps,
            "halvings": checkpoint.halvings,
        }
        content = save(tensors, {"about": json.dumps(about)})
        unfinished = self.path.with_suffix(".unfinished")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint {self.path} can't be written: {error.strerror}; make room, and run"
                " it again: it goes on from the checkpoint before"
            ) from error
        self._saved_at = time.monotonic()

    def load(self) -> Checkpoint | None:
        """What was saved; None where there is none of this training, or it can't be read."""
        from safetensors import SafetensorError, safe_open

        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                about: dict[str, Any] = json.loads(file.metadata()["about"])
                if about["fingerprint"] != self.fingerprint or "halvings" not in about:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            _log.warning("The checkpoint %s can't be read, so it begins anew: %s", self.path, error)
            return None
        parts = {part: _under(part, tensors) for part in _PARTS}
        return Checkpoint(
            losses=tuple(about["losses"]),
            validations=tuple(Validation(*one) for one in about["validations"]),
            planned_steps=about["planned_steps"],
            halvings=about["halvings"],
            **parts,
        )

    def remove(self) -> None:
        """Forget it: what came of the training is safe elsewhere."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".unfinished").unlink(missing_ok=True)


def _under(part: str, tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    prefix = f"{part}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
