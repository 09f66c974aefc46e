"""What is to be made of a generator, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.training.loop import Trained
from rag_pipeline.tuning.answer_measures import Judged
from storage.records import LOCAL_OWNER, Principal
from storage.versions.values import ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorWanted:
    """What is to be made of which model, of which examples."""

    examples: Path | None = None
    """A file of them; without it those of the history."""
    min_score: float | None = None
    """Of the answers of the history."""
    base: str | None = None
    """As settings name a generator; None: the generator that is set."""
    name: str = "generator"
    """Of the versions that come of it."""
    activates: bool = True
    """Whether it may become what `version:NAME` means."""
    keep_adapter: bool = False
    """Keep what LoRA trained beside the merged weights, too."""
    plot: Path | None = None
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedGenerator:
    """What came of it."""

    kind: str
    base: str
    compared_with: str
    """What stood before."""
    model: ModelVersion | None
    """None: no step made the model better than it was, so there is nothing to register."""
    judged: Judged
    trained: Trained
    examples: Mapping[str, int]
    """By split."""
    left_out: Mapping[str, int]
    """By the reason."""
    is_activated: bool

    def as_json(self) -> dict[str, Any]:
        """The stable interface of `rag tune generator --json` and `rag tune preference --json`."""
        return {
            "model": None if self.model is None else self.model.reference,
            "weights_sha256": None if self.model is None else self.model.weights_sha256,
            "trained_on": self.kind,
            "base": self.base,
            "compared_with": self.compared_with,
            "examples": dict(self.examples),
            "left_out": dict(self.left_out),
            "held_out": self.judged.as_json(),
            "training": self.trained.as_json(),
            "better": self.judged.is_better,
            "because": self.judged.because,
            "activated": self.is_activated,
        }
