"""`rag history diff`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from rag_pipeline.history.pairing import Pair


@click.command("diff")
@click.argument("before")
@click.argument("after")
@as_json_option
@at_home
def diff(before: str, after: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show what is different about two exchanges: evidence, words, state, what made them.

    Unique beginnings of the two ids BEFORE and AFTER are enough.

    \b
    Example:
      rag history diff 019a6c 019a7f
    """
    with opened(home, database) as rag:
        pair = rag.history.diff(before, after)
    if as_json:
        print_json(pair.as_json())
    else:
        _print(pair)


def _print(pair: "Pair") -> None:
    from rag_pipeline.cli.difference import lines, words

    for mark, one in (("before", pair.before), ("after", pair.after)):
        when = f"{one.created_at.astimezone():%Y-%m-%d %H:%M:%S}"
        about = f"{one.collection}, generation {one.generation}, {one.model}"
        click.echo(f"{mark:<11} {one.prompt_id}  {when}  {one.user}, {about}")
    click.echo(f"question    {words(pair.question)}")
    if not pair.difference.answer_changed:
        click.echo(f"answer      {pair.before.answer or '–'}")
    for line in lines(pair.difference, pair.sources):
        click.echo(line)
    if pair.difference.is_identical:
        click.echo("nothing differs")
