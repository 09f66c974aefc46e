"""How many exchanges are under way. They are in no rollup, and what a crash left behind stays so:
those of which nothing is known but that they began are counted by the database.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, cast, exists, func, select

from storage.models.access import UserRow
from storage.models.base import aliased
from storage.models.prompts import IS_OPEN, PromptRow, PromptTagRow, ScoreRow
from storage.prompts.counting import VALUE_CHARACTERS

JUST_BEGUN = and_(
    IS_OPEN,
    PromptRow.usage.is_(None),
    PromptRow.cost.is_(None),
    ~exists().where(ScoreRow.prompt_id == PromptRow.prompt_id),
)
"""Nothing is known of it but that it began."""
_TAGGED = aliased(PromptTagRow)


def begun(
    connection: Connection, by: str, conditions: Iterable[ColumnElement[bool]]
) -> Iterator[tuple[date | str, int]]:
    """How many that fulfil `conditions` have just begun, by the day (for a period) or the value."""
    key = _key(connection, by)
    statement = (
        select(key.label("key"), func.count().label("exchanges"))
        .select_from(PromptRow)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(JUST_BEGUN, key.is_not(None), *conditions)
        .group_by(key)
    )
    if by == "tag":
        statement = statement.join(_TAGGED, _TAGGED.prompt_id == PromptRow.prompt_id)
    for row in connection.execute(statement):
        is_day = by in ("day", "week", "month") and isinstance(row.key, str)
        yield date.fromisoformat(row.key) if is_day else row.key, row.exchanges


def _key(connection: Connection, by: str) -> ColumnElement[Any]:
    columns: dict[str, Any] = {
        "user": cast(PromptRow.user_id, String),
        "model": func.substr(PromptRow.model, 1, VALUE_CHARACTERS),
        "collection": PromptRow.collection,
        "application": PromptRow.application,
        "category": PromptRow.category,
        # As an expression, lest SQLite go through all tags in their order to group by them.
        "tag": func.coalesce(_TAGGED.tag, ""),
    }
    if by in columns:
        found: ColumnElement[Any] = columns[by]
        return found
    if connection.dialect.name == "sqlite":
        return func.date(PromptRow.created_at)
    return func.date(func.timezone("UTC", PromptRow.created_at))
