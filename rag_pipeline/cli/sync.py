"""`rag sync`"""

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, Given, as_json_option, at_home
from rag_pipeline.cli.output import FAILED, print_json, say
from rag_pipeline.cli.progress import Wanted, progress_option, shown
from rag_pipeline.cli.stopping import sigterm_as_ctrl_c

if TYPE_CHECKING:
    from ingest.sync import Outcome
    from rag_pipeline.composition import Composition

_SHOWN_FAILURES = 5


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--config", type=ANY_PATH, help="The declaration; sync.toml in the home if not given."
)
@click.option("--prune", is_flag=True, help="Remove what is gone, of sources without prune too.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--wait", is_flag=True, help="Wait for another run instead of leaving it to that.")
@click.option("--due", is_flag=True, help='Only sources whose "every" has passed since their last.')
@click.option("--strict", is_flag=True, help="Exit with 1 if any document was refused.")
@progress_option
@click.option("--metrics-file", type=ANY_PATH, help="Write what Prometheus reads to this file.")
@as_json_option
@at_home
def sync(
    names: tuple[str, ...],
    config: Path | None,
    prune: bool,
    dry_run: bool,
    wait: bool,
    due: bool,
    strict: bool,
    progress: Wanted,
    metrics_file: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Bring the declared sources up to date: all that are enabled, or those of NAME.

    Each source is a run of its own. One that can't be reached fails with its reason, nothing of it
    is removed, and the others go on. Where another run is at work, nothing is done.

    \b
    Example:
      rag sync --prune
      rag sync handbook --dry-run
    """
    from ingest.sync import SyncOptions
    from rag_pipeline.syncing import SyncRequest, write_metrics
    from rag_pipeline.syncing import sync as synced

    request = SyncRequest(
        names=names,
        declaration=config,
        options=SyncOptions(prune=prune, dry_run=dry_run, due_only=due),
        wait=wait,
    )
    started = time.monotonic()
    outcomes = []
    with (
        sigterm_as_ctrl_c(),
        shown(progress) as told,
        closing(_parts(home, database)) as parts,
    ):
        for outcome in synced(parts, request, observer=told.observer):
            outcomes.append(outcome)
            if not as_json:
                with told.aside():
                    _print_outcome(outcome)
        if metrics_file is not None:
            write_metrics(parts, metrics_file)
    seconds = time.monotonic() - started
    if as_json:
        sources = [outcome.as_json() for outcome in outcomes]
        print_json({"sources": sources, "dry_run": dry_run, "seconds": round(seconds, 3)})
    else:
        _print_overall(outcomes, seconds)
    if any(_has_failed(outcome, strict=strict) for outcome in outcomes):
        raise SystemExit(FAILED)


def _parts(home: Path | None, database: str | None) -> "Composition":
    from rag_pipeline.composition import Composition
    from rag_pipeline.settings import load_settings

    given = click.get_current_context().find_object(Given) or Given()
    return Composition(
        load_settings(home=home or given.home, database_url=database or given.database)
    )


def _has_failed(outcome: "Outcome", *, strict: bool) -> bool:
    refused = outcome.report is not None and bool(outcome.report.documents.failed)
    return outcome.status == "failed" or (strict and refused)


def _print_outcome(outcome: "Outcome") -> None:
    """What went wrong goes to stderr, which cron mails."""
    name = outcome.source.name
    if outcome.status == "failed":
        say(f"{name}: failed: {outcome.error}")
    elif outcome.status == "busy":
        click.echo(f"{name}: nothing done: {outcome.error}")
    elif outcome.status == "not_due":
        click.echo(f"{name}: not due yet")
    elif outcome.report is not None:
        counts = outcome.report.documents
        click.echo(
            f"{name}: new {counts.new}, changed {counts.changed}, unchanged {counts.unchanged},"
            f" duplicate {counts.duplicate}, near duplicate {counts.near_duplicate},"
            f" deleted {counts.deleted}, skipped {counts.skipped},"
            f" failed {counts.failed}; {outcome.seconds:.1f} s"
        )
        _print_refusals(outcome)


def _print_refusals(outcome: "Outcome") -> None:
    assert outcome.report is not None
    refused = [one for one in outcome.report.failures if one.outcome == "refused"]
    for refusal in refused[:_SHOWN_FAILURES]:
        say(f"{outcome.source.name}: refused: {refusal.source}: {refusal.reason}")
    if len(refused) > _SHOWN_FAILURES:
        say(f"{outcome.source.name}: … and {len(refused) - _SHOWN_FAILURES} more: see --json")


def _print_overall(outcomes: "list[Outcome]", seconds: float) -> None:
    statuses = [outcome.status for outcome in outcomes]
    click.echo(
        f"sources: {statuses.count('completed')} completed, {statuses.count('failed')} failed,"
        f" {statuses.count('busy')} left to another run, {statuses.count('not_due')} not due;"
        f" {seconds:.1f} s"
    )
