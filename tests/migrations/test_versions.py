"""The tables of versions, with rows in them, on the way down and up."""

from pathlib import Path

from alembic import command
from sqlalchemy import inspect, text
from support.versions import write_model

from storage import schema
from storage.engine import Database
from storage.versions.registry import Versions

TABLES = {
    "blob_pieces",
    "dataset_versions",
    "model_activations",
    "model_datasets",
    "model_versions",
}


def test_versions_go_with_their_tables_and_can_be_registered_again(
    database: Database, tmp_path: Path
) -> None:
    versions = Versions(database, tmp_path / "home")
    for content in ("one", "two"):
        data = versions.add_dataset(
            "d", kind="triples", manifest={}, sha256="a" * 64, members=[{"prompt_id": "p"}]
        )
        source = write_model(tmp_path / content, content)
        model = versions.add_model("m", kind="embedder", folder=source, dataset=data, keep="blob")
        versions.activate("m", model.version)
    with database.read() as connection:
        for table in sorted(TABLES):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0009")
    assert not TABLES & set(inspect(database.engine).get_table_names())
    schema.upgrade(database)
    assert versions.models() == []
    assert versions.add_model("m", kind="embedder", folder=tmp_path / "one").version == 1
    assert versions.activate("m", 1).state == "active"
