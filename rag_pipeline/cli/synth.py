"""`rag synth`: sets of records, and what is known of them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.cli.synth_fit import fit
from rag_pipeline.cli.synth_forget import forget
from rag_pipeline.cli.synth_load import columns, load
from rag_pipeline.cli.synth_questions import questions
from rag_pipeline.cli.synth_sample import report, sample

if TYPE_CHECKING:
    from storage.record_sets.values import RecordBatch, RecordSet, Split, WantedOrigin
    from storage.versions.values import ModelVersion


@click.group()
def synth() -> None:
    """Learn sets of records, and draw synthetic ones that are told apart from the real."""


synth.add_command(load)
synth.add_command(fit)
synth.add_command(forget)
synth.add_command(questions)
synth.add_command(sample)
synth.add_command(report)


@synth.command("list")
@as_json_option
@at_home
def list_sets(as_json: bool, home: Path | None, database: str | None) -> None:
    """List the sets of records, with what learnt them.

    \b
    Example:
      rag synth list
    """
    with opened(home, database) as rag:
        found = [(one, rag.synthetic.models(one.name)) for one in rag.synthetic.sets()]
    if as_json:
        from rag_pipeline.synthetic.as_json import set_json

        print_json([set_json(one, models) for one, models in found])
        return
    if not found:
        click.echo("no set was loaded yet: `rag synth load NAME FILE`")
    for one, models in found:
        names = ", ".join(model.reference for model in models if model.state != "retired")
        counts = f"{one.real:>9} real {one.synthetic:>9} synthetic"
        click.echo(f"{one.name:<20} {counts}  {names or 'not fitted'}")


@synth.command()
@click.argument("name")
@click.argument("batch", type=click.IntRange(min=1), required=False)
@as_json_option
@at_home
def show(
    name: str, batch: int | None, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Show the set NAME: columns, models, and what came into it; or one BATCH of it.

    \b
    Example:
      rag synth show people
      rag synth show people 2
    """
    from rag_pipeline.synthetic.as_json import batch_json, set_json

    with opened(home, database) as rag:
        found = rag.synthetic.get(name)
        models, batches = rag.synthetic.models(name), rag.synthetic.batches(name)
        if batch is not None:
            only = batch_json(rag.synthetic.batch(name, batch))
    if batch is not None:
        _print_batch(only, as_json=as_json)
    elif as_json:
        print_json({**set_json(found, models), "batches": [batch_json(one) for one in batches]})
    else:
        for line in _lines(found, models, batches):
            click.echo(line)


@synth.command()
@click.argument("name")
@click.argument("out", type=ANY_PATH)
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    required=True,
    help="Which records; each says in its columns what it is.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Only of this batch.")
@click.option("--split", type=click.Choice(["train", "holdout"]), help="Only of this side.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="COLUMN",
    help="Count each of its values in the card; may be given more than once.",
)
@click.option(
    "--raw", is_flag=True, help="In CSV, leave texts as they are that spreadsheets would run."
)
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@as_json_option
@at_home
def export(
    name: str,
    out: Path,
    origin: "WantedOrigin",
    batch: int | None,
    split: "Split | None",
    slices: tuple[str, ...],
    raw: bool,
    force: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Write records of the set NAME to OUT: .csv, .jsonl or .parquet, with a data card beside it.

    \b
    Example:
      rag synth export people synthetic.csv --origin synthetic
      rag synth export people both.parquet --origin both --slice trade
    """
    from rag_pipeline.synthetic.exporting import ExportWanted

    with opened(home, database) as rag:
        exported = rag.synthetic.export(
            ExportWanted(
                name=name,
                path=out,
                origin=origin,
                batch_id=batch,
                split=split,
                slices=slices,
                raw=raw,
                overwrite=force,
            )
        )
    if as_json:
        print_json(exported.as_json())
    else:
        click.echo(f"{exported.path}: {exported.real} real, {exported.synthetic} synthetic records")
        click.echo(f"{exported.card}: what they are, and how good")
        if exported.defused:
            say(
                f"{exported.defused} cells begin like formulas and got an apostrophe, so that no"
                " spreadsheet runs them; --raw leaves them as they are"
            )


@synth.command()
@click.argument("name")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Only this batch.")
@click.option(
    "--model", metavar="NAME@N", help="Only this version: its weights, and all that it drew."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@as_json_option
@at_home
def delete(
    name: str,
    batch: int | None,
    model: str | None,
    yes: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Remove the set NAME, with all its records and the weights of what learnt them.

    \b
    Example:
      rag synth delete people --batch 3 --yes
      rag synth delete people --model people@1
    """
    if batch is not None and model is not None:
        raise click.UsageError("give --batch or --model, or neither for all of the set")
    with opened(home, database) as rag:
        rag.synthetic.get(name)
        if not yes:
            _confirm(name, batch, model)
        if batch is not None:
            deleted = rag.synthetic.delete_batch(name, batch)
        elif model is not None:
            deleted = rag.synthetic.delete_model(name, model)
        else:
            deleted = rag.synthetic.delete(name)
    if as_json:
        print_json(deleted.as_json())
    else:
        went = f"{deleted.records} records"
        click.echo(f"deleted: {', '.join([went, *deleted.models])}")


def _confirm(name: str, batch: int | None, model: str | None) -> None:
    """Whoever is not at a terminal has to say so beforehand."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked; say --yes")
    what = model or (f"batch {batch}" if batch is not None else "all its records and models")
    click.confirm(f"Delete {what} of {name}? It can't be undone.", abort=True, err=True)


def _lines(
    found: "RecordSet", models: "Sequence[ModelVersion]", batches: "Sequence[RecordBatch]"
) -> Iterator[str]:
    from rag_pipeline.synthetic.as_json import nearness

    yield f"{found.name}: {found.real} real records, {found.synthetic} synthetic"
    yield from columns(found)
    for model in models:
        figures = ", ".join(f"{name} {one:.3f}" for name, one in nearness(model).items())
        yield f"{model.reference}  {model.parameters['method']}, {model.state}: {figures}"
    for batch in batches:
        when = batch.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        origin = batch.source if batch.origin == "real" else f"{batch.model}, {batch.verdict}"
        yield f"batch {batch.batch_id:<5} {when} {batch.records:>8} {batch.origin:<9} {origin}"


def _print_batch(batch: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(batch)
        return
    for key, value in batch.items():
        if value not in (None, {}) and key != "report":
            click.echo(f"{key:<14} {value}")
