"""Sets of records and their batches as JSON, as the command line and the HTTP service give them."""

from collections.abc import Sequence
from typing import Any

from storage.record_sets.values import RecordBatch, RecordSet
from storage.versions.values import ModelVersion


def set_json(found: RecordSet, models: Sequence[ModelVersion]) -> dict[str, Any]:
    """A set, and what learnt it."""
    roles = {column.get("role"): column["name"] for column in found.schema}
    return {
        "name": found.name,
        "real": found.real,
        "synthetic": found.synthetic,
        "holdout": found.holdout,
        "columns": [dict(column) for column in found.schema],
        "series": roles.get("series"),
        "time": roles.get("time"),
        "constraints": [*found.constraints],
        "created_at": found.created_at.isoformat(),
        "models": [_model_json(model) for model in models],
    }


def batch_json(batch: RecordBatch) -> dict[str, Any]:
    """A load or a sampling, with all that is known of where it is from."""
    return {
        "batch_id": batch.batch_id,
        "set": batch.set_name,
        "origin": batch.origin,
        "records": batch.records,
        "sha256": batch.sha256,
        "source": batch.source,
        "dataset": batch.dataset,
        "generator_id": batch.generator_id,
        "model": batch.model,
        "weights_sha256": batch.weights_sha256,
        "source_sha256": batch.source_sha256,
        "seed": batch.seed,
        "conditions": dict(batch.conditions),
        "sampling": dict(batch.sampling),
        "verdict": batch.verdict,
        "thresholds": dict(batch.thresholds),
        "code_version": batch.code_version,
        "created_by": batch.created_by,
        "created_at": batch.created_at.isoformat(),
    }


def nearness(model: ModelVersion) -> dict[str, float]:
    """How near what it draws comes to records held out, by what was measured."""
    return {name: one for name, one in model.metrics.items() if isinstance(one, float)}


def _model_json(model: ModelVersion) -> dict[str, Any]:
    return {
        "reference": model.reference,
        "state": model.state,
        "method": model.parameters.get("method"),
        "dataset": next((name for _, name in model.datasets), None),
        "seed": model.seed,
        "storage": model.storage,
        "weights_sha256": model.weights_sha256,
        "nearness": nearness(model),
        "created_at": model.created_at.isoformat(),
    }
