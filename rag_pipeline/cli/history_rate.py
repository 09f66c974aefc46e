"""`rag history rate` and `rag history score`"""

from pathlib import Path
from typing import Any

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json

_THUMBS = {"up": 1.0, "down": 0.0}


class ScoreValue(click.ParamType[float]):
    """A number from 0 to 1, or a thumb."""

    name = "score"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if value in _THUMBS:
            return _THUMBS[value]
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no score; write a number from 0 to 1, up or down", param, ctx)
        if not 0 <= number <= 1:
            self.fail(f"{value} is out of range; write a number from 0 to 1", param, ctx)
        return number


@click.command("rate")
@click.argument("prompt_id")
@click.argument("value", type=ScoreValue(), required=False)
@click.option("--metric", default="rating", show_default=True, help="What is scored.")
@click.option("--label", metavar="WORD", help="A word for what is right or wrong with it.")
@click.option("--comment", metavar="TEXT", help="What else there is to say of it.")
@click.option("--correction", metavar="TEXT", help="What the answer should have been.")
@click.option("--user", metavar="NAME", help="Who says it; without, your account.")
@as_json_option
@at_home
def rate(
    prompt_id: str,
    value: float | None,
    metric: str,
    label: str | None,
    comment: str | None,
    correction: str | None,
    user: str | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Say how good an answer is: VALUE is up, down, or a number from 0 (wrong) to 1 (right).

    A unique beginning of PROMPT_ID is enough. Of what you say of one answer by one metric, the
    last counts.

    \b
    Example:
      rag history rate 019a6c up
      rag history rate 019a6c 0.3 --metric clarity --label too-long
      rag history rate 019a6c down --correction "It was built in 1874."
    """
    with opened(home, database) as rag:
        key = rag.history.rate(
            prompt_id,
            value,
            metric=metric,
            user=user,
            label=label,
            comment=comment,
            correction=correction,
        )
    if as_json:
        print_json({"prompt_id": key, "metric": metric, "score": value, "label": label})
    else:
        click.echo(f"on record for {key}")


@click.command("score")
@click.option("-n", "limit", type=click.IntRange(min=1), help="So many answers, at most.")
@click.option("--again", is_flag=True, help="Also what a newer version of a judge has not seen.")
@as_json_option
@at_home
def score(
    limit: int | None, again: bool, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Let the automatic judges see the answers that wait for them.

    Each completed answer waits once; run this from cron. It may be stopped at any moment.

    \b
    Example:
      rag history score
    """
    with opened(home, database) as rag:
        done = rag.history.score(limit=limit, again=again)
    if as_json:
        print_json(done.as_json())
        return
    names = ", ".join(f"{one.metric} ({one.name} {one.version})" for one in done.judges)
    click.echo(f"{done.answers} answers judged, {done.waiting} wait: {names}")
