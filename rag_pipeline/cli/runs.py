"""`rag runs`"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import Given, as_json_option, at_home
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from storage.runs import RunRecord, Runs

_SHOWN_FAILURES = 20


@click.group()
def runs() -> None:
    """Look up what ingestion did, when, and how it ended."""


@runs.command("list")
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many, at most.")
@click.option("--source", metavar="NAME", help="Only of this source of sync.toml.")
@as_json_option
@at_home
def list_runs(
    limit: int, source: str | None, as_json: bool, home: Path | None, database: str | None
) -> None:
    """List runs, newest first: running, completed, failed, or died without an end.

    \b
    Example:
      rag runs list -n 5
    """
    found = _runs(home, database).latest(limit=limit, source=source)
    if as_json:
        print_json([run.as_json() for run in found])
        return
    if not found:
        click.echo("nothing was ingested yet")
    for run in found:
        click.echo(f"{run.run_id[:12]}  {_when(run)}  {run.status:<9}  {_what(run)}")


@runs.command("show")
@click.argument("run_id")
@as_json_option
@at_home
def show_run(run_id: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show one run with its report; a unique beginning of RUN_ID is enough.

    \b
    Example:
      rag runs show 3f9a
    """
    run = _runs(home, database).show(run_id)
    if as_json:
        print_json(run.as_json())
        return
    click.echo(f"run         {run.run_id}")
    click.echo(f"source      {run.source_name or '–'}, collection {run.collection}")
    click.echo(f"began       {_when(run)}")
    click.echo(f"status      {run.status}{f', {run.seconds:.1f} s' if run.seconds else ''}")
    if "error" in run.report:
        click.echo(f"error       {run.report['error']}")
    if "documents" in run.report:
        click.echo(f"documents   {_counts(run.report)}")
    failures = run.report.get("failures", [])
    for failure in failures[:_SHOWN_FAILURES]:
        click.echo(f"{failure['outcome']:<11} {failure['source']}: {failure['reason']}")
    if len(failures) > _SHOWN_FAILURES:
        click.echo(f"… and {len(failures) - _SHOWN_FAILURES} more: see --json")


def _runs(home: Path | None, database: str | None) -> "Runs":
    from rag_pipeline.composition import Composition
    from rag_pipeline.settings import load_settings
    from storage.runs import Runs

    given = click.get_current_context().find_object(Given) or Given()
    settings = load_settings(home=home or given.home, database_url=database or given.database)
    return Runs(Composition(settings).database)


def _when(run: "RunRecord") -> str:
    return f"{run.started_at.astimezone():%Y-%m-%d %H:%M:%S}"


def _what(run: "RunRecord") -> str:
    name = run.source_name or "rag ingest"
    if "error" in run.report:
        return f"{name}: {run.report['error']}"
    return f"{name}: {_counts(run.report)}" if "documents" in run.report else name


def _counts(report: Mapping[str, Any]) -> str:
    counted = {name: n for name, n in report["documents"].items() if n}
    return ", ".join(f"{name} {n}" for name, n in counted.items()) or "nothing there"
