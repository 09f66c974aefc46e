"""`rag sync`"""

import time
from collections.abc import Iterator
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
    from rag_pipeline.evaluation.gate import Verdict

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
@click.option("--release", is_flag=True, help="Only serve what a gate holds back, as it is.")
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
    release: bool,
    strict: bool,
    progress: Wanted,
    metrics_file: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Bring the declared sources up to date: all that are enabled, or those of NAME.

    Each source is a run of its own. One that can't be reached fails with its reason, nothing of it
    is removed, and the others go on. Where another run is at work, nothing is done. What fails the
    gate of its collection is kept, but not served.

    \b
    Example:
      rag sync --prune
      rag sync handbook --dry-run
    """
    from ingest.sync import Outcome, SyncOptions
    from rag_pipeline.syncing import SyncRequest, write_metrics
    from rag_pipeline.syncing import sync as synced

    if release:
        _release(home, database, wait=wait, as_json=as_json)
        return
    request = SyncRequest(
        names=names,
        declaration=config,
        options=SyncOptions(prune=prune, dry_run=dry_run, due_only=due),
        wait=wait,
    )
    started = time.monotonic()
    outcomes: list[Outcome] = []
    verdicts: list[Verdict] = []
    with (
        sigterm_as_ctrl_c(),
        shown(progress) as told,
        closing(_parts(home, database)) as parts,
    ):
        for outcome in synced(parts, request, observer=told.observer):
            if isinstance(outcome, Outcome):
                outcomes.append(outcome)
            else:
                verdicts.append(outcome)
            if not as_json:
                with told.aside():
                    _print_step(outcome)
        if metrics_file is not None:
            write_metrics(parts, metrics_file, verdicts)
        held = _held(parts)
    seconds = time.monotonic() - started
    if as_json:
        sources = [outcome.as_json() for outcome in outcomes]
        gates = {"gates": [verdict.as_json() for verdict in verdicts]} if verdicts else {}
        print_json({"sources": sources, **gates, "dry_run": dry_run, "seconds": round(seconds, 3)})
    else:
        _print_overall(outcomes, seconds)
    if held is not None:
        say(held)
    gate_failed = any(verdict.status == "failed" for verdict in verdicts)
    if gate_failed or any(_has_failed(outcome, strict=strict) for outcome in outcomes):
        raise SystemExit(FAILED)


def _release(home: Path | None, database: str | None, *, wait: bool, as_json: bool) -> None:
    from rag_pipeline.evaluation.gate import release_held

    with closing(_parts(home, database)) as parts:
        before, now = release_held(parts, wait=wait)
    if as_json:
        print_json({"served_before": before, "served": now})
    elif before == now:
        click.echo(f"nothing is held back: generation {now} is served")
    else:
        click.echo(f"generation {now} is served from now on, instead of {before}")


def _held(parts: "Composition") -> str | None:
    from storage.gate import held_at

    # Not what is served now: another writer may commit between two looks.
    held = held_at(parts.database)
    committed = parts.reader.committed().generation
    if held is None or held == committed:
        return None
    return (
        f"generation {committed} is held back, and {held} is served: a sync that passes the"
        " gate serves it, or `rag sync --release`"
    )


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


def _print_step(step: "Outcome | Verdict") -> None:
    from ingest.sync import Outcome

    if isinstance(step, Outcome):
        _print_outcome(step)
    else:
        _print_verdict(step)


def _print_verdict(verdict: "Verdict") -> None:
    name = f"gate {verdict.collection}"
    figures = ", ".join(_figures(verdict))
    if verdict.status == "busy":
        click.echo(f"{name}: not judged: {verdict.error}")
    elif verdict.status == "passed":
        click.echo(f"{name}: passed: {figures}")
    else:
        say(f"{name}: failed: {verdict.error or '; '.join(verdict.failures)}")
        if figures:
            click.echo(f"{name}: {figures}")


def _figures(verdict: "Verdict") -> Iterator[str]:
    from rag_pipeline.evaluation.gate import means

    before = means(verdict.baseline)
    for name, mean in means(verdict.evaluation).items():
        yield f"{name} {mean:.4f}" + (f" (was {before[name]:.4f})" if name in before else "")


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
