"""Sets of records to try things on, and a model that is said to have drawn some."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from support.versions import write_model

from storage.engine import Database
from storage.record_sets.sets import RecordSets
from storage.versions.registry import Versions

SCHEMA = [
    {"name": "id", "kind": "category", "is_key": True},
    {"name": "age", "kind": "integer"},
    {"name": "pay", "kind": "number", "decimals": 2},
    {"name": "member", "kind": "boolean"},
    {"name": "since", "kind": "datetime"},
    {"name": "town", "kind": "category"},
]


def people(count: int, *, prefix: str = "p") -> Iterator[dict[str, Any]]:
    """Rows of `SCHEMA`, each another."""
    for number in range(count):
        yield {
            "id": f"{prefix}{number}",
            "age": 20 + number % 50,
            "pay": number / 4,
            "member": None if number % 7 == 0 else number % 2 == 0,
            "since": f"2020-01-{1 + number % 28:02}",
            "town": ("Ulm", "Bonn", None)[number % 3],
        }


def png(shade: int, *, side: int = 8) -> bytes:
    """A grey square."""
    written = BytesIO()
    Image.new("L", (side, side), shade).save(written, "PNG")
    return written.getvalue()


def drawing_model(database: Database, folder: Path, *, data: str = "people") -> int:
    """The key of a model that learnt the newest version of the data set `data`."""
    versions = Versions(database, folder / "home")
    source = folder / "model"
    added = versions.add_model(
        data,
        kind="synthetic",
        folder=source if source.exists() else write_model(source),
        dataset=versions.dataset(data),
        seed=1,
    )
    return added.model_id


def drawn(model_id: int, **more: Any) -> Mapping[str, Any]:
    """What has to be said of synthetic records."""
    said = {
        "model_version": model_id,
        "generator_id": "version:people@1",
        "seed": 7,
        "report": {"judgement": {"measures": {"shape_error": 0.02, "membership": 0.51}}},
        "thresholds": {"shape_error": 0.05},
    }
    return {**said, **more}


def filled(database: Database, count: int = 20) -> RecordSets:
    """The set `people` with as many real records."""
    sets = RecordSets(database)
    sets.create("people", schema=SCHEMA)
    sets.add_real("people", people(count), source="people.csv")
    return sets
