"""What is wanted of a sampling, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rag_pipeline.synthetic.judging.gate import Verdict
from rag_pipeline.synthetic.judging.measure import Judged
from rag_pipeline.synthetic.judging.report import report_of
from rag_pipeline.synthetic.tables.table import Table
from storage.records import LOCAL_OWNER, Principal
from storage.versions.values import ModelVersion

MOST_RECORDS = 1_000_000
"""In one batch: all of it is in memory while it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleWanted:
    """What is drawn, and what it must be like."""

    name: str
    """Of the set of records."""
    count: int
    """Of records; of whole series, where these are what the set has."""
    model: str | None = None
    """NAME@N; else the active version of the set's name, or its newest."""
    where: str | None = None
    """What each record has to be, in the language of filters."""
    seed: int | None = None
    """None: one that no batch of the set was drawn with."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """In place of the defaults, by name."""
    target: str | None = None
    """Else what the model was fitted with."""
    slices: tuple[str, ...] = ()
    """Columns by whose values the report is divided."""
    allow_unreviewed: bool = False
    """Whether records are stored that are too few to be judged."""
    dry_run: bool = False
    """Judge, and store nothing."""
    most_records: int = MOST_RECORDS
    """That so many series may be expected to have."""
    out: Path | None = None
    """A file that gets what is stored."""
    principal: Principal = LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What was drawn, and what became of it."""

    wanted: SampleWanted
    model: ModelVersion
    seed: int
    drawn: Table
    """Without copies; also what was refused."""
    series: int | None
    """That these make, where they do."""
    copies: int
    """That were dropped."""
    judgement: Judged
    pictures: Mapping[str, Any] | None
    """What the report shows of them."""
    verdict: Verdict
    is_accepted: bool
    """Whether it may be stored."""
    drawn_at: datetime
    batch_id: int | None
    """Under which it is stored, or its report is; None: nothing was."""

    @property
    def stored(self) -> int:
        """How many records were."""
        return len(self.drawn) if self.is_accepted and self.batch_id is not None else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "set": self.wanted.name,
            "model": self.model.reference,
            "batch_id": self.batch_id,
            "stored": self.stored,
            "accepted": self.is_accepted,
            "report": self.report(),
        }

    def sampling(self) -> dict[str, Any]:
        """How it was drawn."""
        return {
            "asked": self.wanted.count,
            "drawn": len(self.drawn),
            **({} if self.series is None else {"series": self.series}),
            "copies_dropped": self.copies,
            "seed": self.seed,
            "where": self.wanted.where,
            "method": self.model.parameters["method"],
        }

    def report(self) -> dict[str, Any]:
        """What is kept of it whether it is stored or not."""
        model = self.model
        return report_of(
            self.verdict,
            self.judgement,
            provenance={
                "set": self.wanted.name,
                "generator": model.reference,
                "dataset": next(name for _, name in model.datasets),
                "weights_sha256": model.weights_sha256,
                "depth": model.parameters.get("depth"),
                **self.sampling(),
                "drawn_at": self.drawn_at.isoformat(timespec="seconds"),
            },
            training=model.metrics.get("curve"),
            pictures=self.pictures,
        )
