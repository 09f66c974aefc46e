"""`rag history tag`"""

from pathlib import Path

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json

_SEPARATOR = "--"


class TakesMinuses(click.Command):
    """Reads `-old` as an argument, and only what begins with two minuses as an option."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Hide the one minus of such arguments from click, and give it back."""
        signed = [arg for arg in args if _is_signed(arg, context)]
        rest = [arg for arg in args if not _is_signed(arg, context)]
        left = super().parse_args(context, rest)
        context.params["changes"] = (*context.params["changes"], *signed)
        return left


def _is_signed(arg: str, context: click.Context) -> bool:
    return (
        arg.startswith("-") and not arg.startswith(_SEPARATOR)
    ) and arg not in context.help_option_names


@click.command("tag", cls=TakesMinuses)
@click.argument("prompt_id")
@click.argument("changes", metavar="[+TAG | -TAG]...", nargs=-1)
@click.option("--category", metavar="NAME", help="Put it into this category instead.")
@click.option("--no-category", is_flag=True, help="Take it out of its category.")
@as_json_option
@at_home
def tag(
    prompt_id: str,
    changes: tuple[str, ...],
    category: str | None,
    no_category: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Put tags on an exchange and take them off, or put it into a category.

    A unique beginning of PROMPT_ID is enough.

    \b
    Example:
      rag history tag 019a6c +urgent -old --category billing
    """
    added, removed = _tags(changes, "+"), _tags(changes, "-")
    for change in changes:
        if change[:1] not in ("+", "-"):
            raise click.UsageError(f"say +{change} to add the tag, or -{change} to take it off")
    if set(added) & set(removed):
        raise click.UsageError("a tag can't be added and taken off at once")
    if category is not None and no_category:
        raise click.UsageError("--category and --no-category contradict each other")
    with opened(home, database) as rag:
        if category is not None or no_category:
            rag.history.categorise(prompt_id, category)
        tags = rag.history.tag(prompt_id, add=added, remove=removed)
    if as_json:
        print_json({"tags": list(tags)})
    else:
        click.echo(", ".join(tags) or "no tags")


def _tags(changes: tuple[str, ...], sign: str) -> list[str]:
    return [change[1:] for change in changes if change.startswith(sign)]
