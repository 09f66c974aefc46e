"""`rag tune generator` and `rag tune preference`: a generator that answers as it was told to.

Examples are split once, by what they ask: what is trained on, what the training stops by, and what
is held out. The model that stands answers what is held out; then a copy of the base is trained, and
merged, and the files that would be used are read back and answer the same. What surely answers
better is registered and made the active version of its name; anything else is registered alone.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from rag_pipeline.composition import Composition
from rag_pipeline.evaluation.comparison import compare
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.loop import Trained, train
from rag_pipeline.training.loss_curve import check_loss_curve, draw_loss_curve
from rag_pipeline.training.progress import Progress, ignore
from rag_pipeline.training.workplace import alone, result_folder
from rag_pipeline.tuning.adapters import Adapted, check_peft
from rag_pipeline.tuning.answer_examples import Example, sha256_of_examples
from rag_pipeline.tuning.answer_measures import NO_GAIN, Judged
from rag_pipeline.tuning.courses import Course
from rag_pipeline.tuning.divided import SHARES, Split, divide
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.generator_report import GeneratorWanted, TunedGenerator
from rag_pipeline.tuning.subjects import Subject, fitting, subject_of
from rag_pipeline.versions.resolve import checked_folder
from storage.errors import NotFoundError
from storage.versions.values import DatasetVersion, ModelVersion, checked_name

_FORM = 1
"""Raised when the same examples and settings give other weights."""


def tune_generator(
    parts: Composition,
    course: Course[Example],
    wanted: GeneratorWanted,
    *,
    observe: Callable[[Progress], None] = ignore,
    tell: Callable[[str], None] = lambda _: None,
) -> TunedGenerator:
    """Train a generator, measure what came of it, and register it; a run that was broken off goes
    on.

    `tell` hears, in a few words, what is being done. Raises `ExamplesError`, `TrainingError`,
    `NotFoundError`, `ModelError` for a base that can't be had or read, and `StorageError` where the
    disk takes no more; then nothing is registered.
    """
    run = _Run(parts, course, wanted, observe, tell)
    base = run.base()
    examples = run.examples()
    with alone(parts.settings.home, wanted.name) as folder:
        tell(f"writing the prompts of {len(examples)} examples")
        usable = fitting(base.prompting, examples)
        split = divide(usable, course.settings.seed)
        standing = run.standing(base)
        tell(f"{standing.name} answers {len(split.held_out)} questions held out")
        before = course.measure(standing, split.held_out)
        for asked in (base, standing):
            asked.rest()
        checkpoints = CheckpointFile(
            path=folder / f"{course.kind}.safetensors", fingerprint=run.fingerprint(base, split)
        )
        with result_folder(folder) as merged:
            trained = run.train(base, split, checkpoints, merged)
            judged = run.judged(merged, base, split, before) if trained.has_gained else NO_GAIN
            model = None
            if judged.found is not None:
                dataset = run.dataset(examples, split)
                model = run.registered(merged, base, standing, dataset, trained, judged)
        is_activated = model is not None and judged.is_better and wanted.activates
        if is_activated and model is not None:
            model = run.activated(model, judged)
        checkpoints.remove()
    if wanted.plot is not None:
        run.draw(wanted.plot, trained)
    return TunedGenerator(
        kind=course.kind,
        base=base.name,
        compared_with=standing.name,
        model=model,
        judged=judged,
        trained=trained,
        examples=split.counts,
        left_out=usable.left_out,
        is_activated=is_activated,
    )


@dataclass(frozen=True, slots=True)
class _Run(Generic[Example]):
    """The steps of one tuning."""

    parts: Composition
    course: Course[Example]
    wanted: GeneratorWanted
    observe: Callable[[Progress], None]
    tell: Callable[[str], None]

    def base(self) -> Subject:
        """The model to be trained; all that can be refused before any work is."""
        wanted, settings = self.wanted, self.course.settings
        if not wanted.principal.is_owner:
            raise NotFoundError(f"there is no model {wanted.name!r} for you")
        checked_name(wanted.name)
        if wanted.plot is not None:
            check_loss_curve(wanted.plot)
        if settings.adapter.method == "lora":
            check_peft()
        name = wanted.base or self.parts.settings.generator
        return subject_of(self.parts, name, threads=settings.threads)

    def examples(self) -> list[Example]:
        """Those of the file, or of the history. Raises `ExamplesError` where there are none."""
        if self.wanted.examples is not None:
            found = self.course.read(self.wanted.examples)
        else:
            found = self.course.of_history(
                self.parts.database,
                principal=self.wanted.principal,
                min_score=self.wanted.min_score,
            )
        if not found:
            source = self.wanted.examples or "the history"
            raise ExamplesError(
                f"{source} holds no {self.course.kind} to learn from: rate or correct answers"
            )
        return found

    def standing(self, base: Subject) -> Subject:
        """What has to be beaten: the active version of the name, or else the base."""
        active = self.parts.versions.active(self.wanted.name)
        if active is None or active.weights_sha256 == base.weights_sha256:
            return base
        folder = checked_folder(active, self.parts.versions, self.parts.weights)
        return replace(
            base, name=active.reference, folder=folder, weights_sha256=active.weights_sha256
        )

    def fingerprint(self, base: Subject, split: Split[Example]) -> str:
        """The same where the same steps would be taken."""
        about = {
            "form": _FORM,
            "kind": self.course.kind,
            "base": base.weights_sha256,
            "parameters": dict(self.course.parameters()),
            "rows": {
                name: [(sha256_of_examples([example]), prompt) for example, prompt in rows]
                for name, rows in split.rows.items()
            },
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def train(
        self, base: Subject, split: Split[Example], checkpoints: CheckpointFile, merged: Path
    ) -> Trained:
        """Train, and write what came of it to `merged` if it gained."""
        settings = self.course.settings
        self.tell(f"training on {split.counts['train']} examples")
        # cuBLAS gives the same sums each time only if it is told so before it starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        loaded = base.load()
        adapted = Adapted(loaded, settings.adapter, seed=settings.seed)
        task = self.course.task(adapted, loaded, split.rows["train"], split.rows["validation"])
        trained = train(task, settings.training, checkpoints=checkpoints, observe=self.observe)
        if trained.has_gained:
            _save(adapted, merged, keep_adapter=self.wanted.keep_adapter)
        return trained

    def dataset(self, examples: Sequence[Example], split: Split[Example]) -> DatasetVersion:
        """What it was trained on, on record."""
        known = [{"prompt_id": one.prompt_id} for one in examples if one.prompt_id is not None]
        return self.parts.versions.add_dataset(
            f"{self.wanted.name}-{self.course.kind}",
            kind=self.course.kind,
            sha256=sha256_of_examples(examples),
            manifest={
                "examples": len(examples),
                "used": split.counts,
                "shares": dict(SHARES),
                "seed": self.course.settings.seed,
            },
            location=None if self.wanted.examples is None else self.wanted.examples.resolve(),
            members=known or None,
        )

    def judged(
        self, merged: Path, base: Subject, split: Split[Example], before: Evaluation
    ) -> Judged:
        """How the files that would be used do on what is held out."""
        self.tell("what came of it answers the same questions")
        tuned = replace(base, name=f"{self.wanted.name}, tuned", folder=merged)
        return self.course.judge(compare(self.course.measure(tuned, split.held_out), before))

    def registered(
        self,
        merged: Path,
        base: Subject,
        standing: Subject,
        dataset: DatasetVersion,
        trained: Trained,
        judged: Judged,
    ) -> ModelVersion:
        """A version of it, which is not active."""
        return self.parts.versions.add_model(
            self.wanted.name,
            kind="generator",
            folder=merged,
            base=base.name,
            dataset=dataset,
            parameters={"base_weights_sha256": base.weights_sha256, **self.course.parameters()},
            metrics={
                "compared_with": standing.name,
                "held_out": judged.as_json(),
                "training": trained.as_json(),
                "because": judged.because,
            },
            seed=self.course.settings.seed,
        )

    def activated(self, model: ModelVersion, judged: Judged) -> ModelVersion:
        """What `version:NAME` means from now on."""
        return self.parts.versions.activate(model.name, model.version, reason=judged.because)

    def draw(self, path: Path, trained: Trained) -> None:
        draw_loss_curve(
            path,
            trained.losses,
            trained.validations,
            title=f"{self.wanted.name}: {self.course.kind}",
            measure="log-likelihood" if self.course.kind == "answers" else "loss, negative",
        )


def _save(adapted: Adapted, folder: Path, *, keep_adapter: bool) -> None:
    """Raise `TrainingError` where the disk takes no more."""
    from safetensors import SafetensorError

    try:
        if keep_adapter:
            adapted.save_adapter(folder / "adapter")
        adapted.save_merged(folder)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"the trained weights can't be written to {folder}: {error}; make room, and run it"
            " again: it goes on from its last checkpoint"
        ) from error
