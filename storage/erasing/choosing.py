"""Which exchanges a retention rule or a redaction is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from storage.engine import Database
from storage.filters.expression import Filter
from storage.models.prompt_search import PromptFactsRow
from storage.models.prompts import PromptRow, ScoreRow
from storage.prompts.search import parts_of
from storage.records import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Exchanges that fulfil all of this."""

    principal: Principal
    before: datetime | None = None
    """Asked before then."""
    application: str | None = None
    other_than: frozenset[str] = frozenset()
    """Of none of these applications."""
    where: Filter | None = None
    keep_rated: bool = False
    """Without those that somebody scored, commented on or corrected."""


def condition_of(connection: Connection, chosen: Chosen) -> ColumnElement[bool]:
    """The same as a condition. Raises `FilterError`."""
    conditions: list[ColumnElement[bool]] = [PromptRow.number.is_not(None)]
    if chosen.before is not None:
        conditions.append(PromptRow.created_at < chosen.before)
    if chosen.application is not None:
        conditions.append(PromptRow.application == chosen.application)
    if chosen.other_than:
        of_others = PromptRow.application.not_in(sorted(chosen.other_than))
        conditions.append(or_(PromptRow.application.is_(None), of_others))
    if chosen.keep_rated:
        rated = exists().where(ScoreRow.prompt_id == PromptRow.prompt_id, ScoreRow.judge == "human")
        conditions.append(~rated)
    if chosen.where is not None:
        parts = parts_of(connection, chosen.where, chosen.principal)
        numbers = select(PromptFactsRow.number).where(and_(*(part.holds for part in parts)))
        conditions.append(PromptRow.number.in_(numbers))
    return and_(*conditions)


def ids_of(database: Database, chosen: Chosen) -> Sequence[str]:
    """The exchanges, oldest first. Raises `FilterError`."""
    with database.read() as connection:
        statement = select(PromptRow.prompt_id).where(condition_of(connection, chosen))
        return connection.execute(statement.order_by(PromptRow.number)).scalars().all()


def count_of(database: Database, chosen: Chosen) -> int:
    """How many there are. Raises `FilterError`."""
    with database.read() as connection:
        statement = select(func.count()).select_from(PromptRow)
        return connection.execute(statement.where(condition_of(connection, chosen))).scalar_one()
