"""Where a model comes from, as a tree: its base, its data sets, and what those were made of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from storage.versions.registry import Versions
from storage.versions.values import REFERENCE_PREFIX, DatasetVersion, ModelVersion

DERIVED_FROM = "derived_from"
"""The key of a data set's metadata under which it names others, as NAME@N, that it was made of."""
_DEEPEST = 50
NodeKind = Literal["model", "dataset", "source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A model, a data set or what one was made of; `role` is what it is to the node above."""

    name: str
    kind: NodeKind
    role: str
    about: str
    parents: tuple["Node", ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        """In the form that `rag models lineage --json` prints."""
        return {
            "name": self.name,
            "kind": self.kind,
            "role": self.role,
            "about": self.about,
            "from": [parent.as_json() for parent in self.parents],
        }

    def lines(self) -> Iterator[str]:
        """The tree, as people read it."""
        yield _told(self)
        yield from _below(self.parents, "")


def lineage_of(model: ModelVersion, versions: Versions) -> Node:
    """Raises `NotFoundError` for a model or data set that is gone from the record."""
    return _model(model, versions, "", _DEEPEST)


def dataset_lineage(dataset: DatasetVersion, versions: Versions) -> Node:
    """The same for a data set."""
    return _dataset(dataset, versions, "", _DEEPEST)


def _model(model: ModelVersion, versions: Versions, role: str, depth: int) -> Node:
    parents = [] if model.base is None else [_base(model.base, versions, depth)]
    parents += [
        _dataset(versions.dataset(reference), versions, used.replace("_", " "), depth - 1)
        for used, reference in model.datasets
    ]
    return Node(
        name=model.reference,
        kind="model",
        role=role,
        about=f"{model.kind}, {model.state}, weights {model.weights_sha256[:12]}…",
        parents=tuple(parents),
    )


def _base(name: str, versions: Versions, depth: int) -> Node:
    if name.startswith(REFERENCE_PREFIX) and depth:
        return _model(versions.model(name), versions, "base", depth - 1)
    return Node(name=name, kind="model", role="base", about="not registered")


def _dataset(dataset: DatasetVersion, versions: Versions, role: str, depth: int) -> Node:
    named = dataset.metadata.get(DERIVED_FROM, ())
    others = [named] if isinstance(named, str) else [*named]
    parents = [
        _dataset(versions.dataset(other), versions, "derived from", depth - 1)
        for other in others
        if depth
    ]
    return Node(
        name=dataset.reference,
        kind="dataset",
        role=role,
        about=f"{dataset.kind}, sha256 {dataset.sha256[:12]}…",
        parents=(*parents, *_sources(dataset)),
    )


def _sources(dataset: DatasetVersion) -> Iterator[Node]:
    """What a data set was taken from: a collection, or the exchanges that a filter found."""
    said = {**dataset.metadata, **dataset.manifest}
    generation = said.get("generation")
    at = "" if generation is None else f"generation {generation}"
    if "filters" in said:
        yield _source("history", at, said["filters"])
    elif "collection" in said:
        yield _source(f"collection {said['collection']}", at, said.get("settings", {}))
    elif "record_set" in said:
        yield _source(f"record set {said['record_set']}", f"{said['records']} real records", {})
    elif dataset.location is not None:
        yield _source(f"file {dataset.location}", at, {})


def _source(name: str, at: str, chosen: Mapping[str, Any]) -> Node:
    said = ", ".join(f"{key} {value}" for key, value in chosen.items() if value not in (None, []))
    return Node(
        name=name, kind="source", role="taken from", about="; ".join(filter(None, (at, said)))
    )


def _below(nodes: Iterable[Node], indent: str) -> Iterator[str]:
    found = [*nodes]
    for node in found:
        is_last = node is found[-1]
        yield f"{indent}{'└── ' if is_last else '├── '}{node.role}: {_told(node)}"
        yield from _below(node.parents, indent + ("    " if is_last else "│   "))


def _told(node: Node) -> str:
    return f"{node.name} ({node.about})" if node.about else node.name
