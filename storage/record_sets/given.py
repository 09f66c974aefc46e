"""What is said of sets and of batches, checked: as every database can keep it."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.clock import now
from storage.errors import InvalidRecordError
from storage.names import check_name
from storage.record_sets.coding import checked_columns
from storage.record_sets.values import DRAWERS
from storage.versions.registry import code_version, user_name
from storage.versions.values import checked_json, checked_name, checked_seed

Json = Mapping[str, Any]


def new_set(
    name: str, schema: Sequence[Json], constraints: Sequence[Any], about: Json | None, share: float
) -> dict[str, Any]:
    """A row of a set. Raises `InvalidRecordError`."""
    if not 0 <= share <= 1:
        raise InvalidRecordError(f"{share} can't be held out; give a share from 0 to 1")
    return {
        "name": checked_name(name),
        "columns": checked_columns(schema),
        "constraints": checked_json("constraints", {"": [*constraints]})[""],
        "about": checked_json("description", about),
        "holdout": round(share * DRAWERS),
        "created_at": now(),
    }


def provenance(
    generator_id: str,
    seed: int,
    conditions: Json | None,
    sampling: Json | None,
    thresholds: Json | None,
    report: Json | None,
) -> dict[str, Any]:
    """What is said of synthetic records, as a database can keep it."""
    check_name(generator_id, "a generator")
    return {
        "origin": "synthetic",
        "generator_id": generator_id,
        "seed": checked_seed(seed),
        "conditions": checked_json("conditions", conditions),
        "sampling": checked_json("sampling parameters", sampling),
        "thresholds": checked_json("thresholds", thresholds),
        "report": checked_json("report", report),
    }


def made(user: str | None) -> dict[str, Any]:
    """Who did it with what, and when."""
    return {
        "code_version": code_version(),
        "created_by": user_name(user),
        "created_at": now(),
    }
