"""Sets of records in the database as tables: what is learnt from, and what is held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.composition import Composition
from rag_pipeline.synthetic.errors import SyntheticError, TableError
from rag_pipeline.synthetic.judging.validity import Constraints
from rag_pipeline.synthetic.kinds import RecordKind, kind_of
from rag_pipeline.synthetic.tables.checking import learnt_from, violations
from rag_pipeline.synthetic.tables.constraint_text import constraints_of
from rag_pipeline.synthetic.tables.table import Schema, Table, table_in
from storage.record_sets.values import RecordBatch, RecordSet, Split, WantedOrigin
from storage.versions.values import DatasetVersion, ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTables:
    """The records of a set, on both sides of its split."""

    schema: Schema
    training: Table
    held_out: Table
    """Real records alone."""
    kind: RecordKind
    batches: tuple[RecordBatch, ...]
    """All that is real in the set."""
    sha256: str
    """Over what is learnt from."""
    depth: int
    """0: what is learnt from is real; 1: some of it was drawn by what learnt real records; …"""


def set_tables(parts: Composition, name: str, learns: WantedOrigin = "real") -> SetTables:
    """The records of a set; `learns` says which are learnt from.

    Raises `NotFoundError`, and `SyntheticError` where one side has no record.
    """
    found = parts.record_sets.get(name)
    schema = schema_of(found)
    batches = parts.record_sets.batches(name)
    learnt = [batch.sha256 for batch in batches if learns in ("both", batch.origin)]
    training = _table(parts, name, schema, learns, "train")
    return SetTables(
        schema=schema,
        training=training,
        held_out=_table(parts, name, schema, "real", "holdout"),
        kind=_kind(found, training),
        batches=tuple(batch for batch in batches if batch.origin == "real"),
        sha256=hashlib.sha256("\n".join([schema.sha256, *learnt]).encode()).hexdigest(),
        depth=0 if learns == "real" else _depth(parts, batches),
    )


def schema_of(found: RecordSet) -> Schema:
    """What its records are like."""
    return Schema.from_json(found.schema)


def constraints_on(found: RecordSet) -> tuple[str, ...]:
    """What must hold of every record, as it was declared."""
    return tuple(map(str, found.constraints))


def dataset_of(parts: Composition, tables: SetTables) -> DatasetVersion:
    """All that is real in the set, as a version."""
    return parts.record_sets.dataset_of(tables.batches[0].set_name, tables.batches)


def is_all_there(parts: Composition, model: ModelVersion, tables: SetTables) -> bool:
    """Whether the set still has all that a model learnt: else nothing could tell whether it draws
    what was deleted. Where the same came of several data sets, one of them suffices."""
    there = {batch.sha256 for batch in tables.batches}
    for role, name in model.datasets:
        members = parts.versions.members(name) if role == "trained_on" else None
        if members and all(member.get("sha256") in there for member in members):
            return True
    return False


def _table(
    parts: Composition, name: str, schema: Schema, origin: WantedOrigin, split: Split
) -> Table:
    rows = (row.values for row in parts.record_sets.rows(name, origin, split=split))
    try:
        return table_in(rows, schema)
    except TableError as error:
        side = "to learn from" if split == "train" else "to be held out"
        series = schema.with_role("series")
        of_one = "" if series is None else f", of other series: all of one {series!r} are together"
        raise SyntheticError(f"{name!r} has no records {side}: load more{of_one}") from error


def _kind(found: RecordSet, training: Table) -> RecordKind:
    # Imported here: each brings what it draws with along, torch or trees.
    if kind_of(training.schema) == "series":
        from rag_pipeline.synthetic.series_records import SeriesRecords

        return SeriesRecords.of(training.schema)
    if kind_of(training.schema) == "image":
        from rag_pipeline.synthetic.picture_records import PictureRecords

        return PictureRecords.of(training.schema)
    from rag_pipeline.synthetic.table_records import TableRecords

    return TableRecords(constraints=_constraints(found, training))


def _constraints(found: RecordSet, training: Table) -> Constraints | None:
    texts = constraints_on(found)
    if not texts:
        return None
    bound = learnt_from(training, constraints_of(texts, training.schema))
    return lambda table: ~violations(table, bound).mask


def _depth(parts: Composition, batches: Sequence[RecordBatch]) -> int:
    """Of what learns all that is there, each model being one deeper than its own records."""
    models = {batch.model for batch in batches if batch.model is not None and batch.records}
    depths = (parts.versions.model(model).parameters.get("depth", 0) for model in models)
    return 1 + max(depths, default=-1)
