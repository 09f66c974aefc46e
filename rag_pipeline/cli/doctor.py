"""`rag doctor`"""

from pathlib import Path

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import FAILED, print_json


@click.command()
@click.option("--repair", is_flag=True, help="Fill the indexes anew from the database first.")
@as_json_option
@at_home
def doctor(repair: bool, as_json: bool, home: Path | None, database: str | None) -> None:
    """Compare the database with itself and with the indexes; exit with 1 if anything differs.

    \b
    Example:
      rag doctor
    """
    with opened(home, database) as rag:
        found = rag.doctor(repair=repair)
    if as_json:
        print_json(found.as_json())
    else:
        click.echo(
            f"generation {found.generation} (serving {found.served}): {found.chunks} chunks,"
            f" {found.vectors} vectors, {found.keywords} keyword entries"
        )
        for difference in found.differences:
            click.echo(f"differs: {difference}")
        click.echo("healthy" if not found.differences else "run `rag doctor --repair`")
    if found.differences:
        raise SystemExit(FAILED)
