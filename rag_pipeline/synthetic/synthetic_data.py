"""`rag.synthetic`: sets of records, the generators that learnt them, and what these draw."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_pipeline.composition import Composition
from rag_pipeline.history.prompt_history import default_user
from rag_pipeline.training.progress import Progress, ignore
from storage.errors import NotFoundError
from storage.record_sets.values import RecordBatch, RecordSet, StoredRecord, WantedOrigin
from storage.records import Principal
from storage.versions.values import ModelVersion

if TYPE_CHECKING:
    from rag_pipeline.synthetic.exporting import Exported, ExportWanted
    from rag_pipeline.synthetic.fitting_report import Fitted, FitWanted
    from rag_pipeline.synthetic.record_loading import Loaded, LoadWanted
    from rag_pipeline.synthetic.sampling_report import Sampled, SampleWanted
    from rag_pipeline.synthetic.texts.questions import QuestionsWanted, Tally, WrittenQuestion

KIND = "synthetic"
"""Of the versions of models that draw records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What went."""

    records: int
    models: tuple[str, ...]
    """Versions whose weights are removed."""

    def as_json(self) -> dict[str, Any]:
        return {"records": self.records, "models": [*self.models]}


@dataclass(frozen=True, slots=True)
class SyntheticData:
    """Records that are real and records that were drawn, which are an owner's."""

    parts: Composition
    principal: Principal

    def load(self, wanted: "LoadWanted") -> "Loaded":
        """Real records into a set, from a file or a query.

        Raises `TableError`, `SyntheticError`, `StorageError`; then nothing is added.
        """
        from rag_pipeline.synthetic.record_loading import load

        return load(self.parts, replace(wanted, principal=self.principal))

    def fit(
        self,
        wanted: "FitWanted",
        *,
        observe: Callable[[Progress], None] = ignore,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "Fitted":
        """Learn a set's records, and keep what came of it as a version.

        Run again after it was broken off, it goes on. Raises `SyntheticError`, `TrainingError`,
        `NotFoundError`; then nothing is registered.
        """
        from rag_pipeline.synthetic.fitting import fit

        asked = replace(wanted, principal=self.principal)
        return fit(self.parts, asked, observe=observe, tell=tell)

    def sample(
        self, wanted: "SampleWanted", *, tell: Callable[[str], None] = lambda _: None
    ) -> "Sampled":
        """Draw records, judge them, and store them if they pass the gate.

        Raises `SyntheticError`, `FilterError`, `NotFoundError`, `ModelError`; then nothing is
        stored. `DatasetError` says that `out` can't be written, of what may be stored by then.
        """
        from rag_pipeline.synthetic.exporting import ExportWanted, check_form
        from rag_pipeline.synthetic.sampling import sample

        if wanted.out is not None:
            check_form(wanted.out)
        sampled = sample(self.parts, replace(wanted, principal=self.principal), tell=tell)
        if wanted.out is not None and sampled.stored:
            self.export(
                ExportWanted(
                    name=wanted.name,
                    path=wanted.out,
                    origin="synthetic",
                    batch_id=sampled.batch_id,
                )
            )
        return sampled

    def questions(
        self, wanted: "QuestionsWanted", *, tell: "Callable[[Tally], None]" = lambda _: None
    ) -> "Iterator[WrittenQuestion]":
        """Questions about stored documents with the spans that answer them, as they are written.

        Raises `NotFoundError`, `ModelError`, and `SettingsError` where no generator is set.
        """
        from rag_pipeline.synthetic.texts.questions import questions_of

        return questions_of(self.parts, replace(wanted, principal=self.principal), tell=tell)

    def sets(self) -> Sequence[RecordSet]:
        """All sets by name; none for whoever is not an owner."""
        return self.parts.record_sets.sets() if self.principal.is_owner else []

    def get(self, name: str) -> RecordSet:
        """Raises `NotFoundError`."""
        self._check_owner(name)
        return self.parts.record_sets.get(name)

    def models(self, name: str) -> Sequence[ModelVersion]:
        """Versions that learnt the set, newest first. Raises `NotFoundError`."""
        self.get(name)
        known = self.parts.versions.models(kind=KIND)
        return [model for model in known if model.parameters.get("set") == name]

    def batches(self, name: str) -> Sequence[RecordBatch]:
        """Loads and samplings in their order, the refused among them. Raises `NotFoundError`."""
        self._check_owner(name)
        return self.parts.record_sets.batches(name)

    def batch(self, name: str, batch_id: int) -> RecordBatch:
        """Raises `NotFoundError`."""
        for found in self.batches(name):
            if found.batch_id == batch_id:
                return found
        raise NotFoundError(f"{name!r} has no batch {batch_id}; `rag synth show {name}` lists them")

    def rows(
        self, name: str, origin: WantedOrigin, *, batch_id: int | None = None
    ) -> Iterator[StoredRecord]:
        """The records of a set, of the origin that is named. Raises `NotFoundError`."""
        self._check_owner(name)
        return self.parts.record_sets.rows(name, origin, batch_id=batch_id)

    def report(self, name: str, batch_id: int | None = None) -> Mapping[str, Any]:
        """How a sampling was judged: that batch, or the newest. Raises `NotFoundError`."""
        return self.judged_batch(name, batch_id).report

    def judged_batch(self, name: str, batch_id: int | None = None) -> RecordBatch:
        """The batch of that number, or the newest sampling. Raises `NotFoundError`."""
        found = [one for one in self.batches(name) if one.origin == "synthetic"]
        if batch_id is not None:
            found = [one for one in found if one.batch_id == batch_id]
        if not found:
            what = "no sampling yet" if batch_id is None else f"no sampling {batch_id}"
            raise NotFoundError(f"{name!r} has {what}; `rag synth show {name}` lists them")
        return found[-1]

    def export(self, wanted: "ExportWanted") -> "Exported":
        """Records as a file that tags each, with a data card beside it.

        Raises `NotFoundError`, `DatasetError` where files are in the way or can't be written.
        """
        from rag_pipeline.synthetic.exporting import export

        self._check_owner(wanted.name)
        return export(self.parts.record_sets, wanted)

    def delete(self, name: str) -> "Deleted":
        """Remove a set, all its records, and the weights of what learnt them.

        That there were such models stays on record. Raises `NotFoundError`.
        """
        models = [self._discarded(model) for model in self.models(name) if model.state != "retired"]
        return Deleted(records=self.parts.record_sets.delete(name), models=tuple(models))

    def delete_batch(self, name: str, batch_id: int) -> "Deleted":
        """Remove a batch with its records or its report. Raises `NotFoundError`."""
        found = self.batch(name, batch_id)
        return Deleted(records=self.parts.record_sets.delete_batch(found.batch_id), models=())

    def delete_model(self, name: str, reference: str) -> "Deleted":
        """Retire a version, and remove its weights and all that it drew. Raises `NotFoundError`."""
        wanted = self.parts.versions.model(reference)
        if wanted not in self.models(name):
            raise NotFoundError(f"{wanted.reference} did not learn {name!r}; `rag synth list`")
        drawn = [one for one in self.batches(name) if one.model_id == wanted.model_id]
        records = sum(self.parts.record_sets.delete_batch(one.batch_id) for one in drawn)
        return Deleted(records=records, models=(self._discarded(wanted),))

    def _discarded(self, model: ModelVersion) -> str:
        user = default_user(self.principal)
        self.parts.versions.discard(model.name, model.version, reason="deleted", user=user)
        return model.reference

    def _check_owner(self, name: str) -> None:
        if not self.principal.is_owner:
            raise NotFoundError(f"there is no set of records {name[:120]!r} for you")
