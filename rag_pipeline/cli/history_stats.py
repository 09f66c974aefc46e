"""`rag history stats`, `trends` and `sessions`"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, Command, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.csv_cells import harmless

if TYPE_CHECKING:
    from rag_pipeline.history.topics import Term
    from rag_pipeline.history.trends import Figures, Trends
    from storage.prompts.sessions import Conversation
    from storage.prompts.statistics import By, Statistics

_BY = ["day", "week", "month", "user", "model", "collection", "application", "category", "tag"]
_FIGURES = {
    "prompts": "exchanges",
    "users": "users",
    "answered": "answered",
    "grounded_share": "grounded",
    "groundedness": "groundedness",
    "rating": "rating",
    "ratings": "ratings",
    "ups": "up",
    "downs": "down",
    "failed_share": "failed",
    "p50_s": "half within s",
    "p95_s": "95 % within s",
    "cost": "cost",
}


def _filtered(command: Command) -> Command:
    """Let a command take the filters that statistics have in common."""
    for option in (
        click.option("--where", metavar="EXPR", help="Only exchanges that this is true of."),
        click.option("--until", metavar="DATE", help="Only of this day or earlier."),
        click.option("--tag", metavar="TAG", help="Only with this tag."),
        click.option("--category", metavar="NAME", help="Only of this category."),
        click.option("--application", metavar="NAME", help="Only of this program."),
        click.option("--collection", metavar="NAME", help="Only answered from this collection."),
        click.option("--model", metavar="NAME", help="Only answered by this model."),
        click.option("--user", metavar="NAME", help="Only of this user."),
    ):
        command = option(command)
    return command


_plot_option: Callable[[Command], Command] = click.option(
    "--plot", type=ANY_PATH, metavar="FILE", help="Draw it too: a .png or .svg file."
)


@click.command("stats")
@click.option("--by", type=click.Choice(_BY), default="day", show_default=True)
@click.option(
    "-n", "limit", type=int, default=100, show_default=True, help="Of users, models …: how many."
)
@click.option("--since", metavar="DATE", help="Only of this day or later.")
@_filtered
@_plot_option
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--recount", is_flag=True, help="First count every exchange anew.")
@as_json_option
@at_home
def stats(
    by: "By",
    limit: int,
    plot: Path | None,
    as_csv: bool,
    recount: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **wanted: Any,
) -> None:
    """Count exchanges, how they came out, how long they took and what was said of them.

    Days are in UTC. Durations are of completed answers, to within 5 %; rating, up and down are
    what people said last of each answer.

    \b
    Example:
      rag history stats --by month
      rag history stats --by model --since 2026-01-01 --plot models.png
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv are two forms of one answer; give one of them")
    _check_plot(plot)
    with opened(home, database) as rag:
        if recount:
            rag.history.recount()
        found = rag.history.stats(by=by, limit=limit, **wanted)
    if plot is not None:
        from rag_pipeline.history.plot import plot_statistics

        plot_statistics(found.groups, by, plot)
        say(f"drawn in {plot}")
    _print_statistics(found, by, as_json=as_json, as_csv=as_csv)


def _print_statistics(found: "Statistics", by: "By", *, as_json: bool, as_csv: bool) -> None:
    from rag_pipeline.history.statistics import COLUMNS, row
    from rag_pipeline.history.statistics import as_json as told_json

    if as_json:
        print_json({"by": by} | told_json(found))
        return
    rows = [row(group) for group in found.groups]
    if as_csv:
        _print_csv([by, *COLUMNS], [[one["key"], *(one[name] for name in COLUMNS)] for one in rows])
        return
    if not rows:
        click.echo("nothing was asked")
        return
    heads = [by, *COLUMNS]
    _print_table(heads, [[one["key"], *(_said(one[name]) for name in COLUMNS)] for one in rows])
    if found.total > len(rows):
        say(f"{len(rows)} of {found.total}; more with -n")


@click.command("trends")
@click.option("--days", type=int, default=30, show_default=True, help="How long a period is.")
@_filtered
@_plot_option
@as_json_option
@at_home
def trends(
    days: int,
    plot: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **wanted: Any,
) -> None:
    """Compare a period with the one before it: use, feedback, latency, and what is asked about.

    A term is named where its share in the questions moved beyond chance (|z| > 1.96, Monroe et
    al. 2008).

    \b
    Example:
      rag history trends --days 7
    """
    _check_plot(plot)
    with opened(home, database) as rag:
        found = rag.history.trends(days=days, **wanted)
    if plot is not None:
        from rag_pipeline.history.plot import plot_trends

        plot_trends(found, plot)
        say(f"drawn in {plot}")
    if as_json:
        print_json(found.as_json())
    else:
        _print_trends(found)


def _print_trends(found: "Trends") -> None:
    click.echo(f"{found.days} days from {found.first_day} on, and as many before")
    rows = [
        [words, _said(_figure(found.now, name)), _said(_figure(found.before, name))]
        for name, words in _FIGURES.items()
    ]
    _print_table(["", "now", "before"], rows)
    _print_terms("rose", found.risen)
    _print_terms("fell", found.fallen)
    if found.drift is not None:
        click.echo(
            f"the mean question moved by {found.drift.distance:.4f} in cosine distance;"
            f" p = {found.drift.p_value:.3f}"
        )


def _figure(figures: "Figures", name: str) -> float | int | None:
    value: float | int | None = getattr(figures, name)
    return value


def _print_terms(words: str, terms: "Sequence[Term]") -> None:
    if terms:
        told = ", ".join(f"{one.term} ({one.before} → {one.now})" for one in terms)
        click.echo(f"{words}  {told}")


@click.command("sessions")
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many, at most.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--cursor", metavar="TEXT", help="Go on where another page ended.")
@as_json_option
@at_home
def sessions(
    limit: int,
    user: str | None,
    cursor: str | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """List conversations, those that began last first.

    \b
    Example:
      rag history sessions --user anna
    """
    with opened(home, database) as rag:
        page = rag.history.sessions(limit=limit, user=user, cursor=cursor)
    if as_json:
        from rag_pipeline.history.sessions import conversation_json

        items = [conversation_json(one) for one in page.items]
        print_json({"items": items, "next_cursor": page.next_cursor})
        return
    if not page.items:
        click.echo("there is no conversation")
        return
    _print_table(
        ["session", "user", "exchanges", "first", "last", "outcome", "last question"],
        [_conversation(one) for one in page.items],
    )
    if page.next_cursor is not None:
        say(f"more: --cursor {page.next_cursor}")


def _conversation(one: "Conversation") -> list[str]:
    begun, last = (at.astimezone().strftime("%Y-%m-%d %H:%M") for at in (one.first_at, one.last_at))
    outcome = one.last_state or one.last_status
    question = " ".join(one.last_question.split())[:50]
    return [one.session, one.user, str(one.prompts), begun, last, outcome, question]


def _check_plot(plot: Path | None) -> None:
    """Before any work."""
    if plot is not None:
        from rag_pipeline.evaluation.plot import check_plot

        check_plot(plot)


def _print_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([["" if cell is None else harmless(cell) for cell in row] for row in rows])
    click.echo(told.getvalue(), nl=False)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Figures to the right, words to the left."""
    table = [[*heads], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        cells = [
            cell.rjust(width) if column and _is_figure(table, column) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _is_figure(table: Sequence[Sequence[str]], column: int) -> bool:
    return all(row[column] == "–" or row[column][:1].isdigit() for row in table[1:])


def _said(value: float | int | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return str(value)
