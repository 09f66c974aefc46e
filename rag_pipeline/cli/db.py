"""`rag db`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import Given, at_home

if TYPE_CHECKING:
    from storage.engine import Database


@click.group()
def db() -> None:
    """Look after the database's migrations."""


@db.command("upgrade")
@at_home
def upgrade(home: Path | None, database: str | None) -> None:
    """Bring the database to this program's migration. Back it up first.

    \b
    Example:
      rag db upgrade
    """
    from storage import schema

    schema.upgrade(_database(home, database))
    click.echo(f"at migration {schema.HEAD}")


@db.command("check")
@at_home
def check(home: Path | None, database: str | None) -> None:
    """Say whether the database is at this program's migration; exit with 1 if not.

    \b
    Example:
      rag db check
    """
    from storage import schema

    schema.prepare(_database(home, database))
    click.echo(f"at migration {schema.HEAD}")


def _database(home: Path | None, database: str | None) -> "Database":
    from rag_pipeline.composition import unchecked_database
    from rag_pipeline.settings import load_settings

    given = click.get_current_context().find_object(Given) or Given()
    settings = load_settings(home=home or given.home, database_url=database or given.database)
    return unchecked_database(settings)
