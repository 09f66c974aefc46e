"""`rag export`"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.cli.splits import plan_given
from rag_pipeline.defaults import Origins

if TYPE_CHECKING:
    from collections import Counter

    from rag_pipeline.datasets.export import ExportReport
    from rag_pipeline.datasets.selection import OnConflict

_SHOWN = 20


@click.command()
@click.argument("out", type=ANY_PATH)
@click.option("--label-field", default="label", show_default=True, help="Where labels stand.")
@click.option("--split-field", default="split", show_default=True, help="Where splits stand.")
@click.option(
    "--split",
    "splits",
    metavar="NAME",
    multiple=True,
    help="Only rows that are declared in this split; may be repeated.",
)
@click.option(
    "--labelled-only/--all",
    default=True,
    show_default=True,
    help="Leave out rows without a label, or write them too.",
)
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    default="real",
    show_default=True,
    help="Synthetic rows are written only when asked for.",
)
@click.option(
    "--split-into",
    metavar="NAME=SHARE,…",
    help="Assign splits by content, instead of those declared: train=80,dev=10,test=10.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of --split-into.")
@click.option(
    "--on-conflict",
    type=click.Choice(["keep", "drop", "fail"]),
    default="keep",
    show_default=True,
    help="What to do with a text that has two labels, or is declared in two splits.",
)
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@click.option("--register", metavar="NAME", help="Put it on record as a version of this data set.")
@in_collection
@as_json_option
@at_home
def export(
    out: Path,
    label_field: str,
    split_field: str,
    splits: tuple[str, ...],
    labelled_only: bool,
    origin: Origins,
    split_into: str | None,
    seed: int,
    on_conflict: "OnConflict",
    force: bool,
    register: str | None,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Write the labelled documents to OUT, a .jsonl or .parquet file: one row a source.

    \b
    Example:
      rag export train.jsonl --split train
      rag export labelled.parquet --split-into train=80,dev=10,test=10
    """
    from rag_pipeline.datasets.selection import Selection

    selection = Selection(
        label_field=label_field,
        split_field=split_field,
        declared_splits=frozenset(splits),
        labelled_only=labelled_only,
        plan=plan_given(split_into, seed=seed, option="--split-into"),
        on_conflict=on_conflict,
    )
    with opened(home, database) as rag:
        report = rag.export(
            out,
            selection,
            collection=collection,
            origins=origin,
            overwrite=force,
            register=register,
        )
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    for warning in _warnings(report):
        say(warning)


def _print_report(report: "ExportReport") -> None:
    tally = report.tally
    click.echo(
        f"{tally.rows} rows of {tally.texts} texts, as of generation {report.generation},"
        f" into {report.path}"
    )
    for name, counter in (
        ("split", tally.by_split),
        ("label", tally.by_label),
        ("origin", tally.by_origin),
    ):
        click.echo(f"{name:<9} {_counted(counter)}")
    click.echo(
        f"left out  {tally.unlabelled} without a label, {tally.in_other_splits} of other splits,"
        f" {tally.dropped} in conflict"
    )
    click.echo(f"sha256    {report.sha256}")


def _counted(counter: "Counter[str]") -> str:
    shown = [f"{name or '(none)'} {count}" for name, count in counter.most_common(_SHOWN)]
    more = len(counter) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _warnings(report: "ExportReport") -> Iterator[str]:
    tally = report.tally
    if tally.conflicts:
        done = "left out" if report.selection.on_conflict == "drop" else "kept"
        yield (
            f"warning: {tally.label_conflicts} texts have different labels and"
            f" {tally.split_conflicts} are declared in different splits; they were {done}"
        )
        yield from (f"  {conflict}" for conflict in tally.conflicts)
    if tally.near_split_conflicts:
        yield (
            f"warning: {tally.near_split_conflicts} groups of texts that are nearly the same are"
            " declared in different splits; --split-into keeps such groups together"
        )
    if tally.unusable:
        yield (
            f"warning: {tally.unusable} labels are neither strings, numbers nor lists of strings,"
            " and count as none"
        )
