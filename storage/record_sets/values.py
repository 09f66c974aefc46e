"""Sets of records as values: what a set is, what came into it together, and one record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from storage.errors import InvalidRecordError

RecordOrigin = Literal["real", "synthetic"]
WantedOrigin = Literal["real", "synthetic", "both"]
Verdict = Literal["passed", "unreviewed", "refused"]
"""Of a gate; unreviewed: let in, but they were too few to judge."""
Split = Literal["train", "holdout"]
DRAWERS = 10_000
"""Rows are hashed into so many: the first of them are held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    """A named set of records of one schema."""

    set_id: int
    name: str
    schema: Sequence[Mapping[str, Any]]
    """The columns in order, each with at least `name` and `kind`."""
    constraints: Sequence[Any]
    """What each record has to fulfil, in the words of whoever checks it."""
    about: Mapping[str, Any]
    holdout: float
    """The share of rows that is held out of training."""
    real: int
    """How many records there are, by origin."""
    synthetic: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """Records that came together: a load of real ones, or a sampling that was let in or refused."""

    batch_id: int
    set_name: str
    origin: RecordOrigin
    records: int
    """None of a refused batch."""
    sha256: str
    """Over schema and records, in their order."""
    source: str | None
    """Where real records were read from."""
    dataset: str | None
    """All that was real in the set once these records were in it, as NAME@N."""
    generator_id: str | None
    model_id: int | None
    model: str | None
    """The version that drew synthetic records, as version:NAME@N."""
    weights_sha256: str | None
    learnt_from: str | None
    """The data set version that the model learnt from, as NAME@N."""
    source_sha256: str | None
    """Of that."""
    seed: int | None
    conditions: Mapping[str, Any]
    sampling: Mapping[str, Any]
    verdict: Verdict | None
    """None for real records."""
    thresholds: Mapping[str, Any]
    report: Mapping[str, Any]
    code_version: str
    created_by: str
    created_at: datetime
    was_there: bool = field(default=False, compare=False)
    """Whether the same load had been added before, so that nothing was added now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record, with what it must never be parted from."""

    values: Mapping[str, Any]
    """By column, in their order: JSON values, times in ISO 8601 (UTC), images as PNG bytes."""
    origin: RecordOrigin
    generator_id: str | None
    batch_id: int
    seed: int | None
    position: int
    """From 0, in its batch."""
    split: Split


def origins_of(wanted: WantedOrigin) -> frozenset[RecordOrigin]:
    """Raises `InvalidRecordError` for what is none of the three."""
    match wanted:
        case "real" | "synthetic":
            return frozenset({wanted})
        case "both":
            return frozenset({"real", "synthetic"})
    raise InvalidRecordError(f"{wanted!r} is no origin: name real, synthetic or both")


def split_of(drawer: int, holdout: int) -> Split:
    """Where a row belongs whose hash is in `drawer`, when `holdout` drawers are held out."""
    return "holdout" if drawer < holdout else "train"
