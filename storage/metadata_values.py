"""The values in a source's metadata, one by one, in the form in which filters look them up.

A field is named by the path to it: `author.name` is the name in `{"author": {"name": …}}`. Each
item of a list is a value of its field. A text that is a date counts as one, too.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Kind = Literal["text", "long", "number", "truth", "date"]

KEY_CHARACTERS = 200
"""Of a text, those that stand in the index: an entry of PostgreSQL's has room for no more."""
MAX_FIELD_CHARACTERS = 200
"""A field with a longer name can't be filtered by."""
FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(?P<seconds>:\d\d(?P<fraction>\.\d{1,6})?)?"
    r"(Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class MetadataValue:
    """One scalar. `number` holds numbers, truth values (0 or 1) and dates (seconds since 1970)."""

    field: str
    kind: Kind
    number: float | None = None
    text_key: str | None = None
    """A text, or the first `KEY_CHARACTERS` of a long one."""
    long_text: str | None = None
    """All of a text of `KEY_CHARACTERS` or more."""


def values_of(metadata: Mapping[str, Any]) -> Iterator[MetadataValue]:
    """Every scalar in `metadata`; null is no value."""
    # A stack instead of a recursion: how deep metadata is nested is not ours to decide.
    stack: list[tuple[str, Any]] = [("", metadata)]
    while stack:
        field, value = stack.pop()
        if isinstance(value, Mapping):
            prefix = f"{field}." if field else ""
            stack.extend((f"{prefix}{name}", value[name]) for name in reversed(value))
        elif isinstance(value, list | tuple):
            stack.extend((field, item) for item in reversed(value))
        elif len(field) <= MAX_FIELD_CHARACTERS:
            yield from _scalar(_storable(field), value)


def _scalar(field: str, value: object) -> Iterator[MetadataValue]:
    match value:
        case bool():
            yield MetadataValue(field, "truth", number=float(value))
        case int() | float():
            number = as_double(value)
            if not math.isnan(number):
                yield MetadataValue(field, "number", number=number)
        case str():
            yield _text(field, _storable(value))
            if span := date_span(value):
                yield MetadataValue(field, "date", number=span[0])
        case _:
            return


def _text(field: str, value: str) -> MetadataValue:
    if len(value) < KEY_CHARACTERS:
        return MetadataValue(field, "text", text_key=value)
    return MetadataValue(field, "long", text_key=value[:KEY_CHARACTERS], long_text=value)


def _storable(text: str) -> str:
    """`text` with a question mark for half of a surrogate pair, which no database keeps."""
    return text.encode(errors="replace").decode()


def as_double(value: float) -> float:
    """The nearest double; of a whole number beyond all of them, infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def date_span(text: str) -> tuple[float, float] | None:
    """The seconds since 1970 at which a date or a time in ISO 8601 begins and is over; None for
    other text. Without a zone it is UTC. A date lasts a day, `10:30` a minute."""
    # Most texts are no dates, and the longest have no place here.
    found = _DATE.fullmatch(text) if len(text) <= 32 else None
    if found is None:
        return None
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        return None
    begin = (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()
    # Of a fraction of a second, the next double after it.
    return begin, max(begin + _lasts_s(found), math.nextafter(begin, math.inf))


def instant(seconds: float) -> datetime:
    """The time so many seconds after 1970, to the microsecond; what lies before or after all
    years of the calendar is at their beginning or end."""
    try:
        return _EPOCH + timedelta(microseconds=round(seconds * 1e6))
    except OverflowError:
        return LAST_INSTANT if seconds > 0 else FIRST_INSTANT


def _lasts_s(found: re.Match[str]) -> int:
    if found["time"] is None:
        return 86_400
    if found["seconds"] is None:
        return 60
    return 1 if found["fraction"] is None else 0
