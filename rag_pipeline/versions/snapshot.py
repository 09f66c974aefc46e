"""Snapshots of collections, and what became of a data set since it was registered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rag_pipeline.datasets.files import sha256_of
from storage.corpus_manifest import CorpusManifest
from storage.versions.datasets import Member
from storage.versions.values import DatasetVersion

SNAPSHOT = "snapshot"
DOCUMENTS = "documents"
HISTORY = "history"
_KEYS = ("source", "external_id", "prompt_id")
"""The fields that say which thing a member is; all others say what it was."""
_SHOWN = 20
Change = Literal["added", "changed", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one list of members has and another has not; `changed` names what of it is other."""

    added: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether both are the same."""
        return not (self.added or self.changed or self.gone)

    def as_json(self) -> Mapping[str, Any]:
        """In the form that the command line prints, with the first of each."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "gone": len(self.gone),
            "examples": {
                "added": [*self.added[:_SHOWN]],
                "changed": {key: [*of] for key, of in [*self.changed.items()][:_SHOWN]},
                "gone": [*self.gone[:_SHOWN]],
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a data set can still be had as it was registered."""

    dataset: DatasetVersion
    problems: tuple[str, ...]
    """Of its file and its list, a sentence each."""
    difference: Difference
    """Between the corpus now and what is in it. What was added since takes nothing from it."""
    erased: int
    """Members that were erased on purpose."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is gone or changed."""
        return not (self.problems or self.difference.changed or self.difference.gone)

    def as_json(self) -> Mapping[str, Any]:
        """In the form that `rag datasets verify --json` prints."""
        return {
            "dataset": self.dataset.reference,
            "sha256": self.dataset.sha256,
            "whole": self.is_whole,
            "problems": [*self.problems],
            "erased": self.erased,
            **self.difference.as_json(),
        }


def snapshot_manifest(found: CorpusManifest, origins: Iterable[str]) -> Mapping[str, Any]:
    """What is said of a snapshot beside its list."""
    return {
        "collection": found.collection,
        "generation": found.generation,
        "origins": sorted(origins),
        "documents": found.documents,
        "sources": len(found.members),
    }


def difference(before: Iterable[Member], after: Iterable[Member]) -> Difference:
    """What `after` has otherwise than `before`. Things are told apart by where they were found; of
    several members for one thing, as in triples of one question, all count together."""
    old, new = _by_key(before), _by_key(after)
    return Difference(
        added=tuple(key for key in new if key not in old),
        changed={
            key: _changed_fields(old[key], new[key])
            for key in new
            if key in old and sorted(old[key], key=repr) != sorted(new[key], key=repr)
        },
        gone=tuple(key for key in old if key not in new),
    )


def _by_key(members: Iterable[Member]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for member in members:
        key = "#".join(str(member[name]) for name in _KEYS if name in member)
        found.setdefault(key, []).append(member)
    return found


def _changed_fields(old: list[Member], new: list[Member]) -> tuple[str, ...]:
    if len(old) != len(new):
        return ("count",)
    names = sorted({name for member in (*old, *new) for name in member})
    return tuple(
        name.removesuffix("_sha256")
        for name in names
        if sorted(str(one.get(name)) for one in old) != sorted(str(one.get(name)) for one in new)
    )


def file_problems(dataset: DatasetVersion) -> list[str]:
    """What is wrong with the files of an export, a sentence each."""
    return [
        problem
        for path, sha256 in files_of(dataset).items()
        if (problem := _problem(path, sha256)) is not None
    ]


def files_of(dataset: DatasetVersion) -> Mapping[Path, str]:
    """Where the files of an export were written, with the SHA-256 of each.

    None of a snapshot, nor of other data sets that were not written as a file of their own.
    """
    if dataset.location is None:
        return {}
    place = Path(dataset.location)
    if dataset.kind == DOCUMENTS:
        return {place: dataset.sha256}
    listed = dataset.manifest.get("files", ())
    return {place.parent / one["file"]: one["sha256"] for one in listed}


def _problem(path: Path, sha256: str) -> str | None:
    if not path.is_file():
        return f"the file {path} is gone"
    try:
        found = sha256_of(path)
    except OSError as error:
        return f"the file {path} can't be read: {error.strerror}"
    return None if found == sha256 else f"the file {path} was changed (its SHA-256 is another)"
