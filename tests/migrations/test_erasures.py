"""The record of erasures, on the way down and up past the kinds that it knows."""

import pytest
from alembic import command
from sqlalchemy import text

from storage import schema
from storage.engine import Database
from storage.erasing.ledger import Kind, Ledger
from storage.errors import StorageError


def test_other_erasures_outlive_the_kind_of_records(database: Database) -> None:
    ledger = Ledger(database)
    kinds: tuple[Kind, ...] = ("user", "record")
    for kind in kinds:
        erasure = ledger.begin(kind, "somebody", requested_by="owner", plan={"set": "people"})
        ledger.complete(erasure, {"counts": {}})
    before, _ = ledger.all()
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0013")
    with pytest.raises(StorageError), database.write() as connection:
        connection.execute(text("UPDATE erasures SET kind = 'record'"))
    schema.upgrade(database)
    assert ledger.all() == [before]
    assert ledger.begin("record", "x", requested_by="owner", plan={}).kind == "record"
    with pytest.raises(StorageError), database.write() as connection:
        connection.execute(text("UPDATE erasures SET kind = 'nothing'"))
    with pytest.raises(StorageError), database.write() as connection:
        connection.execute(text("UPDATE erasures SET plan = '{}', completed_at = started_at"))
