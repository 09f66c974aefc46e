"""What is wanted of a fit, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag_pipeline.synthetic.generator import Fitting
from storage.records import LOCAL_OWNER, Principal
from storage.versions.values import ModelVersion

if TYPE_CHECKING:
    from rag_pipeline.training.loop import Trained

LARGEST_BLOB = 8 * 2**20
"""Bytes of a model that are kept in the database unless it is said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitWanted:
    """What a generator learns, and how."""

    name: str
    """Of the set of records."""
    method: str | None = None
    """Of `methods.py`, with the kind of data or without; else what `default_method` says."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the method, in place of its defaults."""
    fitting: Fitting = field(default_factory=Fitting)
    target: str | None = None
    """The column that is to be told from the others, by which synthetic records are judged."""
    model: str | None = None
    """The name of its versions; else that of the set."""
    keep: Literal["blob", "file"] | None = None
    """Where; None: in the database up to `LARGEST_BLOB`."""
    link: str | None = None
    """An MLflow server that it is put on, too."""
    allow_few: bool = False
    allow_synthetic_parents: bool = False
    plot: Path | None = None
    principal: Principal = LOCAL_OWNER

    @property
    def model_name(self) -> str:
        return self.model or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What came of it."""

    model: ModelVersion
    method: str
    trained: "Trained"
    nearness: Mapping[str, float]
    """How near records that it draws come to those held out, by what is measured."""
    records: int
    """That were learnt from."""
    series: int | None
    """That these make, where they do."""
    link: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model.reference,
            "method": self.method,
            "dataset": self.model.datasets[0][1],
            "records": self.records,
            "series": self.series,
            "weights_sha256": self.model.weights_sha256,
            "storage": self.model.storage,
            "link": self.link,
            "nearness": dict(self.nearness),
            "parameters": dict(self.model.parameters),
            "training": self.trained.as_json(),
        }
