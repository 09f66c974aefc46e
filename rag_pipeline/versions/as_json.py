"""Versions as JSON, in the forms that the command line and the HTTP service give."""

from collections.abc import Iterable, Mapping
from typing import Any

from storage.versions.values import Activation, DatasetVersion, ModelVersion


def dataset_json(dataset: DatasetVersion) -> dict[str, Any]:
    """One version of a data set."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "reference": dataset.reference,
        "kind": dataset.kind,
        "sha256": dataset.sha256,
        "location": dataset.location,
        "manifest": dict(dataset.manifest),
        "metadata": dict(dataset.metadata),
        "created_at": dataset.created_at.isoformat(),
    }


def model_json(model: ModelVersion) -> dict[str, Any]:
    """One version of a model."""
    return {
        "name": model.name,
        "version": model.version,
        "reference": model.reference,
        "kind": model.kind,
        "state": model.state,
        "base": model.base,
        "storage": model.storage,
        "location": model.location,
        "sha256": model.sha256,
        "weights_sha256": model.weights_sha256,
        "size_bytes": size_bytes(model),
        "files": {
            name: {"sha256": file.sha256, "size_bytes": file.size_bytes}
            for name, file in model.files.items()
        },
        "datasets": [{"role": role, "dataset": dataset} for role, dataset in model.datasets],
        "parameters": dict(model.parameters),
        "metrics": dict(model.metrics),
        "seed": model.seed,
        "code_version": model.code_version,
        "created_at": model.created_at.isoformat(),
    }


def activations_json(activations: Iterable[Activation]) -> list[Mapping[str, Any]]:
    """What was active when, newest first."""
    return [
        {
            "version": one.version,
            "action": one.action,
            "user": one.user,
            "reason": one.reason,
            "created_at": one.created_at.isoformat(),
        }
        for one in activations
    ]


def size_bytes(model: ModelVersion) -> int:
    """Of all its files."""
    return sum(file.size_bytes for file in model.files.values())
