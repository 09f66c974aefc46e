"""`rag synth sample` and `rag synth report`"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import FAILED, print_json, say, writing

if TYPE_CHECKING:
    from rag_pipeline.synthetic.sampling_report import Sampled


@click.command()
@click.argument("name")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="Records, or whole series of a set that has them.",
)
@click.option("--model", metavar="NAME@N", help="What draws; else the active or newest version.")
@click.option(
    "--where",
    metavar="EXPR",
    help="What each must be, like \"age >= 65 and trade = 'clerk'\"; of series, what never changes"
    " in them.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Else one that no batch was drawn with.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Another limit of the gate; may be given more than once.",
)
@click.option("--target", metavar="COLUMN", help="What is to be told; else that of the fit.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="COLUMN",
    help="Judge each of its values apart; may be given more than once.",
)
@click.option(
    "--allow-unreviewed", is_flag=True, help="Store them though too few are there to be judged."
)
@click.option("--dry-run", is_flag=True, help="Judge, and store nothing.")
@click.option(
    "--out", type=ANY_PATH, metavar="FILE", help="Export what is stored there, as `export` does."
)
@as_json_option
@at_home
def sample(
    name: str,
    count: int,
    model: str | None,
    where: str | None,
    seed: int | None,
    thresholds: tuple[str, ...],
    target: str | None,
    slices: tuple[str, ...],
    allow_unreviewed: bool,
    dry_run: bool,
    out: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Draw records of the set NAME, and store them as synthetic if they pass the gate.

    None equals a record that was learnt from. What the gate refuses is not stored, and the exit
    status is 1; why is kept, for `rag synth report`.

    \b
    Example:
      rag synth sample people -n 2000
      rag synth sample people --where "age >= 65" --threshold shape_error=0.1
    """
    if out is not None and dry_run:
        raise click.UsageError("--out gets what is stored, and --dry-run stores nothing")
    limits = _limits(thresholds)
    from rag_pipeline.synthetic.sampling_report import SampleWanted

    wanted = SampleWanted(
        name=name,
        count=count,
        model=model,
        where=where,
        seed=seed,
        thresholds=limits,
        target=target,
        slices=slices,
        allow_unreviewed=allow_unreviewed,
        dry_run=dry_run,
        out=out,
    )
    with opened(home, database) as rag:
        sampled = rag.synthetic.sample(wanted, tell=say)
    if as_json:
        print_json(sampled.as_json())
    else:
        for line in _lines(sampled):
            click.echo(line)
    if not sampled.is_accepted:
        raise SystemExit(FAILED)


@click.command()
@click.argument("name")
@click.argument("batch", type=click.IntRange(min=1), required=False)
@click.option("--html", type=ANY_PATH, metavar="FILE", help="Write it as a page with plots.")
@as_json_option
@at_home
def report(
    name: str,
    batch: int | None,
    html: Path | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Show how a sampling of the set NAME was judged: that BATCH, or the newest.

    \b
    Example:
      rag synth report people --html people.html
      rag synth report people 2 --json
    """
    with opened(home, database) as rag:
        found = rag.synthetic.report(name, batch)
    if html is not None:
        from rag_pipeline.synthetic.judging.page import page

        with writing(html) as file:
            file.write(page(found))
    if as_json:
        print_json(dict(found))
    else:
        for line in _report_lines(found):
            click.echo(line)


def _limits(given: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise click.UsageError(
                f"--threshold {one!r}: give NAME=NUMBER, such as shape_error=0.1"
            ) from error
    return found


def _lines(sampled: "Sampled") -> Iterator[str]:
    where = "" if sampled.wanted.where is None else f" where {sampled.wanted.where}"
    copies = f", {sampled.copies} copies dropped" if sampled.copies else ""
    series = "" if sampled.series is None else f" of {sampled.series} series"
    drawn = f"{len(sampled.drawn)} records{series}{where}{copies}"
    yield f"{sampled.model.reference}, seed {sampled.seed}: {drawn}"
    yield from _verdict(sampled.verdict.as_json())
    if sampled.stored:
        yield f"stored as batch {sampled.batch_id} of {sampled.wanted.name}, tagged as synthetic"
    elif sampled.batch_id is not None:
        report = f"rag synth report {sampled.wanted.name} {sampled.batch_id}"
        yield f"not stored; `{report}` says why"
    else:
        yield "nothing is stored: this was a dry run"


def _report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    said = report["provenance"]
    where = "" if said["where"] is None else f" where {said['where']}"
    series = f" of {said['series']} series" if "series" in said else ""
    yield f"{said['drawn']} records{series} by {said['method']}{where}, seed {said['seed']}"
    yield from _verdict(report["verdict"])
    for check in report["verdict"]["checks"]:
        sign = ">=" if check["is_least"] else "<="
        mark = "ok" if check["holds"] else "warns" if check["warns"] else "BREAKS"
        held = f"{check['value']:>9.4f} {sign} {check['limit']:<9.4g}"
        yield f"  {check['measure']:<24} {held} {mark}"


def _verdict(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield f"verdict: {verdict['state']}"
    for reason in verdict["reasons"]:
        yield f"  refused: {reason}" if verdict["state"] == "refused" else f"  {reason}"
    for warning in verdict["warnings"]:
        yield f"  warning: {warning}"
