"""SQLite has no statistics to plan by: a look-up of a few rows must not read a whole collection."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.pipelines import parts_of

from rag_pipeline.pipeline import RagPipeline
from storage.engine import Database

LOOKS_THROUGH = re.compile(r"SCAN (chunks|documents|sources|text_keys)\b|\(collection_id=\?\)$")


def plans(database: Database, statements: dict[str, Any]) -> dict[str, list[str]]:
    with database.read() as connection:
        return {
            statement: [
                row[3]
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
            for statement, values in statements.items()
        }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_looks_up_a_list_of_values_takes_the_index_of_these(
    rag: RagPipeline, docs: Path
) -> None:
    for number in range(30):
        (docs / f"{number}.txt").write_text(f"Note {number} says " + f"word{number} " * 30)
    rag.ingest(docs)
    database = parts_of(rag).database
    seen: dict[str, Any] = {}

    def note(_c: Any, _u: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        if "json_each" in statement and not many:
            seen.setdefault(statement, values)

    event.listen(database.engine, "before_cursor_execute", note)
    (docs / "0.txt").write_text("Note 0 says " + "other " * 30)
    (docs / "new.txt").write_text("Note 1 says " + "word1 " * 29)
    (docs / "2.txt").unlink()
    rag.ingest(docs, prune=True)
    rag.search("note")
    event.remove(database.engine, "before_cursor_execute", note)
    assert len(seen) > 10
    wide = {
        statement: plan
        for statement, plan in plans(database, seen).items()
        if any(LOOKS_THROUGH.search(step) for step in plan)
    }
    assert wide == {}
