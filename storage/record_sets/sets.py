"""Sets of records: the one writer and reader of real and synthetic records.

What is synthetic names its generator, which the database checks; nothing that is stored is ever
changed; whoever reads says which of both is wanted. A batch is stored whole or not at all.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, insert

from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.models.record_sets import RecordBatchRow, RecordSetRow
from storage.record_sets.coding import RowCoding
from storage.record_sets.forgetting import Matching, TakenOut, matching, take_out
from storage.record_sets.given import Json, made, new_set, provenance
from storage.record_sets.reading import (
    load_there,
    read_batch,
    read_batches,
    read_set,
    read_sets,
    stored_records,
)
from storage.record_sets.spool import Spool, spooled
from storage.record_sets.values import (
    RecordBatch,
    RecordSet,
    Split,
    StoredRecord,
    Verdict,
    WantedOrigin,
    origins_of,
)
from storage.record_sets.writing import (
    add_version_of_real,
    check_name_is_free,
    dataset_of_real,
    delete_batches,
    insert_batch,
    model_facts,
)
from storage.versions.registry import hold_name
from storage.versions.values import DatasetVersion, checked_name, checked_text

DEFAULT_HOLDOUT = 0.2


@dataclass(frozen=True, slots=True)
class RecordSets:
    """All sets of records of a database; they are an owner's, as data sets and models are."""

    database: Database

    def create(
        self,
        name: str,
        *,
        schema: Sequence[Json],
        constraints: Sequence[Any] = (),
        about: Json | None = None,
        holdout: float = DEFAULT_HOLDOUT,
    ) -> RecordSet:
        """A new set without records. `schema` lists its columns in order, each with `name` and
        `kind`; those with `is_key` together tell records apart, the one with the `role` series says
        which series a record belongs to. `constraints` are JSON values that are kept for who draws
        records. The share `holdout` of all rows is held out of training, by a hash of the series of
        each, or else of its key; where there is neither, of the row and its place in its batch.

        Raises `InvalidRecordError` for a name that is taken, and for what is no schema.
        """
        values = new_set(name, schema, constraints, about, holdout)
        with self._holding(name) as connection:
            return _created(connection, values)

    def create_with(
        self,
        name: str,
        rows: Iterable[Json],
        *,
        source: str,
        schema: Sequence[Json],
        constraints: Sequence[Any] = (),
        about: Json | None = None,
        holdout: float = DEFAULT_HOLDOUT,
        user: str | None = None,
    ) -> RecordBatch:
        """`create` and `add_real` at once: a set with these records, or nothing. Raises as both
        do."""
        checked_text("source", source)
        values = new_set(name, schema, constraints, about, holdout)
        with self.database.read() as connection:
            _check_free(connection, name)
        coding = RowCoding(values["columns"])
        with spooled(coding, rows) as spool, self._holding(name) as connection:
            return _add_real(connection, _created(connection, values), spool, source, user)

    def add_real(
        self,
        name: str,
        rows: Iterable[Json],
        *,
        source: str,
        user: str | None = None,
    ) -> RecordBatch:
        """Add real records, which were read from `source`. The same rows in the same order are
        added once: the batch is then the one that `was_there`.

        What is real in the set is a version of the data set `name` each time. Raises
        `NotFoundError`, and `InvalidRecordError` for a row that the schema has no room for, naming
        it, or a key that is there; then nothing is added.
        """
        checked_text("source", source)
        found = self.get(name)
        with spooled(RowCoding(found.schema), rows) as spool, self._holding(name) as connection:
            return _add_real(connection, _same(connection, found), spool, source, user)

    def add_synthetic(
        self,
        name: str,
        rows: Iterable[Json],
        *,
        model_version: int,
        generator_id: str,
        seed: int,
        conditions: Json | None = None,
        sampling: Json | None = None,
        verdict: Verdict = "passed",
        thresholds: Json | None = None,
        report: Json | None = None,
        user: str | None = None,
    ) -> RecordBatch:
        """Add records that a generator drew and a gate let in.

        `model_version` is the `model_id` of a version of the kind synthetic, whose data set is on
        record. Raises as `add_real` does, and `NotFoundError` for no such version.
        """
        if verdict not in ("passed", "unreviewed"):
            raise InvalidRecordError(
                f"records that are {verdict} can't be stored; keep their report by add_refused"
            )
        found = self.get(name)
        given = provenance(generator_id, seed, conditions, sampling, thresholds, report)
        with spooled(RowCoding(found.schema), rows) as spool, self._holding(name) as connection:
            batch = {
                **made(user),
                **given,
                **_model(connection, model_version),
                "set_id": _same(connection, found).set_id,
                "verdict": verdict,
            }
            return read_batch(connection, insert_batch(connection, batch, spool))

    def add_refused(
        self,
        name: str,
        *,
        model_version: int,
        generator_id: str,
        seed: int,
        conditions: Json | None = None,
        sampling: Json | None = None,
        thresholds: Json | None = None,
        report: Json | None = None,
        user: str | None = None,
    ) -> RecordBatch:
        """Keep why records were not let in, and none of them. Raises as `add_synthetic` does."""
        found = self.get(name)
        given = provenance(generator_id, seed, conditions, sampling, thresholds, report)
        with self._holding(name) as connection:
            batch = {
                **made(user),
                **given,
                **_model(connection, model_version),
                "set_id": _same(connection, found).set_id,
                "verdict": "refused",
                "records": 0,
                "sha256": hashlib.sha256(b"").hexdigest(),
            }
            new = insert(RecordBatchRow).values(batch).returning(RecordBatchRow.batch_id)
            return read_batch(connection, connection.execute(new).scalar_one())

    def rows(
        self,
        name: str,
        origin: WantedOrigin,
        *,
        batch_id: int | None = None,
        split: Split | None = None,
    ) -> Iterator[StoredRecord]:
        """The records of a set in the order in which they came, of the origin that is named: real,
        synthetic or both.

        Raises `NotFoundError` for no such set or batch, `InvalidRecordError` for no such origin or
        split.
        """
        wanted = origins_of(origin)
        if split not in (None, "train", "holdout"):
            raise InvalidRecordError(f"{split!r} is no split: name train or holdout")
        with self.database.read() as connection:
            found = read_set(connection, name)
            if batch_id is None:
                candidates = read_batches(connection, found.set_id)
            else:
                candidates = [_of_set(read_batch(connection, batch_id), found)]
        chosen = [batch for batch in candidates if batch.origin in wanted]
        return stored_records(self.database, found, chosen, split)

    def sets(self) -> list[RecordSet]:
        """All, by name."""
        with self.database.read() as connection:
            return read_sets(connection)

    def get(self, name: str) -> RecordSet:
        """Raises `NotFoundError`."""
        with self.database.read() as connection:
            return read_set(connection, name)

    def batches(self, name: str) -> list[RecordBatch]:
        """In the order in which they came, the refused among them. Raises `NotFoundError`."""
        with self.database.read() as connection:
            return read_batches(connection, read_set(connection, name).set_id)

    def batch(self, batch_id: int) -> RecordBatch:
        """Raises `NotFoundError`."""
        with self.database.read() as connection:
            return read_batch(connection, batch_id)

    def delete(self, name: str) -> int:
        """Remove a set with all its batches; how many records went. What was registered of it, as
        data set and models, stays on record. Raises `NotFoundError`."""
        with self._holding(checked_name(name)) as connection:
            found = read_set(connection, name)
            keys = [batch.batch_id for batch in read_batches(connection, found.set_id)]
            records = delete_batches(connection, keys)
            connection.execute(delete(RecordSetRow).filter_by(set_id=found.set_id))
            return records

    def delete_batch(self, batch_id: int) -> int:
        """Remove a batch; how many records went. Raises `NotFoundError`."""
        with self._holding(self.batch(batch_id).set_name) as connection:
            read_batch(connection, batch_id)
            return delete_batches(connection, [batch_id])

    def matching(self, name: str, where: str, *, salt: str = "") -> Matching:
        """The real records that fulfil `where`, a filter on the set's columns. Raises as
        `storage.record_sets.forgetting.matching` does."""
        with self.database.read() as connection:
            return matching(connection, name, where, salt)

    def take_out(self, name: str, marks: Collection[str], *, salt: str) -> TakenOut:
        """Remove the real records with these marks, as if they had never been loaded: what is left
        of their batches comes anew. Raises `NotFoundError` for no such set."""
        with self._holding(checked_name(name)) as connection:
            return take_out(connection, name, salt, frozenset(marks))

    def dataset_of(self, name: str, batches: Sequence[RecordBatch]) -> DatasetVersion:
        """These batches of real records as a version of the data set `name`, registered if it is
        not. Raises `NotFoundError` for no such set."""
        members = [{"sha256": batch.sha256, "records": batch.records} for batch in batches]
        with self._holding(checked_name(name)) as connection:
            found = read_set(connection, name)
            return add_version_of_real(connection, name, found.schema, members)

    @contextmanager
    def _holding(self, name: str) -> Iterator[Connection]:
        """A transaction in which nobody else writes to this set, or registers it."""
        with self.database.write() as connection:
            hold_name(connection, "dataset", name)
            yield connection


def _check_free(connection: Connection, name: str) -> None:
    """Raise `InvalidRecordError` for a name that is taken."""
    check_name_is_free(connection, name)
    if read_sets(connection, name):
        raise InvalidRecordError(
            f"there is a set of records {name!r} already; take another name, or delete it"
        )


def _created(connection: Connection, values: Json) -> RecordSet:
    _check_free(connection, values["name"])
    connection.execute(insert(RecordSetRow).values(values))
    return read_set(connection, values["name"])


def _add_real(
    connection: Connection, held: RecordSet, spool: Spool, source: str, user: str | None
) -> RecordBatch:
    known = load_there(connection, held.set_id, spool.sha256)
    if known is not None:
        return replace(known, was_there=True)
    batch = {
        **made(user),
        "set_id": held.set_id,
        "origin": "real",
        "source": source,
        "dataset_id": dataset_of_real(connection, held.name, held.set_id, held.schema, spool),
    }
    return read_batch(connection, insert_batch(connection, batch, spool))


def _same(connection: Connection, found: RecordSet) -> RecordSet:
    """The set as it is now. Raises `InvalidRecordError` where another took its name."""
    held = read_set(connection, found.name)
    if held.set_id != found.set_id:
        raise InvalidRecordError(f"the set {found.name!r} was made anew meanwhile; add it again")
    return held


def _of_set(batch: RecordBatch, found: RecordSet) -> RecordBatch:
    if batch.set_name != found.name:
        raise InvalidRecordError(
            f"batch {batch.batch_id} is one of {batch.set_name!r}, not of {found.name!r}"
        )
    return batch


def _model(connection: Connection, model_version: int) -> dict[str, Any]:
    return {"model_id": model_version, **model_facts(connection, model_version)}
