"""How much was asked, how it came out, how long it took and what was said of it: by time, or by who
asked, which model answered, from which collection, under which tag.

What the rollups can answer costs what is shown: all exchanges, or those of one value of one
dimension, over whole days. For everything else the exchanges themselves are counted.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Date,
    Select,
    TextClause,
    exists,
    func,
    select,
)
from sqlalchemy import cast as type_cast

from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.filters import Filter
from storage.models.access import UserRow
from storage.models.prompts import IS_OPEN, PromptRow, PromptTagRow
from storage.models.rollups import LatencyRollupRow, RollupRow, ScoreRollupRow
from storage.prompts.counting import COUNTS, VALUE_CHARACTERS, Dimension, Facts, Totals, all_facts
from storage.prompts.listing import PromptsWanted, conditions
from storage.prompts.rollups import Grain
from storage.prompts.under_way import JUST_BEGUN, begun
from storage.records import Principal
from storage.words import UNSTORABLE

Period = Literal["day", "week", "month"]
Attribute = Literal["user", "model", "collection", "application", "category", "tag"]
By: TypeAlias = Period | Attribute
PERIODS: tuple[Period, ...] = get_args(Period)
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
_Found: TypeAlias = defaultdict[str, Totals]
_RollupTable: TypeAlias = type[RollupRow] | type[LatencyRollupRow] | type[ScoreRollupRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which exchanges are counted, and how they are grouped."""

    principal: Principal
    by: By = "day"
    having: Mapping[Attribute, str] = field(default_factory=dict)
    """What they have in common: the user's name, the model …"""
    since: datetime | None = None
    before: datetime | None = None
    where: Filter | None = None
    """What else holds of them."""
    limit: int = 100
    """Of groups that are no times, so many are told, those of which most was asked."""


@dataclass(frozen=True, slots=True)
class Group:
    """The exchanges of one day, week or month, or of one user, model …"""

    key: str
    """The first day in ISO 8601, in UTC; or the name."""
    totals: Totals


@dataclass(frozen=True, slots=True)
class Statistics:
    """Days, weeks or months oldest first; anything else by how much was asked, most first."""

    groups: tuple[Group, ...]
    total: int
    """How many groups there are, told or not."""
    is_from_rollups: bool
    """Whether nothing had to be counted anew."""


def statistics(database: Database, counted: Counted) -> Statistics:
    """Count exchanges. An exchange with several tags counts for each.

    Raises `FilterError`, and `InvalidRecordError` for a value that no exchange can have.
    """
    _check(counted)
    with database.read() as connection:
        asked = _rollups_to_ask(connection, counted)
        found: _Found = defaultdict(Totals)
        if asked is None:
            _add_exchanges(found, connection, counted)
        else:
            _add_counts(found, connection, asked)
            _add_open(found, connection, counted)
        told = defaultdict(Totals, _told(found, counted))
        if asked is not None:
            _add_details(told, connection, asked)
        groups = _by_name(connection, told) if counted.by == "user" else told
    return Statistics(_in_order(groups, counted.by), len(found), asked is not None)


def _check(counted: Counted) -> None:
    for name, value in counted.having.items():
        if UNSTORABLE.search(value):
            raise InvalidRecordError(f"no {name} can be called {value!r}; leave out what can't be")


def _told(groups: Mapping[str, Totals], counted: Counted) -> Sequence[tuple[str, Totals]]:
    """All of them, or those of which most was asked."""
    if counted.by in PERIODS:
        return [*groups.items()]
    most_first = sorted(groups.items(), key=lambda group: (-group[1].of("prompts"), group[0]))
    return most_first[: counted.limit]


def _in_order(groups: Mapping[str, Totals], by: By) -> tuple[Group, ...]:
    found = [Group(key, totals) for key, totals in groups.items()]
    if by in PERIODS:
        return tuple(sorted(found, key=lambda group: group.key))
    return tuple(sorted(found, key=lambda group: (-group.totals.of("prompts"), group.key)))


def _by_name(connection: Connection, groups: Mapping[str, Totals]) -> dict[str, Totals]:
    """The same under the names of the users whose keys they have."""
    names = {
        str(row.user_id): row.name
        for row in connection.execute(select(UserRow.user_id, UserRow.name))
    }
    return {names[key]: totals for key, totals in groups.items()}


class Span(NamedTuple):
    """Days or months from one on, up to but without another; None: all there are."""

    grain: Grain
    first: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Rollups that answer a question."""

    dimension: Dimension
    value: str | None
    """None: each by itself."""
    by: By
    spans: tuple[Span, ...]
    is_sqlite: bool


def _rollups_to_ask(connection: Connection, counted: Counted) -> Asked | None:
    """None where they can't tell."""
    having = dict(counted.having)
    reader = counted.principal
    if not reader.is_owner and having.setdefault("user", reader.name) != reader.name:
        return None
    is_whole = all(_is_midnight(time) for time in (counted.since, counted.before))
    if counted.where is not None or len(having) > 1 or not is_whole:
        return None
    spans = tuple(_spans(_day(counted.since), _day(counted.before), counted.by))
    by_time, is_sqlite = counted.by in PERIODS, connection.dialect.name == "sqlite"
    if not having:
        each: Dimension = "all" if by_time else cast(Dimension, counted.by)
        return Asked(each, None, counted.by, spans, is_sqlite)
    [(dimension, value)] = having.items()
    if not by_time and counted.by != dimension:
        return None
    if dimension == "user":
        value = _key_of_user(connection, value)
    return Asked(dimension, value[:VALUE_CHARACTERS], counted.by, spans, is_sqlite)


def _key_of_user(connection: Connection, name: str) -> str:
    """The empty text where there is no such user: it is nobody's key."""
    key = connection.execute(select(UserRow.user_id).where(UserRow.name == name)).scalar()
    return "" if key is None else str(key)


def _is_midnight(moment: datetime | None) -> bool:
    return moment is None or moment.astimezone(UTC).time() == time()


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.astimezone(UTC).date()


def _spans(since: date | None, before: date | None, by: By) -> Iterator[Span]:
    """Days where days or weeks are asked for; else whole months, and the days at both edges."""
    if by in ("day", "week"):
        yield Span("day", since, before)
        return
    first = None if since is None else _month_after(since - timedelta(days=1))
    last = None if before is None else before.replace(day=1)
    if first is not None and last is not None and first >= last:
        yield Span("day", since, before)
        return
    if since != first:
        yield Span("day", since, first)
    yield Span("month", first, last)
    if before != last:
        yield Span("day", last, before)


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _add_counts(found: _Found, connection: Connection, asked: Asked) -> None:
    """How many exchanges have ended, and how."""
    for span in asked.spans:
        for row in connection.execute(_sums(RollupRow, COUNTS, (), asked, span)):
            amounts = found[_name(row.key, asked.by)].amounts
            for place, amount in enumerate(row[1:]):
                amounts[place] += amount


def _add_details(found: _Found, connection: Connection, asked: Asked) -> None:
    """How long those took that were found, and what was said of them."""
    names = None if asked.by in PERIODS else [*found]
    for span in asked.spans:
        times = _sums(LatencyRollupRow, ("prompts",), ("bucket",), asked, span)
        for key, counts in connection.execute(
            _in_one_value(_named(times, LatencyRollupRow, names), asked.is_sqlite)
        ):
            latencies = found[_name(key, asked.by)].latencies
            for bucket, prompts in counts.items():
                latencies[int(bucket)] += prompts
        said = _sums(ScoreRollupRow, _OPINIONS, ("judge", "metric"), asked, span)
        for row in connection.execute(_named(said, ScoreRollupRow, names)):
            opinion = found[_name(row.key, asked.by)].opinion((row.judge, row.metric))
            opinion.add(row.scores, row.millionths, row.ups, row.downs)


def _in_one_value(times: Select[*tuple[Any, ...]], is_sqlite: bool) -> Select[Any, Any]:
    """The buckets of each key as one value: tens of thousands of rows take longer to fetch."""
    each = times.subquery().columns
    grouped = func.json_group_object if is_sqlite else func.json_object_agg
    return select(each.key, grouped(each.bucket, each.prompts, type_=JSON)).group_by(each.key)


def _named(
    statement: Select[*tuple[Any, ...]], table: _RollupTable, names: Sequence[str] | None
) -> Select[*tuple[Any, ...]]:
    return statement if names is None else statement.where(table.value.in_(names))


_OPINIONS = ("scores", "millionths", "ups", "downs")


def _sums(
    table: _RollupTable, numbers: Sequence[str], more: Sequence[str], asked: Asked, span: Span
) -> Select[*tuple[Any, ...]]:
    key = _period(table.first_day, asked) if asked.by in PERIODS else table.value
    keys = [key, *(getattr(table, name) for name in more)]
    # PostgreSQL's sums are of a type that takes long to read.
    sums = [type_cast(func.sum(getattr(table, name)), BigInteger).label(name) for name in numbers]
    statement = (
        select(key.label("key"), *keys[1:], *sums)
        .where(table.dimension == asked.dimension, table.grain == span.grain)
        .group_by(*keys)
    )
    if asked.value is not None:
        statement = statement.where(table.value == asked.value)
    if span.first is not None:
        statement = statement.where(table.first_day >= span.first)
    if span.before is not None:
        statement = statement.where(table.first_day < span.before)
    return statement


def _period(day: Column[date], asked: Asked) -> ColumnElement[date]:
    """The first day of the week or month in which a day is, or the day."""
    if asked.by == "day":
        return day
    if asked.is_sqlite:
        back = ("weekday 0", "-6 days") if asked.by == "week" else ("start of month",)
        return func.date(day, *back, type_=Date)
    return type_cast(func.date_trunc(asked.by, day), Date)


def _name(key: date | str, by: By) -> str:
    """Of the group that what a rollup says of `key` belongs to."""
    return key if isinstance(key, str) else _first_day(key, by).isoformat()


def _first_day(day: date, by: By) -> date:
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def _add_exchanges(
    found: _Found,
    connection: Connection,
    counted: Counted,
    *more: ColumnElement[bool] | TextClause,
) -> None:
    """What the exchanges themselves say, those of which `more` is true too."""
    for facts in all_facts(connection, counted_exchanges(connection, counted).where(*more)):
        for key in _keys(facts, counted):
            found[key].add(facts)


def _add_open(found: _Found, connection: Connection, counted: Counted) -> None:
    """What is under way."""
    wanted = counted.having.get("tag") if counted.by == "tag" else None
    for key, exchanges in begun(connection, counted.by, _conditions(connection, counted)):
        if wanted in (None, key):
            found[_name(key, counted.by)].add_started(exchanges)
    _add_exchanges(found, connection, counted, IS_OPEN, ~JUST_BEGUN)


def counted_exchanges(connection: Connection, counted: Counted) -> Select[str]:
    """The ids of the exchanges that are counted."""
    return (
        select(PromptRow.prompt_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(*_conditions(connection, counted))
    )


def _keys(facts: Facts, counted: Counted) -> Iterator[str]:
    if counted.by in PERIODS:
        yield _first_day(facts.day, counted.by).isoformat()
        return
    wanted = counted.having.get("tag") if counted.by == "tag" else None
    for dimension, value in facts.places():
        if dimension == counted.by and wanted in (None, value):
            yield value


def _conditions(connection: Connection, counted: Counted) -> Iterator[ColumnElement[bool]]:
    yield from conditions(
        connection, PromptsWanted(principal=counted.principal, where=counted.where)
    )
    for name, value in counted.having.items():
        yield _has(name, value)
    if counted.since is not None:
        yield PromptRow.created_at >= counted.since
    if counted.before is not None:
        yield PromptRow.created_at < counted.before


def _has(name: Attribute, value: str) -> ColumnElement[bool]:
    if name == "user":
        return UserRow.name == value
    if name == "tag":
        return exists().where(
            PromptTagRow.prompt_id == PromptRow.prompt_id, PromptTagRow.tag == value
        )
    columns: dict[str, Column[str] | Column[str | None]] = {
        "model": PromptRow.model,
        "collection": PromptRow.collection,
        "application": PromptRow.application,
        "category": PromptRow.category,
    }
    return columns[name] == value
