"""`rag history`"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import at_home, opened
from rag_pipeline.cli.history_filters import matching, matching_options
from rag_pipeline.cli.history_output import output_options, print_rows
from rag_pipeline.cli.history_show import short
from rag_pipeline.cli.on_demand import OnDemand
from rag_pipeline.cli.output import say

if TYPE_CHECKING:
    from rag_pipeline.cli.history_output import Form
    from rag_pipeline.history.looking_up import FoundPrompt, Order
    from rag_pipeline.history.matching import Matching
    from storage.prompts.listing import ListedPrompt
    from storage.records import PromptRecord


_COMMANDS = OnDemand(
    {
        "show": "history_show:show_prompt",
        "rate": "history_rate:rate",
        "score": "history_rate:score",
        "stats": "history_stats:stats",
        "trends": "history_stats:trends",
        "sessions": "history_stats:sessions",
        "export": "history_export:export",
        "tag": "history_tag:tag",
        "chain": "history_chain:chain",
        "diff": "history_diff:diff",
        "replay": "history_replay:replay",
        "import": "history_import:import_history",
        "prune": "history_prune:prune",
        "redact": "history_prune:redact",
    }
)


@click.group(commands=_COMMANDS)
def history() -> None:
    """Look up what was asked and answered, and from which evidence."""


@history.command("list")
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many; 0: all.")
@click.option("-q", "--query", "words", default="", help="Only with all these words.")
@matching_options
@click.option("--cursor", help="From where the page before ended.")
@output_options
@at_home
def list_prompts(
    limit: int,
    words: str,
    cursor: str | None,
    form: "Form | None",
    fields: str | None,
    home: Path | None,
    database: str | None,
    **filters: Any,
) -> None:
    """List exchanges, newest first.

    All that is said must hold. In -q, "a phrase" is looked for as such, and begin* finds what
    begins so.

    \b
    Example:
      rag history list -n 5 --state no_evidence
      rag history list -q 'lighthouse' --since 2026-01-01 --slower-than 2
      rag history list --where "score.helpful < 0.5 and cites = 'a.txt'" --csv
    """
    wanted: Matching = {**matching(filters), "words": words}
    with opened(home, database) as rag:
        if limit == 0:
            if cursor is not None:
                raise click.UsageError("-n 0 lists all; leave out --cursor")
            _print(rag.history.all(**wanted), form, fields, wanted)
            return
        page = rag.history.page(limit=limit, cursor=cursor, **wanted)
        _print(page.items, form, fields, wanted)
    if page.next_cursor is not None:
        say(f"there may be more: --cursor {page.next_cursor}")


def _print(
    listed: "Iterable[ListedPrompt]",
    form: "Form | None",
    fields: str | None,
    wanted: "Matching",
) -> None:
    if form is not None or fields is not None:
        from rag_pipeline.history.as_json import whole_with_rating

        print_rows((whole_with_rating(one) for one in listed), form or "csv", fields)
        return
    one = None
    for one in listed:
        click.echo(_line(one.prompt))
    if one is None:
        click.echo("nothing of that was asked" if any(wanted.values()) else "nothing was asked yet")


def _line(prompt: "PromptRecord") -> str:
    when = prompt.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    outcome = prompt.state or prompt.status
    question = short(prompt.question)
    return f"{prompt.prompt_id}  {when}  {outcome:<11}  {prompt.user}: {question}"


@history.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many, at most.")
@click.option(
    "--order",
    type=click.Choice(["rank", "newest"]),
    default="rank",
    show_default=True,
    help="What fits best first, or the newest.",
)
@click.option("--meaning", is_flag=True, help="By what is meant, in whatever words.")
@matching_options
@output_options
@at_home
def search_prompts(
    words: tuple[str, ...],
    limit: int,
    order: "Order",
    meaning: bool,
    form: "Form | None",
    fields: str | None,
    home: Path | None,
    database: str | None,
    **filters: Any,
) -> None:
    """Search questions and answers for all WORDS, "a phrase", or what begin* so.

    Any text will do. With --meaning those questions are found that are nearest to it.

    \b
    Example:
      rag history search lighthouse keeper
      rag history search '"how high"' --order newest --user eve
      rag history search --meaning "who looks after the lamp" -n 5
    """
    wanted = matching(filters)
    text = " ".join(words)
    with opened(home, database) as rag:
        if meaning:
            found = rag.history.near(text, limit=limit, **wanted)
        else:
            found = rag.history.search(text, limit=limit, order=order, **wanted)
    if form is not None or fields is not None:
        from rag_pipeline.history.as_json import found_part, whole_with_rating

        rows = (whole_with_rating(one.listed) | found_part(one) for one in found)
        print_rows(rows, form or "csv", fields)
        return
    if not found:
        click.echo("nothing was found")
    for one in found:
        click.echo(_line(one.listed.prompt))
        nearness = "" if one.score is None else f"{one.score:.2f}  "
        click.echo(f"    {nearness}{_highlighted(one)}")


def _highlighted(found: "FoundPrompt") -> str:
    """The part that fits; with its words in bold where that is shown."""
    if not sys.stdout.isatty():
        return found.snippet.text
    return found.snippet.marked(
        click.style("", bold=True, reset=False), click.style("", reset=True)
    )
