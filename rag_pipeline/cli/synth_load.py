"""`rag synth load`"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from rag_pipeline.synthetic.record_loading import Loaded
    from storage.record_sets.values import RecordSet


_ROLES = {
    None: "",
    "series": ", names the series of each: not learnt",
    "time": ", orders each series",
}


@click.command()
@click.argument("name")
@click.argument("file", type=ANY_PATH, required=False)
@click.option("--query", metavar="SQL", help="Instead of FILE: what a database answers.")
@click.option("--from", "url", metavar="URL", help="With --query: the database.")
@click.option(
    "--schema", type=ANY_PATH, metavar="FILE", help="The columns, as JSON; else found out."
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="COLUMN",
    help="It tells records apart, and is not learnt; may be given more than once.",
)
@click.option(
    "--series",
    metavar="COLUMN",
    help="It says which series a record belongs to, as visits belong to a patient.",
)
@click.option(
    "--time",
    metavar="COLUMN",
    help="With --series: its numbers or dates order each; else as they come.",
)
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="TEXT",
    help='Must hold of every record, like "start <= end"; may be given more than once.',
)
@as_json_option
@at_home
def load(
    name: str,
    file: Path | None,
    query: str | None,
    url: str | None,
    schema: Path | None,
    keys: tuple[str, ...],
    series: str | None,
    time: str | None,
    constraints: tuple[str, ...],
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Load real records into the set NAME from FILE: .csv, .jsonl, .parquet, or images in a folder.

    Into a set that is there more records are loaded; the same ones only once. A fifth of them is
    never learnt, but judges what was.

    \b
    Example:
      rag synth load people people.csv --key id
      rag synth load visits visits.csv --series patient --time visited_at
      rag synth load people --query "SELECT * FROM people" --from sqlite:///people.db
    """
    if (file is None) == (query is None) or (query is None) != (url is None):
        raise click.UsageError("give either FILE, or --query with --from")
    from rag_pipeline.synthetic.record_loading import LoadWanted

    with opened(home, database) as rag:
        loaded = rag.synthetic.load(
            LoadWanted(
                name=name,
                path=file,
                query=query,
                url=url,
                schema=schema,
                keys=keys,
                series=series,
                time=time,
                constraints=constraints,
            )
        )
    if as_json:
        print_json(loaded.as_json())
    else:
        _print_loaded(loaded)


def _print_loaded(loaded: "Loaded") -> None:
    found, batch = loaded.record_set, loaded.batch
    if batch.was_there:
        click.echo(f"{found.name}: these records are there already, as batch {batch.batch_id}")
    else:
        click.echo(
            f"{found.name}: {batch.records} records as batch {batch.batch_id}, {found.real} in all"
        )
    for line in columns(found):
        click.echo(line)
    for name in loaded.maybe_keys:
        say(f"{name} counts as a number: if it is a key, delete the set, and load it with --key")


def columns(found: "RecordSet") -> Iterator[str]:
    """What its records have, a line each."""
    for column in found.schema:
        key = ", key: not learnt" if column.get("is_key") else _ROLES[column.get("role")]
        decimals = column.get("decimals")
        kind = column["kind"] if decimals is None else f"{column['kind']}, {decimals} decimals"
        yield f"  {column['name']:<20} {kind}{key}"
    for constraint in found.constraints:
        yield f"  always: {constraint}"
