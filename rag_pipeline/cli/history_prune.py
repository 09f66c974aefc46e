"""`rag history prune` and `rag history redact`"""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from rag_pipeline.retention import Pruned


@click.command()
@click.option("--older-than", metavar="AGE", help="Of this age, like 12h, 90d, 8w or 2y.")
@click.option("--application", metavar="NAME", help="Only of this application.")
@click.option("--where", metavar="EXPR", help="Only those that fulfil this filter.")
@click.option("--keep-rated", is_flag=True, help="Not those that somebody scored or corrected.")
@click.option("--compact", is_flag=True, help="Clear them out of the database's files as well.")
@click.option("--dry-run", is_flag=True, help="Say how many there are; change nothing.")
@as_json_option
@at_home
def prune(
    older_than: str | None,
    application: str | None,
    where: str | None,
    keep_rated: bool,
    compact: bool,
    dry_run: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Remove old exchanges; without --older-than, as `[retention.…]` of the settings says.

    Exchanges that followed from them stay, and statistics count what is left.

    \b
    Example:
      rag history prune --older-than 90d --keep-rated --dry-run
      rag history prune
    """
    if older_than is None and (application or where or keep_rated or compact):
        raise click.UsageError("say --older-than too; without it the settings' policies apply")
    with opened(home, database) as rag:
        if older_than is None:
            done = rag.history.retention.apply_policies(dry_run=dry_run)
        else:
            done = [
                rag.history.retention.prune(
                    older_than,
                    application=application,
                    keep_rated=keep_rated,
                    dry_run=dry_run,
                    is_compacted=compact,
                    where=where,
                )
            ]
    if as_json:
        print_json({"dry_run": dry_run, "pruned": [one.as_json() for one in done]})
    elif not done:
        click.echo("nothing to do: no [retention.APPLICATION] in the settings says older_than")
    else:
        _print_pruned(done, dry_run=dry_run)


def _print_pruned(done: "list[Pruned]", *, dry_run: bool) -> None:
    for one in done:
        whose = "" if one.application is None else f" of {one.application}"
        verb = "would be removed" if dry_run else "removed"
        click.echo(f"{one.prompts} exchanges{whose} {verb}")


@click.command()
@click.argument("prompt_id", required=False)
@click.option("--where", metavar="EXPR", help="All that fulfil this filter, instead of one.")
@click.option("--pattern", "patterns", multiple=True, metavar="REGEX", help="What is taken out.")
@click.option("--everything", is_flag=True, help="Take out all of question and answer.")
@click.option("--dry-run", is_flag=True, help="Say which would be looked through.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@as_json_option
@at_home
def redact(
    prompt_id: str | None,
    where: str | None,
    patterns: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Take personal data out of exchanges that stay on record, for good.

    Without --pattern or --everything: e-mail addresses, IBANs, card and telephone numbers, and
    IP addresses.

    \b
    Example:
      rag history redact 019a6c
      rag history redact --where 'user = "alice"' --pattern 'Project \\w+' --dry-run
    """
    with opened(home, database) as rag:
        work = partial(
            rag.history.retention.redact,
            prompt_id,
            where=where,
            patterns=patterns,
            everything=everything,
        )
        found = work(dry_run=True)
        if not dry_run:
            if not yes:
                _confirm(len(found))
            found = work()
    if as_json:
        print_json({"dry_run": dry_run, "prompts": found})
    else:
        verb = "would be looked through" if dry_run else "redacted"
        click.echo(f"{len(found)} exchanges {verb}")


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked; say --yes, or --dry-run to look first")
    say(f"{count} exchanges are looked through, and what is found in them is taken out.")
    click.confirm("Redact them? It can't be undone.", abort=True, err=True)
