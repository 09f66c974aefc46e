"""`rag ingest`"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import FAILED, print_json, say
from rag_pipeline.cli.progress import Wanted, progress_option, shown
from rag_pipeline.cli.stopping import sigterm_as_ctrl_c

if TYPE_CHECKING:
    from ingest.report import IngestReport

_SHOWN_FAILURES = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=ANY_PATH)
@in_collection
@click.option("--prune", is_flag=True, help="Remove what was under PATHS before and is gone now.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any document was refused.")
@click.option("--label", "labels", multiple=True, help="Only who carries this label finds it.")
@click.option("--generator", metavar="ID", help="Tag all of it as synthetic, made by ID.")
@progress_option
@as_json_option
@at_home
def ingest(
    paths: tuple[Path, ...],
    collection: str,
    prune: bool,
    strict: bool,
    labels: tuple[str, ...],
    generator: str | None,
    progress: Wanted,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Bring files and folders into the collection.

    What is unchanged since the last time costs next to nothing; a document that can't be read is
    named with its reason, and the run goes on.

    \b
    Example:
      rag ingest docs/ notes.md corpus.jsonl
    """
    with (
        sigterm_as_ctrl_c(),
        shown(progress, partial(_bytes_in, paths)) as told,
        opened(home, database) as rag,
    ):
        report = rag.ingest(
            *paths,
            collection=collection,
            prune=prune,
            generator_id=generator,
            read_labels=frozenset(labels),
            on_commit=told.observer.committed,
            on_progress=told.observer.progressed,
        )
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if strict and report.documents.failed:
        raise SystemExit(FAILED)


def _bytes_in(paths: Sequence[Path]) -> int:
    from ingest.load import FileFeed

    return FileFeed(paths).size_bytes()


def _print_report(report: "IngestReport") -> None:
    counts = report.documents
    click.echo(
        f"new {counts.new}, changed {counts.changed}, unchanged {counts.unchanged},"
        f" duplicate {counts.duplicate}, near duplicate {counts.near_duplicate},"
        f" deleted {counts.deleted}, skipped {counts.skipped},"
        f" failed {counts.failed}"
    )
    click.echo(
        f"embedded {report.embedded}, chunks +{report.chunks_added} −{report.chunks_removed},"
        f" generation {report.generation}, {report.seconds:.1f} s"
    )
    if report.suspicious:
        say(f"{report.suspicious} of the new texts speak to a model: see rag parse, or suspicions")
    for refusal in report.failures[:_SHOWN_FAILURES]:
        say(f"{refusal.outcome}: {refusal.source}: {refusal.reason}")
    if len(report.failures) > _SHOWN_FAILURES:
        say(f"… and {len(report.failures) - _SHOWN_FAILURES} more: see --json")
