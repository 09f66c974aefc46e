"""What people say of answers and how answers came out, counted by days, weeks or months."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.sql import Select

from storage.engine import Database
from storage.history import readable_prompts
from storage.models.access import UserRow
from storage.models.prompts import PromptRow, ScoreRow
from storage.records import AnswerState, Principal, PromptStatus

Period = Literal["day", "week", "month"]
STATES: tuple[AnswerState, ...] = get_args(AnswerState)
STATUSES: tuple[PromptStatus, ...] = get_args(PromptStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which exchanges are counted, and by what they were rated."""

    principal: Principal
    by: Period = "day"
    metric: str = "rating"
    collection: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(slots=True)
class Bucket:
    """The exchanges of one day, week or month, in UTC."""

    first_day: date
    states: dict[AnswerState, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    statuses: dict[PromptStatus, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    scores: int = 0
    """One of each user for each answer: what was said last."""
    total: float = 0.0
    """Of all scores."""

    @property
    def prompts(self) -> int:
        return sum(self.statuses.values())

    @property
    def mean_score(self) -> float | None:
        """From 0 to 1; None without a score."""
        return self.total / self.scores if self.scores else None


def summary(database: Database, counted: Counted) -> list[Bucket]:
    """The days, weeks or months in which anything was asked, oldest first.

    A score counts where its exchange does.
    """
    buckets: dict[date, Bucket] = {}
    with database.read() as connection:
        for row in connection.execute(_outcomes(connection, counted)):
            bucket = _bucket(buckets, row.day, counted.by)
            bucket.statuses[row.status] += row.prompts
            if row.state is not None:
                bucket.states[row.state] += row.prompts
        for row in connection.execute(_scores(connection, counted)):
            bucket = _bucket(buckets, row.day, counted.by)
            bucket.scores += row.scores
            bucket.total += row.total
    return [buckets[day] for day in sorted(buckets)]


def _bucket(buckets: dict[date, Bucket], given: date | str, by: Period) -> Bucket:
    day = date.fromisoformat(given) if isinstance(given, str) else given
    if by == "week":
        day -= timedelta(days=day.weekday())
    elif by == "month":
        day = day.replace(day=1)
    return buckets.setdefault(day, Bucket(day))


def _outcomes(connection: Connection, counted: Counted) -> Select[*tuple[Any, ...]]:
    day = _day(connection)
    return (
        select(day.label("day"), PromptRow.status, PromptRow.state, func.count().label("prompts"))
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(*_conditions(counted))
        .group_by(day, PromptRow.status, PromptRow.state)
    )


def _scores(connection: Connection, counted: Counted) -> Select[*tuple[Any, ...]]:
    day = _day(connection)
    newest = func.row_number().over(
        partition_by=(ScoreRow.prompt_id, ScoreRow.user_id), order_by=ScoreRow.score_id.desc()
    )
    said = (
        select(day.label("day"), ScoreRow.value, newest.label("place"))
        .join(PromptRow, PromptRow.prompt_id == ScoreRow.prompt_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(ScoreRow.metric == counted.metric, *_conditions(counted))
        .subquery()
    )
    return (
        select(said.c.day, func.count().label("scores"), func.sum(said.c.value).label("total"))
        .where(said.c.place == 1)
        .group_by(said.c.day)
    )


def _conditions(counted: Counted) -> Iterable[ColumnElement[bool]]:
    yield readable_prompts(counted.principal)
    if counted.collection is not None:
        yield PromptRow.collection == counted.collection
    if counted.since is not None:
        yield PromptRow.created_at >= counted.since
    if counted.before is not None:
        yield PromptRow.created_at < counted.before


def _day(connection: Connection) -> Any:
    """The day, in UTC, on which an exchange began; both databases keep the instant."""
    if connection.dialect.name == "sqlite":
        return func.date(PromptRow.created_at)
    return func.date(func.timezone("UTC", PromptRow.created_at))
