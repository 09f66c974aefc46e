"""Under which circumstances a question was answered: what it takes to ask it again.

The record of an exchange holds the question, the prompt and the sampling. What else decides an
answer is kept beside them: for whom the documents were searched, how the answer was to be made, the
fence of its prompt, and the settings of then, all as one hash and by name where somebody set them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rag_pipeline.generation.confidence import Judge
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.retrieval.settings import RetrievalSettings
from storage.reading import REAL_ONLY
from storage.records import EmbeddingSpace, Origin, Principal, PromptId

_NOT_IN_ANSWERS = {
    "server",
    "template",
    "max_new_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
}
"""Settings that are on record otherwise, or that are secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How a question was asked, beside the question itself."""

    principal: Principal
    """Who searched: what may be evidence depends on it."""
    extractive: bool
    """Whether no model was to be asked."""
    strict: bool
    origins: frozenset[Origin] = REAL_ONLY
    """What might be evidence."""
    instructions: str = ""
    fence: str = ""
    """What the passages were fenced with; empty: nothing."""
    follows: tuple[PromptId, ...] = ()
    """The exchanges before it that were taken into account, oldest first."""
    told: int = 0
    """How many turns before it came with the question instead, and stand among its messages."""
    settings: Mapping[str, Any]
    """Those that are not as the program comes with them."""
    settings_sha256: str
    """Of all that may change an answer: settings, calibration and embedder."""

    def as_json(self) -> dict[str, Any]:
        """As the history keeps it; what is empty is left out."""
        principal = {
            "name": self.principal.name,
            "labels": sorted(self.principal.labels),
            "groups": sorted(self.principal.groups),
            "is_owner": self.principal.is_owner,
        }
        whole = {
            "principal": {key: value for key, value in principal.items() if value},
            "extractive": self.extractive,
            "strict": self.strict,
            "origins": [] if self.origins == REAL_ONLY else sorted(self.origins),
            "instructions": self.instructions,
            "fence": self.fence,
            "follows": list(self.follows),
            "told": self.told,
            "settings": dict(self.settings),
            "settings_sha256": self.settings_sha256,
        }
        return {key: value for key, value in whole.items() if value not in ("", [], {}, 0)}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Circumstances":
        """What `as_json` gave. Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError` for
        anything else."""
        asker = stored["principal"]
        return cls(
            principal=Principal(
                name=str(asker["name"]),
                labels=frozenset(asker.get("labels", ())),
                groups=frozenset(asker.get("groups", ())),
                is_owner=asker.get("is_owner") is True,
            ),
            extractive=stored.get("extractive") is True,
            strict=stored.get("strict") is True,
            origins=frozenset(map(Origin, stored.get("origins", REAL_ONLY))),
            instructions=stored.get("instructions", ""),
            fence=stored.get("fence", ""),
            follows=tuple(map(PromptId, stored.get("follows", ()))),
            told=int(stored.get("told", 0)),
            settings=stored.get("settings", {}),
            settings_sha256=stored["settings_sha256"],
        )


def chosen(generation: GenerationSettings, retrieval: RetrievalSettings) -> dict[str, Any]:
    """The settings that are not as the program comes with them, by section."""
    sections = {
        "generation": generation.model_dump(
            mode="json", exclude_defaults=True, exclude=_NOT_IN_ANSWERS
        ),
        "retrieval": retrieval.model_dump(mode="json", exclude_defaults=True),
    }
    return {name: values for name, values in sections.items() if values}


def fingerprint(
    generation: GenerationSettings,
    retrieval: RetrievalSettings,
    judge: Judge,
    space: EmbeddingSpace | None,
) -> str:
    """The same for as long as nothing changes that answers depend on, but documents and model."""
    about = {
        "generation": generation.model_dump(mode="json", exclude=_NOT_IN_ANSWERS),
        "retrieval": retrieval.model_dump(mode="json"),
        "grounded_at": judge.grounded_at,
        "calibration": judge.calibration.as_json(),
        "space": None if space is None else asdict(space),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
