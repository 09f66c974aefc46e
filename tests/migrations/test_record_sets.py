"""The tables of records, with rows in them, on the way down and up."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, text
from support.record_sets import drawing_model, drawn, filled, people

from storage import schema
from storage.engine import Database
from storage.errors import StorageError

TABLES = {"record_sets", "record_batches", "records", "record_images", "record_batch_images"}


def test_records_go_with_their_tables_and_are_guarded_again_when_these_come_back(
    database: Database, tmp_path: Path
) -> None:
    sets = filled(database, 3)
    model = drawing_model(database, tmp_path)
    sets.add_synthetic("people", people(3, prefix="s"), **drawn(model))
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0011")
    assert not TABLES & set(inspect(database.engine).get_table_names())
    schema.upgrade(database)
    assert set(inspect(database.engine).get_table_names()) >= TABLES
    assert sets.sets() == []
    sets = filled(database, 3)
    sets.add_synthetic("people", people(3, prefix="s"), **drawn(model))
    with pytest.raises(StorageError, match="never changed"), database.write() as connection:
        connection.execute(text("UPDATE records SET origin = 'real'"))
