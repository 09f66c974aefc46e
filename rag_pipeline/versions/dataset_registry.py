"""`rag.datasets`: exports and snapshots as versions, checked and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION, Origins
from rag_pipeline.versions.snapshot import (
    DOCUMENTS,
    HISTORY,
    SNAPSHOT,
    Difference,
    Verification,
    difference,
    file_problems,
    snapshot_manifest,
)
from rag_pipeline.weights.digests import combined
from storage.errors import InvalidRecordError, NotFoundError
from storage.records import Origin, Principal
from storage.versions.datasets import Member
from storage.versions.values import DatasetVersion, checked_name

if TYPE_CHECKING:
    from rag_pipeline.datasets.export import ExportReport
    from rag_pipeline.history.export import TrainingReport


@dataclass(frozen=True, slots=True)
class DatasetRegistry:
    """Data sets that were registered; they are an owner's, for whom nothing is left out of them."""

    parts: Composition
    principal: Principal

    def list(self, *, name: str | None = None, kind: str | None = None) -> Sequence[DatasetVersion]:
        """Newest first; none for whoever is not an owner."""
        if not self.principal.is_owner:
            return []
        return self.parts.versions.datasets(name=name, kind=kind)

    def show(self, reference: str) -> DatasetVersion:
        """NAME@N, or the newest of NAME. Raises `NotFoundError`, `InvalidRecordError`."""
        self._check_owner(reference)
        return self.parts.versions.dataset(reference)

    def check_name(self, name: str) -> None:
        """Raise `InvalidRecordError` unless versions can have it, before work is done for it."""
        self._check_owner(checked_name(name))

    def members(self, reference: str) -> Sequence[Member]:
        """What is in it. Raises `NotFoundError`, also where that was not recorded."""
        found = self.parts.versions.members(self.show(reference).reference)
        if found is None:
            raise NotFoundError(f"what is in {reference} was not recorded; compare its files")
        return found

    def snapshot(
        self,
        name: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        as_of: int | str | None = None,
        origins: Origins = "real",
        metadata: Mapping[str, Any] | None = None,
    ) -> DatasetVersion:
        """Register what is in a collection, or was, by its hashes; no text is copied.

        The same content is the same version. Raises `NotFoundError`, `AsOfError`,
        `InvalidRecordError`.
        """
        from storage.corpus_manifest import corpus_manifest

        self.check_name(name)
        wanted = frozenset(Origin) if origins == "both" else frozenset({Origin(origins)})
        found = corpus_manifest(
            self.parts.database,
            collection,
            principal=self.principal,
            as_of=as_of,
            origins=wanted,
        )
        return self.parts.versions.add_dataset(
            name,
            kind=SNAPSHOT,
            manifest=snapshot_manifest(found, wanted),
            sha256=found.sha256,
            metadata=metadata,
            members=found.members,
        )

    def add_documents(self, name: str, report: "ExportReport") -> DatasetVersion:
        """Register the file that `rag.export` wrote."""
        self._check_owner(name)
        said = report.as_json()
        left_out = ("file", "sha256", "conflicts")
        return self.parts.versions.add_dataset(
            name,
            kind=DOCUMENTS,
            manifest={key: value for key, value in said.items() if key not in left_out},
            sha256=report.sha256,
            location=report.path.resolve(),
            members=report.members,
        )

    def add_history(
        self, name: str, report: "TrainingReport", filters: Mapping[str, Any]
    ) -> DatasetVersion:
        """Register the files that `rag.history.export` wrote; `filters` say of which exchanges."""
        self._check_owner(name)
        said = {key: value for key, value in report.as_json().items() if key != "files"}
        files = [
            {
                "split": split or None,
                "file": path.name,
                "examples": report.examples[split],
                "sha256": report.sha256[split],
            }
            for split, path in report.files.items()
        ]
        first = next(iter(report.files.values()))
        return self.parts.versions.add_dataset(
            name,
            kind=HISTORY,
            manifest={
                **said,
                **report.settings,
                "filters": {key: value for key, value in filters.items() if value},
                "generation": self.parts.reader.served().generation,
                "files": files,
            },
            sha256=combined(report.sha256),
            location=first.resolve(),
            members=[{"prompt_id": prompt_id} for prompt_id in dict.fromkeys(report.prompt_ids)],
        )

    def verify(self, reference: str) -> Verification:
        """Whether its file is as it was, and what of it is gone from the corpus or the history, or
        has changed there. Raises `NotFoundError`, `SealError` for a damaged list."""
        dataset = self.show(reference)
        members = self.parts.versions.members(dataset.reference)
        changes = Difference() if members is None else self._changes(dataset, members)
        return Verification(
            dataset=dataset,
            problems=tuple(file_problems(dataset)),
            difference=changes,
            erased=int(dataset.metadata.get("erased", 0)),
        )

    def diff(self, one: str, other: str) -> Difference:
        """What `other` has otherwise than `one`.

        Raises `NotFoundError`, and `InvalidRecordError` for data sets of different kinds.
        """
        first, second = self.show(one), self.show(other)
        if first.kind != second.kind:
            raise InvalidRecordError(
                f"{first.reference} is of the kind {first.kind} and {second.reference} of"
                f" {second.kind}; compare two of one kind"
            )
        return difference(self.members(first.reference), self.members(second.reference))

    def export(self, reference: str, folder: Path, *, overwrite: bool = False) -> Sequence[Path]:
        """Lay a data set out in `folder`: the same bytes for the same version, wherever.

        Raises `NotFoundError`, `DatasetError` where its file is gone or changed, or another file
        is in the way.
        """
        from rag_pipeline.versions.laying_out import lay_out

        dataset = self.show(reference)
        members = self.parts.versions.members(dataset.reference)
        return lay_out(dataset, members, folder, overwrite=overwrite)

    def _changes(self, dataset: DatasetVersion, members: Sequence[Member]) -> Difference:
        match dataset.kind:
            case "snapshot" | "documents":
                return self._changes_of_corpus(dataset, members)
            case "history":
                return self._changes_of_history(members)
            case "records":
                return self._changes_of_records(dataset, members)
            case _:
                return Difference()

    def _changes_of_corpus(self, dataset: DatasetVersion, members: Sequence[Member]) -> Difference:
        from storage.corpus_manifest import corpus_manifest

        names = frozenset(members[0]) if members else frozenset[str]()
        try:
            current = corpus_manifest(
                self.parts.database,
                dataset.manifest["collection"],
                principal=self.principal,
                origins=_origins_of(dataset),
            ).members
        except NotFoundError:
            current = ()
        compared = [{name: one[name] for name in one if name in names} for one in current]
        found = difference(members, compared)
        return found if dataset.kind == SNAPSHOT else replace(found, added=())

    def _changes_of_history(self, members: Sequence[Member]) -> Difference:
        from storage.prompts.members import prompts_there

        prompt_ids = [str(member["prompt_id"]) for member in members]
        there = prompts_there(self.parts.database, prompt_ids)
        return Difference(gone=tuple(one for one in prompt_ids if one not in there))

    def _changes_of_records(self, dataset: DatasetVersion, members: Sequence[Member]) -> Difference:
        """By the hash of each load."""
        try:
            batches = self.parts.record_sets.batches(dataset.manifest["record_set"])
        except NotFoundError:
            batches = []
        there = {batch.sha256 for batch in batches if batch.origin == "real"}
        return Difference(
            gone=tuple(one["sha256"] for one in members if one["sha256"] not in there)
        )

    def _check_owner(self, reference: str) -> None:
        if not self.principal.is_owner:
            raise NotFoundError(f"there is no data set {reference[:120]!r} for you")


def _origins_of(dataset: DatasetVersion) -> frozenset[Origin]:
    given = dataset.manifest.get("origins") or dataset.manifest["settings"]["origins"]
    return frozenset(map(Origin, given))
