"""The command `stats` of `benchmarks/history.py`."""

from collections.abc import Mapping
from typing import Any

import click
from history_queries import filled, timed

from rag_pipeline.history.counting import counted_as
from storage.prompts.rollups import differences
from storage.prompts.statistics import ATTRIBUTES, PERIODS, statistics
from storage.records import LOCAL_OWNER

CASES: Mapping[str, Mapping[str, Any]] = {
    **{f"by {by}": {"by": by} for by in (*PERIODS, *ATTRIBUTES)},
    "by day, of a user": {"by": "day", "user": "user 7"},
    "by day, with a tag": {"by": "day", "tag": "t1"},
    "by user, of half a year": {"by": "user", "since": "2024-01-15", "until": "2024-06-20"},
    "from the exchanges: a user's, by model": {"by": "model", "user": "user 7"},
}


@click.command()
@click.option("--database", "url", required=True, help="Filled if it is empty.")
@click.option("--rows", type=int, default=1_000_000, show_default=True)
@click.option("--check", is_flag=True, help="Compare all counts with the exchanges, too.")
def stats(url: str, rows: int, check: bool) -> None:
    """What statistics cost, and whether they are right."""
    with filled(url, rows) as database:
        for name, case in CASES.items():
            counted = counted_as(LOCAL_OWNER, **case)
            cpu, wall, found = timed(lambda c=counted: statistics(database, c).groups)
            click.echo(f"{wall:8.1f} ms wall {cpu:8.1f} cpu  {len(found):4d} groups  {name}")
        if check:
            with database.read() as connection:
                click.echo("\n".join(differences(connection)) or "all counts are right")
