"""INSERT as each database has it, for rows of which some may be there already."""

from functools import cache
from typing import TypeAlias

from sqlalchemy.dialects import postgresql, sqlite

from storage.models.base import Table

Insert: TypeAlias = sqlite.Insert | postgresql.Insert


def insert_into(table: type[Table], dialect: str) -> Insert:
    """An INSERT that can be told what to do where a row is there."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def leave_known(table: type[Table], dialect: str) -> Insert:
    """An INSERT that leaves what is there as it is; the same object each time."""
    return insert_into(table, dialect).on_conflict_do_nothing()
