"""`rag synth sample`: records that a generator draws, judged, and stored if they pass the gate.

What is stored comes in one transaction, with all that is known of where it is from; what is refused
leaves its report alone. Records that copy one that was learnt from are dropped before they are
judged, and others drawn in their place.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np

from rag_pipeline.composition import Composition
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import check_seed
from rag_pipeline.synthetic.judging.gate import Thresholds, Verdict, thresholds, verdict
from rag_pipeline.synthetic.judging.measure import Judged
from rag_pipeline.synthetic.kinds import Places, RecordKind, count_of
from rag_pipeline.synthetic.record_tables import SetTables, is_all_there, set_tables
from rag_pipeline.synthetic.sampling_report import MOST_RECORDS, Sampled, SampleWanted
from rag_pipeline.synthetic.saved import load_generator
from rag_pipeline.synthetic.tables.coding import Wanted
from rag_pipeline.synthetic.tables.conditions import fulfilling, wanted_of
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.versions.resolve import checked_folder
from storage.errors import NotFoundError
from storage.versions.values import ModelVersion

_TURNS = 5
"""Drawings, at most, to replace what was dropped."""
_SEEDS_APART = 1_000_003
_KNOWN_OF_FEW = frozenset(
    {
        "validity",
        "exact_copies",
        "near_copies",
        "closer_to_train",
        "membership",
        "singled_out",
    }
)
"""Limits that hold for few records, too: they are widened by what chance does to so few."""


def sample(
    parts: Composition, wanted: SampleWanted, *, tell: Callable[[str], None] = lambda _: None
) -> Sampled:
    """Draw records, judge them, and store them if they pass.

    Raises `SyntheticError` for what can't be drawn, `FilterError`, `NotFoundError`, `ModelError`
    for weights that are damaged; then nothing is stored.
    """
    run = _Run(parts, wanted, thresholds(wanted.thresholds))
    model = run.model()
    tables = set_tables(parts, wanted.name)
    run.check_model(model, tables)
    where = {} if wanted.where is None else wanted_of(wanted.where, tables.training)
    seed = run.seed(model)
    run.check_count(tables)
    tell(f"drawing {wanted.count} {tables.kind.unit} by {model.reference}")
    drawing = run.drawn(model, tables, where, seed)
    tell(f"judging {len(drawing.records)} records, {drawing.copies} copies dropped")
    judgement, pictures = run.judged(model, tables, where, drawing, seed)
    found = verdict(judgement, run.limits)
    sampled = Sampled(
        wanted=wanted,
        model=model,
        seed=seed,
        drawn=drawing.records,
        series=drawing.units if tables.kind.name == "series" else None,
        copies=drawing.copies,
        judgement=judgement,
        pictures=pictures,
        verdict=found,
        is_accepted=_is_accepted(found, wanted),
        drawn_at=datetime.now(UTC),
        batch_id=None,
    )
    return sampled if wanted.dry_run else replace(sampled, batch_id=run.stored(sampled))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawing:
    """What a generator drew, without copies of what it learnt from."""

    records: Table
    units: int
    """Records, or the series that they make."""
    copies: int
    """How many of them were dropped."""
    of_unique: int
    """How many of them, or of their series, were copies of what is there once."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps of one sampling."""

    parts: Composition
    wanted: SampleWanted
    limits: Thresholds

    def model(self) -> ModelVersion:
        """The version that draws, once all is checked that can be before any work."""
        wanted, versions = self.wanted, self.parts.versions
        if not wanted.principal.is_owner:
            raise NotFoundError(f"there is no set of records {wanted.name!r} for you")
        if not 1 <= wanted.count <= MOST_RECORDS:
            raise SyntheticError(f"{wanted.count} records can't be drawn: give 1 to {MOST_RECORDS}")
        check_seed(wanted.seed or 0)
        self.parts.record_sets.get(wanted.name)
        if wanted.model is not None:
            return versions.model(wanted.model)
        newest = (one for one in versions.models(name=wanted.name) if one.state != "retired")
        found = versions.active(wanted.name) or next(newest, None)
        if found is None:
            raise SyntheticError(
                f"nothing has learnt {wanted.name!r} yet: run `rag synth fit {wanted.name}`"
            )
        return found

    def check_model(self, model: ModelVersion, tables: SetTables) -> None:
        """Raise `SyntheticError` for a model that did not learn records of this set."""
        if model.kind != "synthetic":
            raise SyntheticError(f"{model.reference} is a {model.kind}, and draws no records")
        if model.state == "retired":
            raise SyntheticError(f"{model.reference} is retired: give another --model")
        learnt = model.parameters.get("set")
        if learnt != self.wanted.name:
            raise SyntheticError(
                f"{model.reference} learnt {learnt or 'another data set'!r}, not"
                f" {self.wanted.name!r}: give a --model that did, or fit one"
            )
        is_known = model.parameters.get("schema_sha256") == tables.schema.sha256
        if not is_known or not is_all_there(self.parts, model, tables):
            raise SyntheticError(
                f"{model.reference} learnt records that {learnt!r} has not any more: fit it anew"
            )

    def check_count(self, tables: SetTables) -> None:
        """Raise `SyntheticError` for more series than would be drawn at once."""
        series, most = count_of(tables.kind, tables.training), self.wanted.most_records
        expected = self.wanted.count * len(tables.training) / series
        if expected > most:
            raise SyntheticError(
                f"{self.wanted.count} {tables.kind.unit} would be about {round(expected)} records:"
                f" ask for {max(1, most * series // len(tables.training))} at most"
            )

    def seed(self, model: ModelVersion) -> int:
        """What is given, or else a number that no batch of the set has.

        Raises `SyntheticError` where a batch holds what would be drawn.
        """
        batches = self.parts.record_sets.batches(self.wanted.name)
        given = self.wanted.seed
        if given is None:
            used = {batch.seed for batch in batches}
            return next(seed for seed in count(len(batches)) if seed not in used)
        drawn = (model.model_id, given, self.conditions)
        for batch in batches if not self.wanted.dry_run else ():
            if batch.records and (batch.model_id, batch.seed, batch.conditions) == drawn:
                raise SyntheticError(
                    f"batch {batch.batch_id} holds what {model.reference} draws by the seed"
                    f" {given}: give another --seed, or none"
                )
        return given

    def _draw_name(self, seed: int) -> str:
        """Another for each drawing by one model."""
        if self.wanted.where is None:
            return str(seed)
        return f"{seed}-{hashlib.sha256(self.wanted.where.encode()).hexdigest()[:8]}"

    @property
    def conditions(self) -> dict[str, str]:
        """As they are kept with the batch."""
        return {} if self.wanted.where is None else {"where": self.wanted.where}

    def drawn(
        self, model: ModelVersion, tables: SetTables, where: Mapping[str, Wanted], seed: int
    ) -> "_Drawing":
        """Records of which none is a copy. Raises `SyntheticError`."""
        folder = checked_folder(model, self.parts.versions, self.parts.weights)
        generator = load_generator(folder)
        if generator.method.partition("/")[0] != tables.kind.name:
            raise SyntheticError(f"{model.reference} draws no {tables.kind.name}: fit it anew")
        kept: list[Table] = []
        copies = of_unique = 0
        for turn in range(_TURNS):
            missing = self.wanted.count - sum(count_of(tables.kind, table) for table in kept)
            if not missing:
                break
            of_turn = seed + turn * _SEEDS_APART
            drawn = tables.kind.drawn(generator, missing, where, seed=of_turn)
            found_again = tables.kind.copies(tables.training, drawn)
            copies += np.unique(tables.kind.units(drawn)[found_again.places]).size
            of_unique += found_again.of_unique
            kept.append(drawn.rows(np.delete(np.arange(len(drawn)), found_again.places)))
        found = _together(kept)
        if not len(found):
            raise SyntheticError(
                f"all that {model.reference} draws there are records that it learnt from: ask for"
                " something else, or load more records and fit it anew"
            )
        named = _with_keys(
            found,
            tables.kind.units(found),
            _unused(f"{model.name}@{model.version}-{self._draw_name(seed)}", tables),
        )
        units = count_of(tables.kind, named)
        return _Drawing(records=named, units=units, copies=copies, of_unique=of_unique)

    def judged(
        self,
        model: ModelVersion,
        tables: SetTables,
        where: Mapping[str, Wanted],
        drawing: "_Drawing",
        seed: int,
    ) -> tuple[Judged, Mapping[str, Any] | None]:
        """How near they come to real ones of which the same is true, and whether too near."""
        if not fulfilling(drawing.records, where).all():
            raise SyntheticError(f"{model.reference} draws records that are not as was asked")
        training, held_out = (
            _fulfilling(tables.kind, table, where) for table in (tables.training, tables.held_out)
        )
        target = self.wanted.target or model.parameters.get("target")
        return tables.kind.judged(
            training,
            held_out,
            drawing.records,
            dropped=drawing.of_unique,
            target=None if target in where else target,
            slices=self.wanted.slices,
            seed=seed,
        )

    def stored(self, sampled: Sampled) -> int:
        """The batch of it, or of its report alone."""
        sets = self.parts.record_sets
        said: dict[str, Any] = {
            "model_version": sampled.model.model_id,
            "generator_id": sampled.model.reference,
            "seed": sampled.seed,
            "conditions": self.conditions,
            "sampling": sampled.sampling(),
            "thresholds": sampled.verdict.thresholds.as_json(),
            "report": sampled.report(),
        }
        if not sampled.is_accepted:
            return sets.add_refused(self.wanted.name, **said).batch_id
        return sets.add_synthetic(
            self.wanted.name, sampled.drawn.records(), verdict=sampled.verdict.state, **said
        ).batch_id


def _is_accepted(found: Verdict, wanted: SampleWanted) -> bool:
    """Whether records pass; those too few to be judged need leave, and must give nobody away."""
    if found.state != "unreviewed":
        return found.passes
    return wanted.allow_unreviewed and not any(
        check.threshold in _KNOWN_OF_FEW for check in found.reasons
    )


def _fulfilling(kind: RecordKind, table: Table, where: Mapping[str, Wanted]) -> Table:
    """The records, or series of records, that are as wanted throughout."""
    units = kind.units(table)
    others = np.bincount(units, weights=~fulfilling(table, where))
    return table.rows(np.flatnonzero(others[units] == 0))


def _together(tables: Sequence[Table]) -> Table:
    first = tables[0]
    return Table(
        schema=first.schema,
        values={
            name: np.concatenate([table.values[name] for table in tables]) for name in first.values
        },
    )


def _with_keys(table: Table, units: Places, prefix: str) -> Table:
    """The same with keys that no other batch has, and series with names that no other has."""
    numbers = {"key": np.arange(len(table)), "series": units}
    names = {
        name: np.array([f"{prefix}-{number}" for number in given.tolist()], np.object_)
        for name, given in numbers.items()
    }
    issued = {
        column.name: names["key" if column.is_key else "series"]
        for column in table.schema.columns
        if column.is_key or column.role == "series"
    }
    return Table(schema=table.schema, values={**table.values, **issued})


def _unused(prefix: str, tables: SetTables) -> str:
    """The same, or longer: no real series has a name that begins so."""
    series = tables.schema.with_role("series")
    if series is None:
        return prefix
    sides = (tables.training, tables.held_out)
    known = [str(name) for side in sides for name in side.values[series].tolist()]
    while any(name.startswith(f"{prefix}-") for name in known):
        prefix = f"{prefix}-synthetic"
    return prefix
