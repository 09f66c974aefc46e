"""`rag datasets`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import FAILED, print_json
from rag_pipeline.defaults import Origins

if TYPE_CHECKING:
    from rag_pipeline.versions.snapshot import Difference
    from storage.versions.values import DatasetVersion

_SHOWN = 20


@click.group()
def datasets() -> None:
    """Data sets as versions: what they were made of, and whether they are still as they were."""


@datasets.command("list")
@click.argument("name", required=False)
@click.option("--kind", metavar="KIND", help="Only snapshot, documents, history, …")
@as_json_option
@at_home
def list_datasets(
    name: str | None, kind: str | None, as_json: bool, home: Path | None, database: str | None
) -> None:
    """List all versions, or those of NAME, newest first.

    \b
    Example:
      rag datasets list
    """
    with opened(home, database) as rag:
        found = rag.datasets.list(name=name, kind=kind)
    if as_json:
        from rag_pipeline.versions.as_json import dataset_json

        print_json([dataset_json(dataset) for dataset in found])
        return
    if not found:
        click.echo("no data set was registered yet")
    for dataset in found:
        _print_line(dataset)


@datasets.command("show")
@click.argument("reference")
@as_json_option
@at_home
def show_dataset(reference: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show NAME@3, or the newest version of NAME: how it was made, and what of.

    \b
    Example:
      rag datasets show ratings@1
    """
    from rag_pipeline.versions.lineage import dataset_lineage

    with opened(home, database) as rag:
        dataset = rag.datasets.show(reference)
        tree = dataset_lineage(dataset, rag.parts.versions)
    if as_json:
        from rag_pipeline.versions.as_json import dataset_json

        print_json({**dataset_json(dataset), "lineage": tree.as_json()})
        return
    click.echo("\n".join(tree.lines()))
    click.echo(f"sha256      {dataset.sha256}")
    click.echo(f"registered  {dataset.created_at.astimezone():%Y-%m-%d %H:%M:%S}")
    if dataset.location is not None:
        click.echo(f"file        {dataset.location}")
    for key, value in {**dataset.manifest, **dataset.metadata}.items():
        click.echo(f"  {key}: {value}")


@datasets.command("snapshot")
@click.argument("name")
@click.option("--as-of", metavar="GENERATION", help="As it was then: a generation, or a time.")
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    default="real",
    show_default=True,
    help="Synthetic documents are listed only when asked for.",
)
@in_collection
@as_json_option
@at_home
def take_snapshot(
    name: str,
    as_of: str | None,
    origin: Origins,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Register which documents are in a collection, by their hashes, as a version of NAME.

    \b
    Example:
      rag datasets snapshot corpus
      rag datasets snapshot corpus --as-of 1
    """
    with opened(home, database) as rag:
        dataset = rag.datasets.snapshot(name, collection=collection, as_of=as_of, origins=origin)
    if as_json:
        from rag_pipeline.versions.as_json import dataset_json

        print_json(dataset_json(dataset))
    else:
        _print_line(dataset)


@datasets.command("verify")
@click.argument("reference")
@as_json_option
@at_home
def verify_dataset(reference: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Say what of a version is gone or was changed since: in its files, the corpus, the history.

    Ends with status 1 if anything is.

    \b
    Example:
      rag datasets verify corpus@1
    """
    with opened(home, database) as rag:
        found = rag.datasets.verify(reference)
    if as_json:
        print_json(found.as_json())
    else:
        for problem in found.problems:
            click.echo(problem)
        _print_difference(found.difference)
        if found.erased:
            click.echo(f"{found.erased} were erased on purpose")
        state = "can be had as it was" if found.is_whole else "is not as it was"
        click.echo(f"{found.dataset.reference} {state}")
    if not found.is_whole:
        raise SystemExit(FAILED)


@datasets.command("diff")
@click.argument("one")
@click.argument("other")
@as_json_option
@at_home
def diff_datasets(
    one: str, other: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Say what OTHER has otherwise than ONE.

    \b
    Example:
      rag datasets diff corpus@1 corpus@2
    """
    with opened(home, database) as rag:
        found = rag.datasets.diff(one, other)
    if as_json:
        print_json(found.as_json())
    elif found.is_none:
        click.echo("both are the same")
    else:
        _print_difference(found)


@datasets.command("export")
@click.argument("reference")
@click.argument("folder", type=ANY_PATH)
@click.option("--dvc", "under_dvc", is_flag=True, help="Put FOLDER under DVC's control: dvc add.")
@click.option("--push", "remote", metavar="REMOTE", help="With --dvc: copy it to that remote.")
@click.option("--force", is_flag=True, help="Replace other files that are in the way.")
@at_home
def export_dataset(
    reference: str,
    folder: Path,
    under_dvc: bool,
    remote: str | None,
    force: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Lay a version out in FOLDER, with its manifest: the same bytes for the same version.

    \b
    Example:
      rag datasets export corpus@1 corpus
    """
    if remote is not None and not under_dvc:
        raise click.UsageError("--push needs --dvc")
    with opened(home, database) as rag:
        for path in rag.datasets.export(reference, folder, overwrite=force):
            click.echo(path)
    if under_dvc:
        from rag_pipeline.versions import dvc

        tracked = dvc.add(folder)
        click.echo(tracked)
        if remote is not None:
            dvc.push(tracked, remote)


def _print_line(dataset: "DatasetVersion") -> None:
    when = dataset.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    click.echo(
        f"{dataset.reference:<24} {dataset.kind:<10} {when}  sha256 {dataset.sha256[:12]}…"
        f"{_counted(dataset)}"
    )


def _counted(dataset: "DatasetVersion") -> str:
    counts = ("documents", "sources", "rows", "examples", "generation")
    said = [
        f"{name} {dataset.manifest[name]}"
        for name in counts
        if isinstance(dataset.manifest.get(name), int)
    ]
    return f"  {', '.join(said)}" if said else ""


def _print_difference(found: "Difference") -> None:
    for key in found.gone[:_SHOWN]:
        click.echo(f"gone     {key}")
    for key, what in [*found.changed.items()][:_SHOWN]:
        click.echo(f"changed  {key} ({', '.join(what)})")
    for key in found.added[:_SHOWN]:
        click.echo(f"added    {key}")
    click.echo(f"{len(found.gone)} gone, {len(found.changed)} changed, {len(found.added)} added")
