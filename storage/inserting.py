"""INSERT as each database has it, for rows of which some may be there already."""

from functools import cache
from typing import TYPE_CHECKING, TypeAlias, Union

from storage.models.base import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Insert: TypeAlias = Union["sqlite.Insert", "postgresql.Insert"]


def insert_into(table: type[Table], dialect: str) -> Insert:
    """An INSERT that can be told what to do where a row is there."""
    # Imported here: a dialect takes a while, and one of them is enough.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


@cache
def leave_known(table: type[Table], dialect: str) -> Insert:
    """An INSERT that leaves what is there as it is; the same object each time."""
    return insert_into(table, dialect).on_conflict_do_nothing()
