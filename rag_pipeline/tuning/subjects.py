"""The models that are trained and measured: found, opened, and asked as `rag ask` asks them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from rag_pipeline.errors import ContextLengthError
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.loading import Loaded, load, reads_apart
from rag_pipeline.generation.prompt import Template
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.generation.transformers_model import TransformersModel
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.tuning.answer_examples import AnswerExample, Example, PreferenceExample
from rag_pipeline.tuning.prompting import Prompting
from rag_pipeline.weights.gguf import dequantised

if TYPE_CHECKING:
    from rag_pipeline.composition import Composition

_SERVERS = ("http://", "https://")


@dataclass(frozen=True)
class Subject:
    """A causal model in a folder of safetensors."""

    name: str
    folder: Path
    weights_sha256: str
    settings: GenerationSettings
    threads: int
    embed: Embed
    template: Template

    @cached_property
    def prompting(self) -> Prompting:
        """Asks it; its weights are read when that is first done."""
        model = TransformersModel(
            self.folder,
            name=self.name,
            weights_sha256=self.weights_sha256,
            threads=self.threads,
            device=self.settings.device,
            dtype="float32",
        )
        return Prompting(
            model=model, embed=self.embed, settings=self.settings, template=self.template
        )

    def rest(self) -> None:
        """Give back the memory of what asks it, until it is asked again."""
        self.__dict__.pop("prompting", None)

    def load(self) -> Loaded:
        """A copy of it to be trained, or asked what it holds of answers.

        Raises `GeneratorUnavailableError`, and `SettingsError` for a device that is not there.
        """
        return load(
            self.folder,
            name=self.name,
            threads=self.threads,
            device=self.settings.device,
            dtype="float32",
        )


def subject_of(parts: "Composition", name: str, *, threads: int) -> Subject:
    """The model of that name, as settings name generators; GGUF is de-quantised, once.

    Raises `TrainingError` for one that can't be trained here, `WeightsMissingError`.
    """
    if name.lower().startswith(_SERVERS):
        raise TrainingError(f"{name} is on a server: name a model of this machine")
    entry = parts.weights.catalogue.get(name)
    if entry is not None and entry.role != "generator":
        raise TrainingError(f"{name!r} is no model that writes: choose one of `rag models list`")
    found = parts.resolved(name, "generator")
    folder = dequantised(found, parts.weights)
    if reads_apart(folder):
        raise TrainingError(
            f"the model {name!r} reads with an encoder, like T5, and can't be trained here: name"
            " one that goes on from what it reads"
        )
    return Subject(
        name=found.name,
        folder=folder,
        weights_sha256=found.weights_sha256,
        settings=parts.settings.generation,
        threads=threads,
        embed=parts.embedder.embed,
        template=parts.templates.find(parts.settings.generation.template),
    )


@dataclass(frozen=True, slots=True)
class Fitting(Generic[Example]):
    """Examples that a model can read, each with its prompt."""

    rows: list[tuple[Example, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many are not among them, by the reason."""


def fitting(prompting: Prompting, examples: Sequence[Example]) -> Fitting[Example]:
    """The examples with their prompts, but those without an answer, without a sentence that could
    be shown, and those that the model can't read to their end."""
    found: Fitting[Example] = Fitting()
    for example in examples:
        rendered, reason = _rendered(prompting, example)
        if reason is None:
            found.rows.append((example, rendered))
        else:
            found.left_out[reason] += 1
    return found


def _rendered(
    prompting: Prompting, example: AnswerExample | PreferenceExample
) -> tuple[str, str | None]:
    """The prompt, or why there is none."""
    answers = _answers(example)
    if not all(answer.strip() for answer in answers):
        return "", "an answer is empty"
    if len(set(answers)) < len(answers):
        return "", "both answers are the same"
    try:
        rendered = prompting.rendered(example.request)
    except ContextLengthError:
        return "", "too long for the model"
    if not rendered:
        return "", "no sentence to answer from"
    model = prompting.model
    # A blank before the answer, and the token that ends it.
    longest = model.count_tokens(rendered) + max(map(model.count_tokens, answers)) + 2
    return rendered, "too long for the model" if longest > model.context_tokens else None


def _answers(example: AnswerExample | PreferenceExample) -> list[str]:
    if isinstance(example, AnswerExample):
        return [example.answer]
    return [example.chosen, example.rejected]
