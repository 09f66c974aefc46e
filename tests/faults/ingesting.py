"""Ingests with a word embedder, as a process of its own: a line after each COMMIT, then the report.

ingesting.py HOME DATABASE DOCUMENTS_A_BATCH PATIENCE_S PATH
"""

import json
import sys
from pathlib import Path

import click
from support.pipelines import word_pipeline

from rag_pipeline.cli.output import one_line_errors
from storage.records import Committed


def tell(committed: Committed) -> None:
    click.echo(committed.position.generation)


def main() -> None:
    home, database, batch, patience, path = sys.argv[1:]
    with (
        one_line_errors(debug=False),
        word_pipeline(
            Path(home),
            database=database,
            batching={"max_documents": int(batch)},
            database_patience_s=float(patience),
        ) as rag,
    ):
        click.echo(json.dumps(rag.ingest(path, prune=True, on_commit=tell).as_json()))


if __name__ == "__main__":
    main()
