"""`rag synth fit`"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.cli.training import seed_option, told

if TYPE_CHECKING:
    from rag_pipeline.synthetic.fitting_report import Fitted


@click.command()
@click.argument("name")
@click.option(
    "--method", metavar="METHOD", help="Such as autoregressive; an unknown one names all there are."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the method; may be given more than once.",
)
@click.option(
    "--budget", "budget_s", type=float, metavar="SECONDS", help="Of CPU time, instead of --steps."
)
@click.option("--steps", type=click.IntRange(min=1), help="Of training; else the method's own.")
@seed_option
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True
)
@click.option("--target", metavar="COLUMN", help="What is to be told from the other columns.")
@click.option("--name", "model", metavar="NAME", help="Of the versions that come of it.")
@click.option(
    "--keep",
    type=click.Choice(["blob", "file"]),
    help="In the database or the home; else in the database up to 8 MiB.",
)
@click.option("--link", metavar="URL", help="Put it on this MLflow server, too.")
@click.option("--allow-few", is_flag=True, help="Learn fewer than 500 records: by heart, maybe.")
@click.option(
    "--allow-synthetic-parents", is_flag=True, help="Learn what was drawn as well as what is real."
)
@click.option("--plot", type=ANY_PATH, metavar="FILE", help="Draw the training as PNG or SVG.")
@as_json_option
@at_home
def fit(
    name: str,
    method: str | None,
    settings: tuple[str, ...],
    budget_s: float | None,
    steps: int | None,
    seed: int,
    threads: int,
    device: Literal["cpu", "cuda", "auto"],
    target: str | None,
    model: str | None,
    keep: Literal["blob", "file"] | None,
    link: str | None,
    allow_few: bool,
    allow_synthetic_parents: bool,
    plot: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Learn the real records of the set NAME, and keep what came of it as a version.

    Records held out judge what it draws. Broken off, the same command goes on.

    \b
    Example:
      rag synth fit people
      rag synth fit people --method autoregressive --budget 60 --target pay
    """
    if steps is not None and budget_s is not None:
        raise click.UsageError("give --steps or --budget")
    chosen = _settings(settings) | ({} if steps is None else {"steps": steps})
    from rag_pipeline.synthetic.fitting_report import FitWanted
    from rag_pipeline.synthetic.generator import Fitting

    wanted = FitWanted(
        name=name,
        method=method,
        settings=chosen,
        fitting=Fitting(seed=seed, threads=threads, budget_s=budget_s, device=device),
        target=target,
        model=model,
        keep=keep,
        link=link,
        allow_few=allow_few,
        allow_synthetic_parents=allow_synthetic_parents,
        plot=plot,
    )
    with opened(home, database) as rag:
        fitted = rag.synthetic.fit(wanted, observe=told(), tell=say)
    if as_json:
        print_json(fitted.as_json())
    else:
        _print(fitted)


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as JSON has it; what is no JSON is a text."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {one!r}: give NAME=VALUE, such as width=128")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _print(fitted: "Fitted") -> None:
    trained = fitted.trained
    early = ", stopped early" if trained.stopped_early else ""
    series = "" if fitted.series is None else f" of {fitted.series} series"
    click.echo(
        f"{fitted.model.reference}: {fitted.records} records{series} by {fitted.method},"
        f" {len(trained.losses)} steps{early}, best after {trained.best.step}"
    )
    figures = ", ".join(f"{name} {one:.3f}" for name, one in fitted.nearness.items())
    click.echo(f"what it draws beside records held out: {figures}")
    if fitted.link is not None:
        click.echo(fitted.link)
