"""The options that say which exchanges are meant, and how these are printed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rag_pipeline.history.matching import Filters

Command = TypeVar("Command", bound=Callable[..., Any])

_ANSWERED_BY = click.option("-m", "--model", metavar="NAME", help="Only answered by this model.")
_OPTIONS = (
    click.option("--user", metavar="NAME", help="Only of this user."),
    click.option("--session", "--cid", metavar="NAME", help="Only of this conversation."),
    click.option("--application", metavar="NAME", help="Only what this program asked."),
    click.option("-c", "--collection", metavar="NAME", help="Only from these documents."),
    click.option("--category", metavar="NAME", help="Only of this category."),
    click.option("--tag", metavar="TAG", help="Only with this tag."),
    click.option("--state", type=click.Choice(["grounded", "partial", "no_evidence"])),
    click.option("--status", type=click.Choice(["started", "completed", "failed", "cancelled"])),
    click.option("--min-score", type=float, metavar="0…1", help="Only answers rated so or better."),
    click.option("--max-score", type=float, metavar="0…1", help="Only answers rated so or worse."),
    click.option("--metric", metavar="NAME", help="Of which score; else of the rating by people."),
    click.option("--since", metavar="DATE", help="Only of this day or time, or later."),
    click.option("--until", metavar="DATE", help="Only of this day or time, or earlier."),
    click.option(
        "--cites", metavar="DOCUMENT", help="Only answers that cite this external id or source."
    ),
    click.option("--ungrounded", is_flag=True, help="Only answers without evidence for it all."),
    click.option("--slower-than", type=float, metavar="SECONDS", help="Only what took longer."),
    click.option(
        "--where", metavar="FILTER", help="What else holds, such as: cost > 0.01 and tag != 'test'"
    ),
)


def matching_options(command: Command) -> Command:
    """Let a command take all filters; it gets them as `filters`."""
    return _ANSWERED_BY(matching_options_but_model(command))


def matching_options_but_model(command: Command) -> Command:
    """The same for a command that means something else by --model."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def matching(given: dict[str, Any]) -> "Filters":
    """What was said by the options of `matching_options`, taken out of all that was `given`."""
    from rag_pipeline.history.matching import Filters

    names = (
        "where",
        "user",
        "session",
        "application",
        "model",
        "collection",
        "category",
        "tag",
        "state",
        "status",
        "min_score",
        "max_score",
        "metric",
        "since",
        "until",
        "cites",
        "ungrounded",
        "slower_than",
    )
    # Click gives each name what its option converts to.
    found: Filters = {name: given.pop(name) for name in names}  # type: ignore[assignment]
    return found
