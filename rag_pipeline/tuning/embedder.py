"""`rag tune embedder`: the order of its steps.

Data, what stands measured on questions held out, training, the same measured again, and only then
a registered version: with its data set, its base, its parameters and its figures. It becomes the
active one only if it is surely better than what stands.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.composition import Composition
from rag_pipeline.datasets.files import sha256_of
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.loop import Trained, train
from rag_pipeline.training.loss_curve import check_loss_curve, draw_loss_curve
from rag_pipeline.training.progress import Progress, ignore
from rag_pipeline.training.settings import TrainingSettings
from rag_pipeline.training.workplace import alone, result_folder
from rag_pipeline.tuning.data import TuningData, divided
from rag_pipeline.tuning.encoder import EncoderSettings, EncoderTraining
from rag_pipeline.tuning.from_documents import DocumentsWanted, data_of_documents, documents_of
from rag_pipeline.tuning.judged import held_out_of_judged
from rag_pipeline.tuning.judging import Judged, compared, judge
from rag_pipeline.tuning.model_files import write_encoder
from rag_pipeline.tuning.ranking import MEASURE
from rag_pipeline.tuning.triples import read_triples, sha256_of_triples, triples_of_history
from rag_pipeline.versions.lineage import DERIVED_FROM
from rag_pipeline.versions.resolve import checked_folder
from storage.errors import NotFoundError
from storage.records import LOCAL_OWNER, Principal
from storage.versions.datasets import Member
from storage.versions.values import DatasetVersion, ModelKind, ModelVersion, checked_name

if TYPE_CHECKING:
    from rag_pipeline.weights.store import ResolvedModel

TRAINING = TrainingSettings(epochs=1, batch_size=32, learning_rate=2e-5)
ENCODER = EncoderSettings(frozen_layers=3)
MOST_TRIPLES = 2_000
_DATASET_KIND = "triples"
_MODEL_KIND: ModelKind = "embedder"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderWanted:
    """What is to be trained, on what, and what becomes of it."""

    triples: Path | None = None
    """A file of triples; without it and `from_history` the documents of the collection."""
    from_history: bool = False
    min_score: float | None = None
    """Of the answers of the history."""
    judged: Path | None = None
    """A folder of judged questions: half stop the training, the others judge what came of it."""
    collection: str = DEFAULT_COLLECTION
    base: str | None = None
    """A model of `rag models list`, a folder or `version:NAME`; None: the embedder that is set."""
    name: str = "embedder"
    """Of the versions that are registered."""
    decides: Mode = "hybrid"
    """The search that has to become better."""
    activates: bool = True
    training: TrainingSettings = TRAINING
    encoder: EncoderSettings = ENCODER
    most: int = MOST_TRIPLES
    """Triples that are made of documents."""
    plot: Path | None = None
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedEmbedder:
    """What came of it."""

    model: ModelVersion
    dataset: DatasetVersion
    stands: str
    """What it was compared with."""
    triples: int
    questions: int
    """Held out, that it was judged by."""
    trained: Trained
    judged: Judged
    is_surely_better: bool
    is_activated: bool

    def as_json(self) -> dict[str, Any]:
        """The stable interface of `rag tune embedder --json`."""
        return {
            "model": self.model.reference,
            "weights_sha256": self.model.weights_sha256,
            "dataset": self.dataset.reference,
            "base": self.model.base,
            "compared_with": self.stands,
            "triples": self.triples,
            "questions": self.questions,
            "metric": MEASURE.name,
            "held_out": self.judged.as_json(),
            "training": self.trained.as_json(),
            "better": self.is_surely_better,
            "activated": self.is_activated,
        }


def tune_embedder(
    parts: Composition,
    wanted: EmbedderWanted,
    *,
    observe: Callable[[Progress], None] = ignore,
    tell: Callable[[str], None] = lambda _: None,
) -> TunedEmbedder:
    """Train an embedder, and register what came of it; a run that was broken off goes on.

    `tell` hears, in a few words, what is being done. Raises `ExamplesError`, `TrainingError`,
    `EvaluationError`, `NotFoundError`, `WeightsMissingError`; then no version is registered.
    """
    if not wanted.principal.is_owner:
        raise NotFoundError(f"there is no model {wanted.name!r} for you")
    checked_name(wanted.name)
    if wanted.plot is not None:
        check_loss_curve(wanted.plot)
    base = parts.resolved(wanted.base or parts.settings.embedder, _MODEL_KIND)
    with alone(parts.settings.home, wanted.name) as folder:
        tell("gathering what there is to learn from")
        data = _data(parts, wanted)
        return _Run(parts, wanted, base, data, folder, observe, tell).run()


@dataclass(frozen=True, slots=True)
class _Run:
    """One training, from its data to its version."""

    parts: Composition
    wanted: EmbedderWanted
    base: "ResolvedModel"
    data: TuningData
    folder: Path
    observe: Callable[[Progress], None]
    tell: Callable[[str], None]

    def run(self) -> TunedEmbedder:
        checkpoints = CheckpointFile(
            path=self.folder / "checkpoint.safetensors", fingerprint=self._fingerprint()
        )
        task = EncoderTraining(
            self.base.folder,
            self.data.triples,
            self.data.held_out.validation,
            self.wanted.encoder,
        )
        self.tell(f"training on {len(self.data.triples)} triples")
        trained = train(task, self.wanted.training, checkpoints=checkpoints, observe=self.observe)
        with result_folder(self.folder) as result:
            write_encoder(task.encoder, self.base.folder, result)
            tuned = self._registered(result, trained)
        checkpoints.remove()
        if self.wanted.plot is not None:
            self._draw(self.wanted.plot, trained)
        return tuned

    def _registered(self, result: Path, trained: Trained) -> TunedEmbedder:
        stands, folder = self._stands()
        held_out, settings = self.data.held_out, self.parts.settings
        self.tell(f"judging {stands} by {len(held_out.test.texts)} questions held out")
        before = judge(settings, folder, held_out)
        self.tell("judging what came of the training by the same")
        judged = compared(before, judge(settings, result, held_out))
        is_better = trained.has_gained and judged.is_surely_better(self.wanted.decides)
        versions = self.parts.versions
        dataset = self._dataset()
        model = versions.add_model(
            self.wanted.name,
            kind=_MODEL_KIND,
            folder=result,
            base=self.base.name,
            dataset=dataset,
            parameters=self._parameters(),
            metrics=self._metrics(stands, judged, trained),
            seed=self.wanted.training.seed,
        )
        is_activated = is_better and self.wanted.activates
        if is_activated:
            gain = judged.by_mode[self.wanted.decides].difference
            reason = f"{MEASURE.name} of {self.wanted.decides} search {gain.mean:+.4f}"
            model = versions.activate(model.name, model.version, reason=reason)
        return TunedEmbedder(
            model=model,
            dataset=dataset,
            stands=stands,
            triples=len(self.data.triples),
            questions=len(held_out.test.texts),
            trained=trained,
            judged=judged,
            is_surely_better=is_better,
            is_activated=is_activated,
        )

    def _stands(self) -> tuple[str, Path]:
        """The active version of the name, or else the base."""
        active = self.parts.versions.active(self.wanted.name)
        if active is None:
            return self.base.name, self.base.folder
        return active.reference, checked_folder(active, self.parts.versions, self.parts.weights)

    def _dataset(self) -> DatasetVersion:
        data, file = self.data, self.wanted.triples
        files = {} if file is None else {file.name: sha256_of(file)}
        return self.parts.versions.add_dataset(
            f"{self.wanted.name}-triples",
            kind=_DATASET_KIND,
            manifest={
                "triples": len(data.triples),
                "validation_questions": len(data.held_out.validation.questions),
                "test_questions": len(data.held_out.test.texts),
                "judgments_sha256": data.held_out.test.sha256,
                "files": [{"file": name, "sha256": digest} for name, digest in files.items()],
            },
            sha256=sha256_of_triples(data.triples),
            location=None if file is None else file.resolve(),
            metadata={
                "source": data.source,
                "collection": self.wanted.collection,
                "generation": self.parts.reader.served().generation,
                DERIVED_FROM: self._exports_of({*files.values()}),
            },
            members=data.members or None,
        )

    def _exports_of(self, digests: Set[str]) -> list[str]:
        """Data sets on record that a file of triples belongs to."""
        return [
            dataset.reference
            for dataset in (self.parts.versions.datasets() if digests else ())
            if digests & {file["sha256"] for file in dataset.manifest.get("files", ())}
            and dataset.kind != _DATASET_KIND
        ]

    def _parameters(self) -> dict[str, Any]:
        return {
            "base_weights_sha256": self.base.weights_sha256,
            "source": self.data.source,
            "min_score": self.wanted.min_score,
            "training": self.wanted.training.as_json(),
            "encoder": asdict(self.wanted.encoder),
        }

    def _metrics(self, stands: str, judged: Judged, trained: Trained) -> Mapping[str, Any]:
        return {
            "metric": MEASURE.name,
            "compared_with": stands,
            "held_out": judged.as_json(),
            "training": trained.as_json(),
        }

    def _fingerprint(self) -> str:
        """The same for runs that take the same steps."""
        validation = self.data.held_out.validation
        said = json.dumps(
            [
                self._parameters(),
                sha256_of_triples(self.data.triples),
                dict(validation.questions),
                [*validation.passages],
                [*validation.documents],
                {query: dict(grades) for query, grades in validation.grades.items()},
            ]
        )
        return hashlib.sha256(said.encode()).hexdigest()

    def _draw(self, path: Path, trained: Trained) -> None:
        draw_loss_curve(
            path,
            trained.losses,
            trained.validations,
            title=f"{self.wanted.name}: {len(self.data.triples)} triples",
            measure=MEASURE.name,
        )


def _data(parts: Composition, wanted: EmbedderWanted) -> TuningData:
    documents = DocumentsWanted(
        collection=wanted.collection,
        principal=wanted.principal,
        triples=wanted.most,
        seed=wanted.training.seed,
    )
    if wanted.triples is None and not wanted.from_history:
        return data_of_documents(parts, documents, wanted.judged)
    members: Sequence[Member] = ()
    if wanted.triples is not None:
        source, triples = wanted.triples.name, read_triples(wanted.triples)
    else:
        source = "history"
        triples, members = triples_of_history(
            parts.database, principal=wanted.principal, min_score=wanted.min_score
        )
    seed = wanted.training.seed
    if wanted.judged is None:
        learnt, held_out = divided(triples, seed=seed)
    else:
        records, passages = documents_of(parts, documents)
        learnt, held_out = triples, held_out_of_judged(wanted.judged, records, passages, seed=seed)
    return TuningData(source=source, triples=learnt, held_out=held_out, members=members)
