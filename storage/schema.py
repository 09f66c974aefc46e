"""The database is at the newest migration, or this says clearly why not.

A new, empty database is brought there at once. An older one is only changed when somebody asks
for it (`rag db upgrade`), because other programs may still run on it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from storage.engine import Database
from storage.errors import SchemaError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0014"
"""The newest migration; a test holds it against the folder of migrations."""

_UPGRADE_LOCK = 7_220_114


def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "migrations"


def prepare(database: Database) -> None:
    """Create the tables in an empty database; raise `SchemaError` if it is at another migration."""
    with database.read() as connection:
        found = _revision(connection)
        is_empty = found is None and not inspect(connection).get_table_names()
    if is_empty:
        upgrade(database)
    elif found != HEAD:
        raise SchemaError(_difference(database, found))


def is_at_head(database: Database) -> bool:
    """Whether the database is at the newest migration, now."""
    with database.read() as connection:
        return _revision(connection) == HEAD


def upgrade(database: Database) -> None:
    """Bring the database to the newest migration, in one transaction."""
    # Imported here: it takes longer than everything a command at head needs.
    from alembic import command

    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        found = _revision(connection)
        if found is not None and found > HEAD:
            raise SchemaError(_difference(database, found))
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> "Config":
    """Settings that make Alembic work on `connection` and inside its transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _difference(database: Database, found: str | None) -> str:
    if found is None:
        return f"{database.shown_url} holds other tables than ours; give a database of its own"
    if found > HEAD:
        return (
            f"{database.shown_url} is at migration {found}, newer than this program's {HEAD};"
            " install the newer rag-pipeline-service"
        )
    return (
        f"{database.shown_url} is at migration {found}, this program needs {HEAD};"
        " back it up and run `rag db upgrade`"
    )
