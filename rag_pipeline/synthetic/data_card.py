"""A data card: what exported records are, where they are from, and how good they are for whom.

After Gebru et al., "Datasheets for Datasets", Communications of the ACM 64 (2021), and Pushkarna et
al., "Data Cards", FAccT 2022: what can be said of them without asking anybody.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath
from random import Random
from typing import Any

from rag_pipeline.datasets.files import sha256_of
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.slices import sliced
from rag_pipeline.synthetic.tables.table import Schema, Table, table_in
from storage.clock import now
from storage.record_sets.coding import TAGS
from storage.record_sets.sets import RecordSets
from storage.record_sets.values import RecordBatch, RecordSet, StoredRecord
from storage.versions.registry import code_version

FORM = 1
_SAMPLED = 20_000
"""Records of each origin, at most, that slices are measured on: drawn at random."""
_BULKY = frozenset({"histogram", "histograms"})
_OF_REAL = ("column", "value", "real", "real_share")
"""What is said of a slice where nothing is synthetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What is said of a file of records."""

    record_set: RecordSet
    schema: Schema
    file: str
    sha256: str
    made_at: datetime
    records: Mapping[str, int]
    """By origin."""
    series: Mapping[str, int] | None
    """By origin, where records make series."""
    missing: Mapping[str, Mapping[str, float]]
    """By column with anything missing: the share, by origin."""
    batches: tuple[RecordBatch, ...]
    """Those that have records in the file."""
    slices: tuple[Mapping[str, Any], ...]
    """Of real records and those in the file."""

    def as_json(self) -> dict[str, Any]:
        """Everything; who made a batch is left out: a card goes where nobody can be forgotten."""
        tags = ("real or synthetic", "what drew it", "the batch that it came with")
        return {
            "form": FORM,
            "name": self.record_set.name,
            "file": self.file,
            "sha256": self.sha256,
            "made_at": self.made_at.isoformat(),
            "made_by": f"rag-pipeline-service {code_version()}",
            "records": dict(self.records),
            **({} if self.series is None else {"series": dict(self.series)}),
            "tags": dict(zip(TAGS, tags, strict=True)),
            "about": dict(self.record_set.about),
            "columns": self.schema.as_json(),
            "constraints": [*self.record_set.constraints],
            "missing": {name: dict(shares) for name, shares in self.missing.items()},
            "batches": [_batch_json(batch) for batch in self.batches],
            "slices": [dict(one) for one in self.slices],
            "slices_measured_on": _SAMPLED,
        }


class CardMaker:
    """Looks at records on their way into a file. Raises `TableError` for slices by no column, and
    `SyntheticError` for those by what can't be compared."""

    def __init__(
        self,
        sets: RecordSets,
        found: RecordSet,
        schema: Schema,
        file: str,
        slices: Sequence[str] = (),
    ) -> None:
        self._sets, self._found, self._schema, self._file = sets, found, schema, file
        self._slices = tuple(slices)
        self._records: Counter[str] = Counter(real=0, synthetic=0)
        self._batches: Counter[int] = Counter()
        self._missing: Counter[tuple[str, str]] = Counter()
        self._key = schema.with_role("series")
        self._series: dict[str, set[object]] = {"real": set(), "synthetic": set()}
        self._synthetic = _Sample()
        for name in slices:
            if not schema.column(name).is_learnt:
                raise SyntheticError(f"{name!r} has no values to divide by: name another column")

    def seen(self, records: Iterable[StoredRecord]) -> Iterator[StoredRecord]:
        """The same records."""
        for record in records:
            self._records[record.origin] += 1
            self._batches[record.batch_id] += 1
            if self._key is not None:
                self._series[record.origin].add(record.values[self._key])
            for name, value in record.values.items():
                if value is None:
                    self._missing[name, record.origin] += 1
            if self._slices and record.origin == "synthetic":
                self._synthetic.add(record.values)
            yield record

    def made(self, file: Path) -> DataCard:
        """The card of what was seen, and was written to `file`."""
        batches = self._sets.batches(self._found.name)
        return DataCard(
            record_set=self._found,
            schema=self._schema,
            file=self._file,
            sha256=sha256_of(file),
            made_at=now(),
            records=dict(self._records),
            series=None
            if self._key is None
            else {origin: len(names) for origin, names in self._series.items()},
            missing=self._shares_missing(),
            batches=tuple(batch for batch in batches if batch.batch_id in self._batches),
            slices=tuple(self._sliced()),
        )

    def _shares_missing(self) -> dict[str, dict[str, float]]:
        shares: dict[str, dict[str, float]] = {}
        for (name, origin), count in sorted(self._missing.items()):
            shares.setdefault(name, {})[origin] = count / self._records[origin]
        return shares

    def _sliced(self) -> Iterator[Mapping[str, Any]]:
        """Real records of the set, and beside them the synthetic ones of the file."""
        if not self._slices or not self._found.real:
            return
        of_real = _Sample()
        for record in self._sets.rows(self._found.name, "real"):
            of_real.add(record.values)
        real = of_real.table(self._schema)
        drawn = self._synthetic.table(self._schema) if self._synthetic.count else None
        for part in sliced(real, real, drawn or real, self._slices, None):
            said = {name: one for name, one in part.as_json().items() if one is not None}
            yield said if drawn else {name: said[name] for name in _OF_REAL}


class _Sample:
    """Some of many records, each with the same chance (Vitter 1985, algorithm R)."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Mapping[str, Any]] = []
        self._chance = Random(0)  # noqa: S311  # the same records for the same file

    def add(self, values: Mapping[str, Any]) -> None:
        self.count += 1
        if len(self._kept) < _SAMPLED:
            self._kept.append(values)
            return
        place = self._chance.randrange(self.count)
        if place < _SAMPLED:
            self._kept[place] = values

    def table(self, schema: Schema) -> Table:
        """Of those columns that are compared."""
        columns = tuple(replace(column, role=None) for column in schema.columns if column.is_learnt)
        return table_in(self._kept, Schema(columns=columns))


def _batch_json(batch: RecordBatch) -> dict[str, Any]:
    said = {
        "batch_id": batch.batch_id,
        "origin": batch.origin,
        "records": batch.records,
        "sha256": batch.sha256,
        "dataset": batch.dataset,
        "source": batch.source and _name_of(batch.source),
        "generator_id": batch.generator_id,
        "model": batch.model,
        "weights_sha256": batch.weights_sha256,
        "learnt_from": batch.learnt_from,
        "source_sha256": batch.source_sha256,
        "seed": batch.seed,
        "conditions": dict(batch.conditions),
        "sampling": dict(batch.sampling),
        "verdict": batch.verdict,
        "thresholds": dict(batch.thresholds),
        "report": _pruned(batch.report),
        "created_at": batch.created_at.isoformat(),
    }
    return {name: value for name, value in said.items() if value not in (None, {})}


def _name_of(source: str) -> str:
    """Where records came from without the folders or the server that it is in: a card goes where
    these are nobody's business."""
    place, colon, query = source.partition(": ") if "://" in source else (source, "", "")
    return PurePath(place.replace("\\", "/")).name + colon + query


def _pruned(report: Any) -> Any:
    """Without what only a picture shows."""
    if isinstance(report, Mapping):
        return {name: _pruned(one) for name, one in report.items() if name not in _BULKY}
    return [_pruned(one) for one in report] if isinstance(report, list) else report
