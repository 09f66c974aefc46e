"""`rag.models`: models as versions, of which one of a name is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag_pipeline.composition import Composition
from rag_pipeline.history.prompt_history import default_user
from rag_pipeline.versions.links import fetched
from rag_pipeline.versions.resolve import checked_folder
from storage.errors import NotFoundError
from storage.records import Principal
from storage.versions.values import (
    Activation,
    DatasetVersion,
    ModelKind,
    ModelVersion,
    VersionReference,
)

if TYPE_CHECKING:
    from rag_pipeline.versions.lineage import Node


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """Models that were registered; they are an owner's."""

    parts: Composition
    principal: Principal

    def list(self, *, name: str | None = None, kind: str | None = None) -> Sequence[ModelVersion]:
        """Newest first; none for whoever is not an owner."""
        if not self.principal.is_owner:
            return []
        return self.parts.versions.models(name=name, kind=kind)

    def show(self, reference: str) -> ModelVersion:
        """NAME@N, or the active one of NAME. Raises `NotFoundError`, `InvalidRecordError`."""
        self._check_owner(reference)
        return self.parts.versions.model(reference)

    def activations(self, name: str) -> Sequence[Activation]:
        """Which version was made active when, by whom and why, newest first."""
        self._check_owner(name)
        return self.parts.versions.activations(name)

    def answers(self, reference: str) -> int:
        """How many exchanges on record this version answered."""
        from storage.prompts.members import answers_by

        return answers_by(self.parts.database, self.show(reference).reference)

    def register(
        self,
        name: str,
        source: Path,
        *,
        kind: ModelKind,
        keep: Literal["file", "blob"] = "file",
        sha256: str | None = None,
        base: str | None = None,
        dataset: DatasetVersion | None = None,
        evaluated_on: DatasetVersion | None = None,
        parameters: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> ModelVersion:
        """Register a folder or file of weights, not yet active; the same files are one version.

        Raises `InvalidRecordError` for a pickle or foreign file, `NotFoundError`, `StorageError`.
        """
        self._check_owner(name)
        return self.parts.versions.add_model(
            name,
            kind=kind,
            folder=source,
            keep=keep,
            sha256=sha256,
            base=base,
            dataset=dataset,
            evaluated_on=evaluated_on,
            parameters=parameters,
            metrics=metrics,
            seed=seed,
        )

    def register_link(
        self,
        name: str,
        link: str,
        *,
        kind: ModelKind,
        sha256: str | None = None,
        base: str | None = None,
    ) -> ModelVersion:
        """Register what is behind a link: it is fetched once, to know its hash.

        Raises `WeightsMissingError` where nothing is there, and what `register` raises.
        """
        self._check_owner(name)
        VersionReference.of(name)
        with fetched(link) as found:
            return self.parts.versions.add_model(
                name, kind=kind, folder=found, link=link, sha256=sha256, base=base
            )

    def activate(
        self, name: str, version: int, *, reason: str = "", user: str | None = None
    ) -> ModelVersion:
        """Make it what `version:NAME` means from the next start of a program on.

        Raises `WeightsDamagedError` and `WeightsMissingError`, and then nothing has changed;
        `NotFoundError`, `InvalidRecordError` for a retired one.
        """
        self._check_owner(name)
        self._check_files(self.parts.versions.model(VersionReference(name, version)))
        return self.parts.versions.activate(name, version, reason=reason, user=self._who(user))

    def rollback(self, name: str, *, reason: str = "", user: str | None = None) -> ModelVersion:
        """Make the version active again that was before the one that is.

        Raises `NotFoundError` where there is none, and what `activate` raises.
        """
        self._check_owner(name)
        self._check_files(self.parts.versions.before(name))
        return self.parts.versions.rollback(name, reason=reason, user=self._who(user))

    def retire(
        self, name: str, version: int, *, reason: str = "", user: str | None = None
    ) -> ModelVersion:
        """Never use it again; it stays on record."""
        self._check_owner(name)
        return self.parts.versions.retire(name, version, reason=reason, user=self._who(user))

    def lineage(self, reference: str) -> "Node":
        """Where a version comes from."""
        from rag_pipeline.versions.lineage import lineage_of

        return lineage_of(self.show(reference), self.parts.versions)

    def publish(self, reference: str, server: str) -> str:
        """Put a version on an MLflow server, with all that is said of it; its link there.

        The same files are published once. Raises `RegistryError`.
        """
        from rag_pipeline.versions.mlflow import publish

        model = self.show(reference)
        return publish(model, self._check_files(model), server)

    def _check_files(self, model: ModelVersion) -> Path:
        return checked_folder(model, self.parts.versions, self.parts.weights)

    def _who(self, user: str | None) -> str:
        return user or default_user(self.principal)

    def _check_owner(self, reference: str) -> None:
        if not self.principal.is_owner:
            raise NotFoundError(f"there is no model {reference[:120]!r} for you")
