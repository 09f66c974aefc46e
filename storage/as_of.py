"""Which generation a point in time means."""

import re
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from storage.clock import now
from storage.errors import AsOfError
from storage.metadata_values import FIRST_INSTANT, date_span, instant
from storage.models.corpus import GenerationRow
from storage.records import Position

_GENERATION = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_SHOWN = 60


def position_as_of(
    connection: Connection, value: int | datetime | str, served: Position
) -> Position:
    """The position that `value` means, `served` at the latest.

    A generation by its number; or a time, in ISO 8601 where it is text and in UTC where it says
    nothing else: the newest generation that was committed by then. A date means its end. Raises
    `AsOfError` for what lies before the first generation, in the future, or is neither.
    """
    meant = _parsed(value.strip()) if isinstance(value, str) else value
    if isinstance(meant, datetime):
        return _at_time(connection, meant, served)
    return _at_generation(connection, meant, served)


def _parsed(text: str) -> int | datetime:
    if _GENERATION.fullmatch(text):
        return int(text)
    span = date_span(text)
    if span is None:
        raise AsOfError(
            f"{text[:_SHOWN]!r} is neither a generation nor a time; give a number like 12, a date"
            " like 2026-01-31 or a time like 2026-01-31T09:30"
        )
    start, over = map(instant, span)
    if len(text) > len("2026-01-31"):
        return start
    # Today is not over: it means what is known of it.
    return min(over - datetime.resolution, max(start, now()))


def _at_generation(connection: Connection, generation: int, served: Position) -> Position:
    if generation < 1:
        raise AsOfError(f"generation {generation} lies before the first, which is 1")
    if generation > served.generation:
        newest = f"the newest that is served is {served.generation}"
        raise AsOfError(
            f"generation {generation} lies in the future: "
            + (newest if served.generation else "nothing was ingested yet")
        )
    token = connection.execute(
        select(GenerationRow.token).filter_by(generation=generation)
    ).scalar_one()
    return Position(generation, token)


def _at_time(connection: Connection, time: datetime, served: Position) -> Position:
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if time > now():
        raise AsOfError(f"{time.isoformat()} lies in the future; leave the time out for now")
    statement = (
        select(GenerationRow.generation, GenerationRow.token)
        .where(
            GenerationRow.committed_at <= _in_utc(time),
            GenerationRow.generation <= served.generation,
        )
        .order_by(GenerationRow.generation.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    if row is None:
        first = connection.execute(select(func.min(GenerationRow.committed_at))).scalar()
        raise AsOfError(
            f"{time.isoformat()} lies before the first generation"
            + (f", which is of {first.isoformat()}" if first else ": nothing was ingested yet")
        )
    return Position(row.generation, row.token)


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:  # the first hours of the calendar, east of Greenwich
        return FIRST_INSTANT
